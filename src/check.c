// SPDX-License-Identifier: GPL-2.0
/*
 * Counting everything again, for tests and for whoever doubts a counter: each
 * guest page is in one state, each private frame has one owner, each shared frame
 * is named as often as it says, and the frame table holds what it should.
 */
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "check.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_large.h"
#include "guest_page.h"
#include "share.h"
#include "vm.h"

/* Counters of what is now; the others are of what was done. */
static const char * const recounted[] = {
	[MRM_PRIVATE] = "private",
	[MRM_SHARED] = "shared",
	[MRM_ZERO] = "zero",
	[MRM_HINTED] = "hinted",
	[MRM_INELIGIBLE] = "ineligible",
	[MRM_ZIPPED] = "zipped",
	[MRM_ZIPPED_BYTES] = "zipped bytes",
	[MRM_SWAPPED] = "swapped",
	[MRM_SWAP_CACHED] = "in swap, too",
	[MRM_LARGE] = "large",
	[MRM_LARGE_HELD] = "held in broken large frames",
	[MRM_LARGE_UNTOUCHED] = "untouched in large frames",
	[MRM_HOT] = "hot",
};

/**
 * struct check - a check under way
 * @m: where complaints go
 * @wrong: how many there were
 * @names: how many guest pages name a shared frame, by page frame number
 * @vm: what this VM has, indexed by enum mrm_counter
 * @host: the sum of all
 */
struct check {
	struct seq_file *m;
	unsigned long wrong;
	struct xarray names;
	long vm[ARRAY_SIZE(recounted)];
	long host[ARRAY_SIZE(recounted)];
};

static void page_wrong(struct check *c, struct mrm_vm *vm, unsigned long index, const char *what)
{
	seq_printf(c->m, "vm %d page %#lx: %s\n", vm->pid, index, what);
	c->wrong++;
}

static void compare(struct check *c, pid_t pid, const char *what, long counter, long is)
{
	if (counter == is)
		return;
	seq_printf(c->m, "vm %d %s: counter %ld, recount %ld\n", pid, what, counter, is);
	c->wrong++;
}

static void compare_counters(struct check *c, pid_t pid, const struct mrm_counters *counters,
			     const long *is)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(recounted); i++)
		if (recounted[i])
			compare(c, pid, recounted[i], mrm_counter_read(counters, i), is[i]);
}

/* One more guest page names a shared frame. */
static void count_name(struct check *c, struct mrm_vm *vm, unsigned long index,
		       struct page *frame)
{
	unsigned long pfn = page_to_pfn(frame);
	void *n = xa_load(&c->names, pfn);

	n = xa_mk_value(n ? xa_to_value(n) + 1 : 1);
	if (xa_err(xa_store(&c->names, pfn, n, GFP_KERNEL)))
		page_wrong(c, vm, index, "not counted: no memory");
}

/* Each large frame is looked at once, at the first of its parts that a guest page has. */
static void check_large(struct check *c, struct mrm_vm *vm, unsigned long index,
			struct page *part)
{
	unsigned long first = index - mrm_frame_part(part), i, left = 0;
	struct page *frame = mrm_frame_first(part);
	bool broken = *mrm_large_word(part, MRM_LARGE_IS_BROKEN);

	for (i = 0; i < MRM_LARGE_PAGES; i++) {
		bool has = xa_load(&vm->pages, first + i) == frame + i;

		if (has && first + i < index)
			return;
		left += has;
	}
	if (left != *mrm_large_word(part, MRM_LARGE_LEFT) ||
	    /* It may have failed in earnest, too. */
	    (broken && !folio_test_has_hwpoisoned(page_folio(part))) ||
	    (!broken && left != MRM_LARGE_PAGES))
		page_wrong(c, vm, index, "the large frame has other parts");
	if (broken)
		c->vm[MRM_LARGE_HELD] += MRM_LARGE_PAGES - left;
	else
		c->vm[MRM_LARGE]++;
	c->vm[MRM_LARGE_UNTOUCHED] += mrm_guest_large_untouched(frame);
}

/* A private frame, and a slot that holds the same, as far as its checksum says. */
static void check_cached(struct check *c, struct mrm_vm *vm, unsigned long index,
			 struct page *frame)
{
	void *entry = xa_load(&vm->cached, index);

	c->vm[MRM_SWAP_CACHED]++;
	if (!mrm_entry_is_swapped(entry) ||
	    (!PageHWPoison(frame) && mrm_frame_checksum(frame) != mrm_entry_sum(entry)))
		page_wrong(c, vm, index, "it holds what its slot does not");
}

static void check_page(struct check *c, struct mrm_vm *vm, unsigned long index, void *entry)
{
	bool shared = xa_pointer_tag(entry) == MRM_ENTRY_SHARED;
	struct page *frame;

	if (mrm_entry_is_swapped(entry)) {
		c->vm[MRM_SWAPPED]++;
		return;
	}
	frame = mrm_guest_page_get(vm, index);
	if (!frame) {
		unsigned int bytes = mrm_guest_page_zipped_bytes(vm, index);

		c->vm[MRM_ZIPPED] += !!bytes;
		c->vm[MRM_ZIPPED_BYTES] += bytes;
		if (bytes && (xa_get_mark(&vm->pages, index, MRM_MARK_SHARED) ||
			      xa_get_mark(&vm->pages, index, MRM_MARK_PRIVATE) ||
			      xa_get_mark(&vm->pages, index, MRM_MARK_INELIGIBLE)))
			page_wrong(c, vm, index, "zipped, and marked as a frame");
		return;
	}
	if (mrm_frame_is_shared(frame) != shared)
		page_wrong(c, vm, index, "entry and frame differ in being shared");
	if (xa_get_mark(&vm->pages, index, MRM_MARK_SHARED) != shared ||
	    xa_get_mark(&vm->pages, index, MRM_MARK_PRIVATE) == shared)
		page_wrong(c, vm, index, "mark and entry differ in being shared");
	c->vm[MRM_INELIGIBLE] += xa_get_mark(&vm->pages, index, MRM_MARK_INELIGIBLE);
	if (shared) {
		c->vm[MRM_SHARED]++;
		c->vm[MRM_ZERO] += mrm_frame_is_zero(frame);
		if (mrm_frame_salt(frame) != vm->salt)
			page_wrong(c, vm, index, "shared under another salt");
		if (mrm_frame_is_zero(frame) && !PageHWPoison(frame) &&
		    !mrm_frame_contents_zero(frame))
			page_wrong(c, vm, index, "the zero frame is not zero");
		count_name(c, vm, index, frame);
	} else {
		c->vm[MRM_PRIVATE]++;
		c->vm[MRM_HINTED] += mrm_frame_hash(frame) != 0;
		if (mrm_frame_vm(frame) != vm || mrm_frame_guest_page(frame) != index)
			page_wrong(c, vm, index, "frame has another owner");
		if (mrm_frame_is_large(frame))
			check_large(c, vm, index, frame);
		if (mrm_frame_is_cached(frame))
			check_cached(c, vm, index, frame);
	}
	/* The entry's and the one just taken. */
	if (page_count(frame) < 2)
		page_wrong(c, vm, index, "entry without a reference");
	put_page(frame);
}

static void check_vm(struct check *c, struct mrm_vm *vm)
{
	unsigned long index, slots = 0;
	void *entry;
	int i;

	memset(c->vm, 0, sizeof(c->vm));
	xa_for_each(&vm->pages, index, entry) {
		check_page(c, vm, index, entry);
		cond_resched();
	}
	xa_for_each(&vm->hot, index, entry)
		c->vm[MRM_HOT]++;
	xa_for_each(&vm->cached, index, entry)
		slots++;
	compare(c, vm->pid, "slots of what is in swap, too", slots, c->vm[MRM_SWAP_CACHED]);
	compare_counters(c, vm->pid, &vm->counters, c->vm);
	for (i = 0; i < ARRAY_SIZE(recounted); i++)
		c->host[i] += c->vm[i];
}

static void check_frames(struct check *c)
{
	unsigned long pfn, frames = 0, zero = 0;
	struct mrm_frame_table_count table;
	void *n;

	xa_for_each(&c->names, pfn, n) {
		struct page *frame = pfn_to_page(pfn);

		frames++;
		zero += mrm_frame_is_zero(frame);
		compare(c, 0, "names of a frame", atomic_long_read(mrm_frame_refs(frame)),
			xa_to_value(n));
	}
	compare(c, 0, "shared frames", mrm_shared_frames(), frames);
	compare(c, 0, "zero frames", mrm_zero_frames(), zero);
	mrm_frame_table_count(&table);
	compare(c, 0, "shared frames in the table", table.shared, frames);
	compare(c, 0, "zero frames in the table", table.zero, zero);
	compare(c, 0, "hints in the table", table.hints, c->host[MRM_HINTED]);
	compare(c, 0, "misplaced in the table", table.misplaced, 0);
}

/**
 * mrm_check() - recount every guest page of every VM, and every shared frame
 * @m: where complaints go, a line each; those of the host name VM 0
 *
 * The scanner is kept out; exact only while guests are still, too.  While they are
 * not, it is safe and its complaints mean nothing.
 *
 * Context: May sleep; takes the share lock.
 * Return: how many things are wrong.
 */
unsigned long mrm_check(struct seq_file *m)
{
	struct check *c = kzalloc(sizeof(*c), GFP_KERNEL);
	unsigned long id = 0, wrong;
	struct mrm_vm *vm;

	if (!c) {
		seq_puts(m, "no memory\n");
		return 1;
	}
	c->m = m;
	xa_init(&c->names);
	mrm_share_pause();
	while ((vm = mrm_vm_next(&id))) {
		check_vm(c, vm);
		mrm_vm_put(vm);
	}
	compare_counters(c, 0, &mrm_host_counters, c->host);
	check_frames(c);
	mrm_share_resume();
	xa_destroy(&c->names);
	wrong = c->wrong;
	kfree(c);
	return wrong;
}
