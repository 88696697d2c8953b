/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The frame table
 *
 * One hash table for the whole host (Waldspurger 2002, 4.2): it holds the
 * shared frames and, as hints, the private frames that were scanned.  A hint
 * is never write-protected; its hash is what its contents were.
 *
 * Frames are chained through their own struct page.  Whatever is in a chain
 * is alive: a frame is taken out, under the stripe lock, before our reference
 * to it goes.  There is nothing to go stale but a hint's contents.
 *
 * The table is cut into stripes, each with its lock and a vector of heads that
 * grows and shrinks with what it holds.
 */
#ifndef MRM_FRAME_TABLE_H
#define MRM_FRAME_TABLE_H

#include <linux/types.h>

struct page;
struct seq_file;
struct mrm_vm;

/**
 * struct mrm_frame_table_count - what the chains hold
 * @hints: private frames
 * @shared: shared frames, zero frames included
 * @zero: of those, zero frames
 * @misplaced: frames in a chain that their hash does not lead to
 */
struct mrm_frame_table_count {
	unsigned long hints, shared, zero, misplaced;
};

int mrm_frame_table_init(void);
void mrm_frame_table_exit(void);

void mrm_hint_insert(struct page *frame, u64 hash);
void mrm_hint_remove(struct page *frame);

struct page *mrm_shared_get(u64 hash, u64 salt, bool zero);
struct page *mrm_shared_create(struct mrm_vm *vm, u64 hash, u64 salt, struct page *contents,
			       gfp_t flags);
struct page *mrm_shared_zero(struct mrm_vm *vm, u64 salt, gfp_t flags);
void mrm_shared_put(struct page *frame);
u64 mrm_shared_end(struct page *frame);

struct page *mrm_hint_get(u64 hash, u64 salt, struct page *not_this, struct mrm_vm **vm,
			  unsigned long *index);

bool mrm_frame_table_has(u64 hash, u64 salt);
void mrm_frame_table_make_room(u64 hash);
void mrm_frame_table_shrink(void);
size_t mrm_frame_table_bytes(void);
long mrm_shared_frames(void);
long mrm_zero_frames(void);
void mrm_frame_table_show(struct seq_file *m);
void mrm_frame_table_count(struct mrm_frame_table_count *count);

#endif
