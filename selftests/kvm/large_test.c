// SPDX-License-Identifier: GPL-2.0
/*
 * Guest pages of 2 MiB: had on first touch, mapped as such for QEMU and for the guest; broken
 * when a part of one is discarded or one holds next to nothing, and rebuilt; and whatever becomes
 * of them, not one wrong byte.  When memory is short: large_short_test.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "large_vm.h"
#include "mrm.h"
#include "pin.h"
#include "tap.h"
#include "trace.h"
#include "vm_process.h"

#define LARGE		16L	/* large ones that RAM has room for */
#define PAGES		(LARGE * PARTS)
#define HALF		(PAGES / 2)
#define MOVED		"mrm/mrm_large_moved"
#define COPIED		"hist:keys=pid:vals=copied"

static struct vm_process vm;

static void test_first_touch(void)
{
	long i, kvm = kvm_large_mappings(), before;

	large_start(&vm, PAGES);
	before = mrm_get("overhead_bytes");
	for (i = 0; i < LARGE / 2; i++)
		process_fill(&vm, i * PARTS + 70 * i, 1, 1 << 20);
	large_are(&vm, LARGE / 2, PAGES / 2, "one page in each 2 MiB is written");
	tap_equal(large_map_says(&vm, PAGES, "FilePmdMapped"), LARGE / 2 * 2048,
		  "they are mapped as large ones");
	if (kvm >= 0)
		tap_equal(kvm_large_mappings() - kvm, LARGE / 2, "for the guest, too");
	else
		tap_skip("no pages_2m", "for the guest, too");
	for (i = LARGE / 2; i < LARGE; i++)
		if (process_guest(&vm, GUEST_READ, i * PARTS + 5, 1))
			tap_bail("cannot read");
	large_are(&vm, LARGE, PAGES, "the guest reads in the others");
	tap_equal(large_map_says(&vm, PAGES, "FilePmdMapped"), LARGE * 2048,
		  "what is read is mapped as large, too");
	if (kvm >= 0)
		tap_equal(kvm_large_mappings() - kvm, LARGE, "and for the guest");
	tap_ok(mrm_wait_count("overhead_bytes", before + (long)HUGE_SIZE,
			      before + 2 * (long)HUGE_SIZE, MRM_LONG),
	       "the reserve to break them with counts as overhead");
	large_end(&vm, "after first touches");
}

static void test_user_reads(void)
{
	large_start(&vm, PAGES);
	/* Before that it has no zero frames to map. */
	if (!mrm_full_pass())
		tap_bail("no pass");
	tap_equal(process_user(&vm, GUEST_READ, 0, PAGES), 0, "user space reads all");
	large_are(&vm, 0, 0, "which needs no memory");
	process_fill(&vm, 0, PARTS, 1 << 20);
	/* Page tables are in the way now, and zero frames where nothing was. */
	large_are(&vm, 0, PARTS, "what is written after that is small");
	large_end(&vm, "after user space has read");
}

static void test_switches(void)
{
	large_start(&vm, PAGES);
	tap_equal(mrm_vm_set(vm.pid, "alloc_guest_large_page", "2"), -EINVAL, "2 is no switch");
	tap_equal(mrm_vm_set(vm.pid, "alloc_guest_large_page", "0"), 0, "off for the VM");
	process_fill(&vm, 0, 1, 1 << 20);
	large_are(&vm, 0, 1, "off for the VM");
	mrm_vm_set(vm.pid, "alloc_guest_large_page", "1");
	process_fill(&vm, PARTS, 1, 1 << 20);
	large_are(&vm, 1, 1 + PARTS, "on for the VM");
	mrm_set("alloc_guest_large_page", "0");
	process_fill(&vm, 2 * PARTS, 1, 1 << 20);
	large_are(&vm, 1, 2 + PARTS, "off for the host");
	mrm_set("alloc_guest_large_page", "1");
	process_fill(&vm, 3 * PARTS, 1, 1 << 20);
	large_are(&vm, 2, 2 + 2 * PARTS, "on for the host");
	process_fill(&vm, 1, 1, 1 << 20);
	large_are(&vm, 2, 3 + 2 * PARTS, "where there is a small one already");
	large_end(&vm, "after switching");
}

static void test_discard(void)
{
	long discarded, scanned;

	large_start(&vm, PAGES);
	/* From then on what is read there of what was discarded needs no memory. */
	if (!mrm_full_pass())
		tap_bail("no pass");
	process_fill(&vm, 0, PAGES, 1 << 20);
	large_are(&vm, LARGE, PAGES, "all is filled");
	discarded = mrm_vm_get(vm.pid, "discarded_pages");
	tap_equal(process_discard(&vm, 0, PARTS), 0, "2 MiB are discarded");
	large_are(&vm, LARGE - 1, PAGES - PARTS, "2 MiB are discarded");
	tap_equal(process_discard(&vm, PARTS, 2 * PARTS), 0, "4 MiB are discarded");
	large_are(&vm, LARGE - 3, PAGES - 3 * PARTS, "4 MiB are discarded");
	tap_equal(mrm_vm_get(vm.pid, "large_held_bytes"), 0, "nothing is held");
	tap_equal(mrm_vm_get(vm.pid, "large_pages_broken"), 0, "none was broken");

	scanned = mrm_vm_get(vm.pid, "scanned_pages");
	tap_equal(process_discard(&vm, 4 * PARTS + 7, 1), 0, "one page is discarded");
	large_are(&vm, LARGE - 4, PAGES - 3 * PARTS - 1, "one page is discarded");
	/* Its neighbours may be moving out. */
	tap_between(mrm_vm_get(vm.pid, "large_held_bytes"), 0, PARTS * PAGE_SIZE, "it may be held");
	tap_equal(mrm_vm_get(vm.pid, "large_pages_broken"), 1, "one was broken");
	/* A guest that reads what was discarded gets large pages. */
	tap_equal(process_user(&vm, GUEST_VERIFY, 0, PAGES), 0, "it is zero, all else is intact");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "its memory comes back");
	large_are(&vm, LARGE - 4, PAGES - 3 * PARTS - 1,
		  "and its neighbours have frames of their own");

	tap_equal(process_discard(&vm, 5 * PARTS + 100, PARTS), 0,
		  "from the middle of one to another's");
	large_are(&vm, LARGE - 6, PAGES - 4 * PARTS - 1, "from the middle of one to another's");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "their memory comes back");
	tap_equal(mrm_vm_get(vm.pid, "discarded_pages") - discarded, 4 * PARTS + 1,
		  "all were counted");
	tap_equal(mrm_vm_get(vm.pid, "scanned_pages"), scanned,
		  "what is left was not scanned, as the scanner is off");
	large_end(&vm, "after discards");
}

/*
 * A page of a large one is discarded, its neighbour touched, and then it is written again: not
 * through what is left of the large one.
 */
static void test_neighbour(void)
{
	long i;

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 1 << 20);
	for (i = 0; i < LARGE; i++) {
		if (process_discard(&vm, i * PARTS + 7, 1) ||
		    process_guest(&vm, GUEST_TOUCH, i * PARTS + 300, 1))
			tap_bail("cannot discard");
		process_fill(&vm, i * PARTS + 7, 1, 2 << 20);
	}
	tap_ok(process_verify(&vm), "what was discarded and written again is there");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "nothing is held for long");
	large_are(&vm, 0, PAGES, "all were broken");
	large_end(&vm, "after neighbours");
}

/* All guest pages of a large one, in the balloon's way. */
static void test_balloon(void)
{
	long i;

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 1 << 20);
	for (i = 0; i < 4 * PARTS; i++)
		if (process_discard(&vm, i, 1))
			tap_bail("cannot discard");
	large_are(&vm, LARGE - 4, PAGES - 4 * PARTS, "four of them, page by page");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "nothing is held for long");
	tap_equal(mrm_vm_get(vm.pid, "large_pages_broken"), 4, "they were broken");
	large_end(&vm, "after a balloon");
}

/* A page that somebody has a reference to: what else is in its frame can be discarded. */
static void test_pinned(void)
{
	struct lent_pages lent = { .first = 10, .count = 1 };

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 1 << 20);
	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0,
		  "a page is lent to a pipe");
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	tap_equal(mrm_vm_get(vm.pid, "large_pages"), 1, "all others can be broken");
	tap_ok(process_verify(&vm), "every byte is right");
	tap_equal(process_discard(&vm, 11, 2), 0, "its neighbours are discarded");
	tap_equal(mrm_vm_get(vm.pid, "large_pages"), 0, "so it is broken");
	tap_equal(mrm_vm_get(vm.pid, "large_held_bytes"), 2 * PAGE_SIZE, "and stays so");
	tap_ok(process_verify(&vm), "they are zero, all else is intact");
	process_fill(&vm, 8, 4, 2 << 20);
	tap_ok(process_verify(&vm), "what is written beside it, and to it, is there");
	lent.states[0] = vm.states[lent.first];
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0,
		  "and is what the pipe sees: it still is the same page");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "then all comes back");
	large_end(&vm, "after a page was lent");
}

static void test_untouched(void)
{
	long i;

	large_start(&vm, PAGES);
	for (i = 0; i < LARGE; i++)
		process_fill(&vm, i * PARTS, i < 8 ? 40 : 100, 1 << 20);
	large_are(&vm, LARGE, PAGES, "a little of each is written");
	tap_ok(mrm_full_pass() && mrm_full_pass(), "it is scanned");
	large_are(&vm, 8, 8 * PARTS + 8 * 40, "those that hold next to nothing are broken");
	large_end(&vm, "after that");
}

static bool all_shared(void *unused)
{
	(void)unused;
	return mrm_full_pass() && mrm_get("shared_pages") == PAGES;
}

/*
 * Of two that are equal the second to be scanned is known to be, and broken; and then the first,
 * when it is scanned again.
 */
static void test_equal(void)
{
	bool is_traced;
	long i;

	large_start(&vm, PAGES);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i % HALF;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("RAM is not filled");
	is_traced = trace_begin(MOVED, COPIED);
	tap_ok(wait_until(all_shared, NULL, MRM_LONG), "pairs of equal ones are shared");
	large_are(&vm, 0, 0, "pairs");
	tap_equal(mrm_get("shared_frames"), HALF, "with each other");
	if (is_traced)
		/* Of some it is not known: others have taken the place of their marks. */
		tap_between(trace_sum(MOVED, "copied"), HALF, HALF * 5 / 4, "one of two is copied");
	else
		tap_skip("no histogram of it", "one of two is copied");
	trace_end(MOVED, COPIED);
	large_end(&vm, "after equal ones were shared");
}

static void untouched_are(long pages, const char *what)
{
	tap_equal(mrm_vm_get(vm.pid, "large_untouched_bytes"), pages * PAGE_SIZE,
		  "%s: untouched", what);
	tap_equal(mrm_get("large_untouched_bytes"), pages * PAGE_SIZE, "the host's: %s", what);
}

/* What 4 KiB would not have taken is counted when it is scanned, while it is in a large one. */
static void test_counted(void)
{
	const long used = 40, rest = PARTS - used;
	long i;

	mrm_set("large_break_pct", "100");
	large_start(&vm, PAGES);
	for (i = 0; i < LARGE; i++)
		process_fill(&vm, i * PARTS + 30 * i, used, 1 << 20);
	untouched_are(0, "nothing was scanned");
	tap_ok(mrm_full_pass(), "it is scanned");
	untouched_are(LARGE * rest, "all but what was written");
	process_fill(&vm, 100, 10, 1 << 20);
	tap_ok(mrm_full_pass(), "it is scanned");
	untouched_are(LARGE * rest - 10, "ten more were written");
	tap_equal(process_discard(&vm, 5 * PARTS, PARTS), 0, "one is discarded");
	untouched_are((LARGE - 1) * rest - 10, "one was discarded");
	tap_equal(process_discard(&vm, 6 * PARTS, 1), 0, "one page is discarded");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "the rest moves out");
	untouched_are((LARGE - 2) * rest - 10, "another was broken");
	large_are(&vm, LARGE - 2, (LARGE - 2) * PARTS + used, "and holds what was written");
	mrm_set("large_break_pct", "88");
	large_end(&vm, "after it was counted");
}

/* What splits the mapping, but not the frame. */
static long protect(struct vm *v, void *arg)
{
	uint8_t *start = v->view.ram + *(long *)arg * PAGE_SIZE;

	if (mprotect(start, PAGE_SIZE, PROT_READ) ||
	    mprotect(start, PAGE_SIZE, PROT_READ | PROT_WRITE) ||
	    madvise(start, PAGE_SIZE, MADV_COLD))
		return -errno;
	return 0;
}

static void test_split(void)
{
	long page = 3 * PARTS + 9;

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 1 << 20);
	tap_equal(process_call(&vm, protect, &page, sizeof(page)), 0,
		  "one page is protected, and not any more, and said to be cold");
	large_are(&vm, LARGE, PAGES, "then");
	process_fill(&vm, 3 * PARTS, PARTS, 2 << 20);
	large_end(&vm, "after it was written again");
}

/* Mapped as large ones, by QEMU's page tables: those that were in the way are gone. */
static bool all_mapped(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return large_map_says(&vm, PAGES, "FilePmdMapped") == LARGE * 2048;
}

/* Those that were looked at while they were being filled are, when they are touched again. */
static bool all_rebuilt(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return mrm_vm_get(vm.pid, "large_pages") == LARGE;
}

/* A VM whose large frames have all been broken, for one page of each. */
static void start_broken(void)
{
	long i;

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 1 << 20);
	for (i = 0; i < LARGE; i++)
		if (process_discard(&vm, i * PARTS + i, 1))
			tap_bail("cannot discard");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "all are broken");
}

static void test_rebuilt(void)
{
	long kvm, begun;

	start_broken();
	large_are(&vm, 0, PAGES - LARGE, "all are broken");
	tap_equal(mrm_set("large_rebuild_rate", "1025"), -EINVAL, "1,025 a second are too many");
	kvm = kvm_large_mappings();
	process_fill(&vm, 0, PAGES, 2 << 20);
	begun = now_ms();
	mrm_set("large_rebuild_rate", "4");
	tap_ok(wait_until(all_rebuilt, NULL, MRM_LONG), "they are rebuilt while they are touched");
	tap_ok(now_ms() - begun >= (LARGE / 4 - 1) * 1000, "four in a second, and no more");
	large_are(&vm, LARGE, PAGES, "they are rebuilt");
	tap_note("%ld times there was none to be had", mrm_vm_get(vm.pid, "large_pages_failed"));
	tap_equal(mrm_vm_get(vm.pid, "large_pages_rebuilt"), LARGE, "and counted");
	mrm_set("large_rebuild_rate", "0");
	/* After an error a minute goes by. */
	tap_ok(wait_until(all_mapped, NULL, 3 * MRM_LONG),
	       "and mapped as such when they are touched");
	if (kvm >= 0)
		tap_equal(kvm_large_mappings() - kvm, LARGE, "for the guest, too");
	large_are(&vm, LARGE, PAGES, "after that");
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), PAGES * PAGE_SIZE, "all is adopted");
	tap_equal(process_discard(&vm, 5, 1), 0, "one page is discarded");
	large_are(&vm, LARGE - 1, PAGES - 1, "one page is discarded");
	/* The recount is right of what stands still. */
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "the rest moves out");
	large_end(&vm, "after it was rebuilt");
}

static bool are_rebuilt(void *number)
{
	process_guest(&vm, GUEST_READ, 0, PAGES);
	return mrm_vm_get(vm.pid, "large_pages") >= *(long *)number;
}

/* What would be taken again. */
static void test_rebuilt_above_max(void)
{
	char half[24];
	long one = 1;

	snprintf(half, sizeof(half), "%ld", PAGES * PAGE_SIZE / 2);
	start_broken();
	process_fill(&vm, 0, PAGES, 2 << 20);
	tap_equal(mrm_vm_set(vm.pid, "max_bytes", half), 0, "it is to have half of what it has");
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(!wait_until(are_rebuilt, &one, 4000), "nothing is rebuilt for it");
	tap_equal(mrm_vm_set(vm.pid, "max_bytes", "0"), 0, "it may have all");
	tap_ok(wait_until(all_rebuilt, NULL, MRM_LONG), "then all are rebuilt");
	mrm_set("large_rebuild_rate", "0");
	large_end(&vm, "after it was to have less");
}

/* What was scanned before it was broken and rebuilt is not taken for its own equal. */
static void test_rebuilt_scanned(void)
{
	long i, broken;

	large_start(&vm, PAGES);
	process_fill(&vm, 0, PAGES, 3 << 20);
	tap_ok(mrm_full_pass() && mrm_full_pass(), "all is scanned");
	large_are(&vm, LARGE, PAGES, "nothing is equal");
	for (i = 0; i < LARGE; i++)
		if (process_discard(&vm, i * PARTS + i, 1))
			tap_bail("cannot discard");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "all are broken");
	process_fill(&vm, 0, PAGES, 3 << 20);
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(all_rebuilt, NULL, MRM_LONG), "and rebuilt");
	mrm_set("large_rebuild_rate", "0");
	broken = mrm_vm_get(vm.pid, "large_pages_broken");
	tap_ok(mrm_full_pass() && mrm_full_pass(), "all is scanned again");
	tap_equal(mrm_vm_get(vm.pid, "large_pages_broken") - broken, 0, "none is broken for that");
	large_end(&vm, "after it was scanned and rebuilt");
}

static bool half_is_rebuilt(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, HALF);
	return mrm_vm_get(vm.pid, "large_pages") == LARGE / 2;
}

/* What nobody touches stays as it is. */
static void test_rebuilt_cold(void)
{
	long more = LARGE / 2 + 1;

	start_broken();
	process_fill(&vm, 0, PAGES, 4 << 20);
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(half_is_rebuilt, NULL, MRM_LONG), "what is in use is rebuilt");
	tap_ok(!mrm_vm_wait(vm.pid, "large_pages", more, LARGE, 3000), "and no more");
	mrm_set("large_rebuild_rate", "0");
	large_are(&vm, LARGE / 2, PAGES, "half is rebuilt");
	large_end(&vm, "after half was rebuilt");
}

/* Nor is what somebody has a reference to: it would have another page than the guest. */
static void test_rebuilt_lent(void)
{
	struct lent_pages lent = { .first = PARTS + 10, .count = 1 };
	long others = LARGE - 1, all = LARGE;

	start_broken();
	process_fill(&vm, 0, PAGES, 5 << 20);
	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0,
		  "a page is lent to a pipe");
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(are_rebuilt, &others, MRM_LONG), "all others are rebuilt");
	tap_ok(!wait_until(are_rebuilt, &all, 4000), "and no more");
	tap_ok(process_verify(&vm), "every byte is right");
	process_fill(&vm, lent.first, 1, 6 << 20);
	lent.states[0] = vm.states[lent.first];
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0,
		  "the pipe sees what the guest writes");
	tap_ok(wait_until(all_rebuilt, NULL, 3 * MRM_LONG), "then that is rebuilt, too");
	mrm_set("large_rebuild_rate", "0");
	large_end(&vm, "after a page was lent");
}

/* Those that are shared, zeroes and a pair: a few are no reason to stay small, many are. */
static void test_rebuilt_shared(void)
{
	const long few = 10, many = 100;
	long half = LARGE / 2, broken, i, j;

	start_broken();
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i;
	for (i = 0; i < LARGE; i++)
		for (j = 0; j < (i < half ? few : many); j++)
			vm.states[i * PARTS + 20 + j] = 0;
	for (i = 0; i < half; i++)
		vm.states[i * PARTS + 300] = vm.states[i * PARTS + 400];
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("RAM is not filled");
	tap_ok(mrm_full_pass(), "it is scanned");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), half * (few + 2 + many),
		  "zeroes and pairs are shared");
	broken = mrm_vm_get(vm.pid, "broken_pages");
	mrm_set("large_rebuild_rate", "16");
	tap_ok(wait_until(are_rebuilt, &half, MRM_LONG),
	       "those with few of them are rebuilt");
	mrm_set("large_rebuild_rate", "0");
	large_are(&vm, half, PAGES - half * many, "those with few of them are rebuilt");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), half * many, "the others stay as they are");
	tap_equal(mrm_vm_get(vm.pid, "broken_pages") - broken, half * (few + 2),
		  "no more are broken");
	large_end(&vm, "after those with few shared were rebuilt");
}

static long no_large(struct vm *v, void *unused)
{
	(void)unused;
	return madvise(v->view.ram, HALF * PAGE_SIZE, MADV_NOHUGEPAGE) ? -errno : 0;
}

static long disable(struct vm *v, void *disabled)
{
	(void)v;
	return prctl(PR_SET_THP_DISABLE, *(long *)disabled, 0, 0, 0) ? -errno : 0;
}

/* A process may want none at all. */
static void test_disabled(void)
{
	long yes = 1, no = 0, one = 1, all = LARGE;

	large_start(&vm, PAGES);
	tap_equal(process_call(&vm, disable, &yes, sizeof(yes)), 0,
		  "the process wants no large pages");
	process_fill(&vm, 0, PAGES, 1 << 20);
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(!wait_until(are_rebuilt, &one, 3000), "none is rebuilt");
	large_are(&vm, 0, PAGES, "it has none");
	tap_equal(process_call(&vm, disable, &no, sizeof(no)), 0, "it may have some again");
	tap_ok(wait_until(are_rebuilt, &all, MRM_LONG), "all are rebuilt");
	mrm_set("large_rebuild_rate", "0");
	large_end(&vm, "after the process wanted none");
}

/* Where the process wants none there are none, and nothing is unmapped or unshared for one. */
static void test_unwanted(void)
{
	long half = LARGE / 2, more = LARGE / 2 + 1, broken, mapped, i;

	large_start(&vm, PAGES);
	tap_equal(process_call(&vm, no_large, &half, sizeof(half)), 0,
		  "half of RAM is to have none");
	mrm_vm_set(vm.pid, "alloc_guest_large_page", "0");
	process_fill(&vm, 0, PAGES, 1 << 20);
	large_are(&vm, 0, PAGES, "there are none");
	for (i = 0; i < half; i++)
		vm.states[i * PARTS + 7] = 0;
	if (process_guest(&vm, GUEST_FILL, 0, HALF))
		tap_bail("RAM is not filled");
	tap_ok(mrm_full_pass(), "it is scanned");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), half, "zeroes are shared");
	broken = mrm_vm_get(vm.pid, "broken_pages");
	mrm_vm_set(vm.pid, "alloc_guest_large_page", "1");
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(are_rebuilt, &half, MRM_LONG), "the other half is rebuilt");
	tap_ok(!wait_until(are_rebuilt, &more, 3000), "and no more");
	large_are(&vm, LARGE / 2, PAGES - half, "after that");
	tap_equal(process_user(&vm, GUEST_VERIFY, 0, HALF), 0, "user space reads the rest");
	mapped = large_map_says(&vm, HALF, "Rss");
	tap_ok(mapped >= HALF * (long)PAGE_SIZE / 1024, "by page tables of its own");
	tap_ok(!mrm_vm_wait(vm.pid, "large_pages", more, LARGE, 3000), "nothing is rebuilt");
	tap_equal(large_map_says(&vm, HALF, "Rss"), mapped, "nor unmapped for that");
	mrm_set("large_rebuild_rate", "0");
	tap_equal(mrm_vm_get(vm.pid, "broken_pages"), broken,
		  "nothing is unshared for what is not rebuilt");
	large_end(&vm, "after half was rebuilt");
}

int main(void)
{
	mrm_begin();
	mrm_set("alloc_guest_large_page", "1");
	mrm_set("large_break_pct", "88");
	test_first_touch();
	test_user_reads();
	test_switches();
	test_discard();
	test_neighbour();
	test_balloon();
	test_pinned();
	test_untouched();
	test_equal();
	test_counted();
	test_split();
	test_rebuilt();
	test_rebuilt_scanned();
	test_rebuilt_cold();
	test_rebuilt_above_max();
	test_rebuilt_lent();
	test_rebuilt_shared();
	test_unwanted();
	test_disabled();
	return tap_done();
}
