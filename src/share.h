/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Content-based page sharing (Waldspurger 2002, 4)
 *
 * Here is who may share with whom; how pages become shared is in share_pages.c.
 *
 * One lock, the share lock, is held for each block by the scanner, by who reclaims, and by
 * whoever changes what may be shared.  Breaking does not take it.
 */
#ifndef MRM_SHARE_H
#define MRM_SHARE_H

#include <linux/types.h>

struct mrm_vm;

unsigned int mrm_share_block(struct mrm_vm *vm, unsigned long first, unsigned int pages,
			     unsigned long *scanned);
unsigned int mrm_share_try_block(struct mrm_vm *vm, unsigned long first, unsigned int pages);
bool mrm_share_scans(struct mrm_vm *vm);
unsigned int mrm_share_scan_large(struct mrm_vm *vm, unsigned long index);
int mrm_share_break_large(struct mrm_vm *vm, unsigned long index, bool wait, unsigned int *freed);
void mrm_share_prepare(struct mrm_vm *vm);
bool mrm_share_begin(struct mrm_vm *vm);
int mrm_share_set_enabled(struct mrm_vm *vm, bool share);
int mrm_share_set_salt(struct mrm_vm *vm, const char *text);
ssize_t mrm_share_show_salt(struct mrm_vm *vm, char *buf);
int mrm_share_set_force_salting(unsigned int mode);
void mrm_share_pause(void);
void mrm_share_resume(void);

#endif
