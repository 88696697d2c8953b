/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Swap files
 *
 * A VM's pages may go to a file that belongs to it alone, on any file system or block
 * device.  Who makes it (mrmd) opens it for direct I/O and hands it over by its file
 * descriptor; it is the VM's until the VM ends.  When it has grown it is handed over again.
 *
 * A file is slots of a page.  Here they are given out, read and written; what is in
 * them is the guest pages' to know (guest_swap.c).  A slot that could not be written is
 * never used again; when nothing can be written, as on a full disk, nothing is for a while, and
 * for longer if it is so again.
 */
#ifndef MRM_SWAP_H
#define MRM_SWAP_H

#include <linux/types.h>

struct file;
struct mrm_swap;
struct mrm_vm;
struct page;

#define MRM_SWAP_RUN		16U	/* pages that are taken or read together: MRM_TAKE_RUN */
#define MRM_SWAP_WRITE		64U	/* that are written in one request */
#define MRM_SWAP_HUNG		(2 * HZ)	/* jiffies, in which a disk writes something */
#define MRM_SWAP_SLOT_BITS	28	/* 1 TiB in a file */

int mrm_swap_open(struct mrm_vm *vm, int fd);
void mrm_swap_close(struct mrm_vm *vm);
ssize_t mrm_swap_show(struct mrm_vm *vm, char *buf);
void mrm_swap_doubt(struct mrm_vm *vm);
bool mrm_swap_is_doubtful(const struct mrm_vm *vm);
bool mrm_swap_has_room(const struct mrm_vm *vm);
unsigned long mrm_swap_free_slots(const struct mrm_vm *vm);
unsigned long mrm_swap_bad_slots(const struct mrm_vm *vm);

unsigned int mrm_swap_alloc(struct mrm_vm *vm, unsigned int n, unsigned long *slot);
void mrm_swap_free(struct mrm_vm *vm, unsigned long slot);
unsigned long mrm_swap_write(struct mrm_vm *vm, unsigned long slot, struct page **pages,
			     unsigned int n);
int mrm_swap_write_all(struct mrm_vm *vm, unsigned long slot, struct page **pages,
		       unsigned int n);
int mrm_swap_read(struct mrm_vm *vm, unsigned long slot, struct page **pages, unsigned int n);
struct file *mrm_swap_file(struct mrm_vm *vm);

#endif
