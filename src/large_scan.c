// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: What breaking a large frame would save
 *
 * The scanner hashes the parts of large frames and leaves them where they are.  A part that
 * holds zeroes would be saved; so would one that equals a frame of 4 KiB, which the frame table
 * tells; and one that equals a part of another large frame.  For these there is a table of marks,
 * four bytes each, one for each part that there is: of a hash, 20 more bits of it, 11 of whose it
 * was, and whether somebody else had it before.  Others may take a mark's place, so a part may be
 * overlooked; one in a million is taken for what it is not.  It is an estimate: what is shared is
 * compared, when the frame has been broken.
 */
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_large.h"
#include "guest_page.h"
#include "large.h"
#include "large_scan.h"
#include "vm.h"

#define MIN_BITS	12
#define MAX_BITS	28		/* 1 GiB, of a host with 1 TiB in large frames */
#define TRY_EVERY	(10 * HZ)	/* jiffies, for more of them */
#define WHO_BITS	11
#define MET		1U		/* the lowest bit */
#define WHO_SHIFT	1
#define WHAT_SHIFT	(WHO_SHIFT + WHO_BITS)
#define WHAT_BITS	(32 - WHAT_SHIFT)

/* All under the share lock, but for who asks how large they are. */
static u32 *marks;
static unsigned int mark_bits;
static unsigned long next_try;	/* jiffies */

/*
 * As many as there are parts.  Those there were are found again in the next pass.  Not of the
 * kernel's last memory, whoever scans: who reclaims may have that.
 */
static void make_room(void)
{
	long frames = max(mrm_counter_read(&mrm_host_counters, MRM_LARGE), 1L);
	unsigned int bits = max(ilog2(frames) + 1 + MRM_LARGE_ORDER, MIN_BITS);
	u32 *more;

	bits = min(bits, MAX_BITS);
	if ((marks && bits <= mark_bits) || (next_try && time_before(jiffies, next_try)))
		return;
	next_try = jiffies + TRY_EVERY;
	more = kvcalloc(1UL << bits, sizeof(*more), GFP_KERNEL | MRM_SPARE | __GFP_NOMEMALLOC);
	if (!more)
		return;
	kvfree(marks);
	marks = more;
	WRITE_ONCE(mark_bits, bits);
}

static u32 *mark_of(u64 hash)
{
	return &marks[hash & ((1UL << mark_bits) - 1)];
}

/* Never 0 for nobody's: where it is, that one is overlooked. */
static u32 make_mark(struct mrm_vm *vm, u64 hash, struct page *part)
{
	return hash >> (64 - WHAT_BITS) << WHAT_SHIFT |
	       hash_long(mrm_frame_guest_page(part) + hash_64(vm->id, 64), WHO_BITS) << WHO_SHIFT;
}

/* Another guest page's, of the same hash? */
static bool is_another(u32 old, u32 mark)
{
	return old && (old & ~MET) != mark && old >> WHAT_SHIFT == mark >> WHAT_SHIFT;
}

/*
 * Has another guest page in a large frame had this hash?  From now on this one has.  It may have
 * had it in another frame, before that was broken.
 */
static bool meet(struct mrm_vm *vm, u64 hash, struct page *part)
{
	u32 *place, mark;
	bool met;

	if (!marks)
		return false;
	mark = make_mark(vm, hash, part);
	place = mark_of(hash);
	met = is_another(*place, mark);
	*place = mark | (met ? MET : 0);
	return met;
}

/**
 * mrm_large_scan_expects() - is a part of a large frame likely to be shared?
 * @vm: the VM, which may share
 * @hash: of what is in the part
 * @part: it
 *
 * Context: The share lock is held; does not sleep.
 * Return: whether somebody else had this hash when it was scanned last.
 */
bool mrm_large_scan_expects(struct mrm_vm *vm, u64 hash, struct page *part)
{
	u32 mark = make_mark(vm, hash, part), old = marks ? *mark_of(hash) : 0;

	return old == (mark | MET) || is_another(old, mark) ||
	       mrm_frame_table_has(hash, vm->salt);
}

/* What has a memory error is not read. */
static bool is_zero(struct page *part)
{
	return !PageHWPoison(part) && mrm_frame_contents_zero(part);
}

/**
 * mrm_large_scan_part() - note what a part of a large frame would save
 * @vm: the VM, which may share
 * @part: it, with a reference
 *
 * Context: The share lock is held; may sleep.
 */
void mrm_large_scan_part(struct mrm_vm *vm, struct page *part)
{
	bool zero = is_zero(part), saved = zero;
	u64 hash;

	if (!zero && !PageHWPoison(part)) {
		make_room();
		hash = mrm_frame_compute_hash(part, vm->salt);
		/* Both are asked: the one learns by it. */
		saved = meet(vm, hash, part);
		saved |= mrm_frame_table_has(hash, vm->salt);
	}
	mrm_guest_large_scanned(vm, part, saved, zero);
}

static unsigned int scan_zeroes(struct mrm_vm *vm, unsigned long first, bool note)
{
	unsigned int zeroes = 0;
	struct page *part;
	unsigned long i;
	bool zero;

	for (i = 0; i < MRM_LARGE_PAGES; i++) {
		part = mrm_guest_page_get(vm, first + i);
		if (!part)
			continue;
		if (mrm_frame_is_large(part)) {
			zero = is_zero(part);
			zeroes += zero;
			if (note)
				mrm_guest_large_scanned(vm, part, zero, zero);
		}
		put_page(part);
		mrm_cond_resched();
	}
	return zeroes;
}

/**
 * mrm_large_scan_zeroes() - the same for a VM that is not scanned: zeroes alone are found
 * @vm: the VM
 * @first: the first guest page of a large frame
 *
 * Context: May sleep.
 */
void mrm_large_scan_zeroes(struct mrm_vm *vm, unsigned long first)
{
	scan_zeroes(vm, first, true);
}

/**
 * mrm_large_scan_count_zeroes() - how many parts hold nothing, whatever the scanner knows?
 * @vm: the VM
 * @first: the first guest page of a large frame
 *
 * Context: May sleep.
 * Return: so many.
 */
unsigned int mrm_large_scan_count_zeroes(struct mrm_vm *vm, unsigned long first)
{
	return scan_zeroes(vm, first, false);
}

/**
 * mrm_large_scanned() - a block of guest pages has been scanned
 * @vm: the VM
 * @index: a guest page of it, perhaps in a large frame
 *
 * One that holds next to nothing is broken whether there is memory or not: a guest has touched
 * a little of 2 MiB and left the rest.
 *
 * Context: The share lock is held; may sleep.
 * Return: pages that this brought.
 */
unsigned int mrm_large_scanned(struct mrm_vm *vm, unsigned long index)
{
	struct mrm_large_look look;
	unsigned int freed = 0;

	if (mrm_guest_large_look(vm, index, &look) && !look.broken &&
	    look.saves * 100 >= READ_ONCE(mrm_large_tunables.break_pct) * MRM_LARGE_PAGES)
		mrm_guest_large_break(vm, index, mrm_large_scan_expects, true, &freed);
	return freed;
}

/**
 * mrm_large_scan_forget() - free the marks
 *
 * Context: The scanner has ended.
 */
void mrm_large_scan_forget(void)
{
	kvfree(marks);
	marks = NULL;
	mark_bits = 0;
}

/**
 * mrm_large_scan_bytes() - memory that the marks take
 * Return: bytes.
 */
size_t mrm_large_scan_bytes(void)
{
	unsigned int bits = READ_ONCE(mark_bits);

	return bits ? sizeof(u32) << bits : 0;
}
