/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: How guest pages become shared
 *
 * A scanned page is looked for in the frame table by a 64-bit hash.  A shared
 * frame with equal contents takes it in.  For a hint, that is another private
 * frame, a fresh shared frame is filled, which both are compared with byte by
 * byte; a hint that differs is dropped if its hash has changed.  A page that
 * found nothing becomes a hint itself.
 *
 * A block of guest pages is done at a time: first all are looked up, then runs of
 * them are unmapped and compared.
 */
#ifndef MRM_SHARE_PAGES_H
#define MRM_SHARE_PAGES_H

struct mrm_vm;

#define MRM_SHARE_BLOCK	64U	/* guest pages: what one node of the XArray holds */

unsigned int mrm_share_pages(struct mrm_vm *vm, unsigned long first, unsigned int pages,
			     bool note, unsigned long *scanned);

#endif
