/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Zipped pages
 *
 * What a guest page held, compressed: kept if it fits in 2 KiB, as in ESX (Mem.MemZip*).
 * A VM may have zip_max per cent of its memory in such objects; they count as
 * consumed by it.
 *
 * Who takes an object out of a guest page's entry owns it (guest_entry.h), so an object
 * needs no lock, but for the list of the VM's, oldest first: those go to swap when there is
 * to be room for others.  Objects lie in a pool of zsmalloc, the kernel's allocator for
 * compressed pages: it packs them without regard to powers of two, and its pages can
 * be moved.  It is the host's: objects of several VMs lie in one page, so they are charged to
 * no memory cgroup.  A checksum of what is stored is verified on the way back.
 */
#ifndef MRM_ZIP_H
#define MRM_ZIP_H

#include <linux/types.h>

struct mrm_vm;
struct mrm_zipped;
struct page;

#define MRM_ZIP_FIT		2048	/* bytes that a zipped page may need */
#define MRM_ZIP_LEAST		32	/* that any needs */
#define MRM_ZIP_MAX_DEFAULT	10	/* per cent of a VM */
#define MRM_ZIP_MAX_MAX		50

/* per cent of a VM's adopted memory that its objects may need; 0: nothing more is zipped */
extern unsigned long mrm_zip_max;

int mrm_zip_set_algorithm(const char *word);
const char *mrm_zip_algorithm(void);

bool mrm_zip_may(struct mrm_vm *vm);
bool mrm_zip_has_room(struct mrm_vm *vm, unsigned int pages);
struct mrm_zipped *mrm_zip(struct mrm_vm *vm, unsigned long index, struct page *frame);
int mrm_unzip(const struct mrm_zipped *zipped, struct page *frame);
void mrm_zip_free(struct mrm_vm *vm, struct mrm_zipped *zipped);
bool mrm_zip_oldest(struct mrm_vm *vm, unsigned long *index);
void mrm_zip_keep(struct mrm_vm *vm, struct mrm_zipped *zipped);
unsigned int mrm_zipped_bytes(const struct mrm_zipped *zipped);
unsigned long mrm_zip_frames(void);

void mrm_zip_compact(void);
int mrm_zip_init(void);
void mrm_zip_exit(void);

#endif
