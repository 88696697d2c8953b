/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: When guest pages get a large frame again
 *
 * When memory has been plentiful for a while: what is in use, at a limited rate.  What may be
 * rebuilt (guest_rebuild.c) is unmapped, and half a second later it is seen whether it has been
 * touched since.  Nothing is unmapped in vain again and again: there has to be a frame for it, and
 * no more are chosen than there were frames the last time; and what could not be rebuilt for the
 * moment keeps its turn.
 */
#ifndef MRM_LARGE_REBUILD_H
#define MRM_LARGE_REBUILD_H

#include <linux/types.h>
#include <linux/wait.h>

void mrm_large_rebuild(wait_queue_head_t *wake, bool (*plentiful)(void));
unsigned long mrm_large_rebuild_in(unsigned long most);

#endif
