/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Content-based page sharing (Waldspurger 2002, 4)
 *
 * A scanned page is looked for in the frame table by a 64-bit hash.  A shared
 * frame with equal contents takes it in.  A hint, that is another private
 * frame, is hashed again; if it still is what it was, both are compared byte by
 * byte and move to a fresh shared frame.  Else the page becomes a hint itself.
 *
 * One lock, the share lock, is held for each page by the scanner and by
 * whoever changes what may be shared.  Breaking does not take it.
 */
#ifndef MRM_SHARE_H
#define MRM_SHARE_H

#include <linux/types.h>

struct mrm_vm;

bool mrm_share_page(struct mrm_vm *vm, unsigned long index);
bool mrm_share_begin(struct mrm_vm *vm);
int mrm_share_set_enabled(struct mrm_vm *vm, bool share);
int mrm_share_set_salt(struct mrm_vm *vm, const char *text);
ssize_t mrm_share_show_salt(struct mrm_vm *vm, char *buf);
int mrm_share_set_force_salting(unsigned int mode);

#endif
