// SPDX-License-Identifier: GPL-2.0
/*
 * What was read from swap and not written to since is not written again: it keeps its slot, until
 * somebody writes to it, gives it up or shares it, or until slots are scarce.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "disk.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define SLOTS		((long)(DISK_RAM_BYTES / PAGE_SIZE))
#define PAGES		2048L
#define HALF		(PAGES / 2)
#define PART		(PAGES / 4)
#define MANY		(SLOTS * 15 / 16)
#define KEPT_LEAST	(SLOTS / 2)
#define KEPT_MOST	(SLOTS * 4 / 5 + 1)

static struct vm_process vm;

static long get(const char *file)
{
	return mrm_vm_get(vm.pid, file);
}

static void start(size_t pages)
{
	const struct vm_config config = { .pages = pages };

	process_start(&vm, &config);
	tap_equal(disk_hand_over(DISK_RAM, vm.pid), 0, "a VM of %zu pages gets a swap file", pages);
}

static void fill(size_t first, size_t count, uint32_t id)
{
	size_t i;

	for (i = first; i < first + count; i++)
		vm.states[i] = id + i;
	if (process_guest(&vm, GUEST_FILL, first, count))
		tap_bail("the guest does not write");
}

/* Take all there is; what is drawn at random is not found at once, nor written. */
static bool took(void *unused)
{
	(void)unused;
	if (mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE))
		return false;
	return get("swapped_pages") == (long)vm.pages;
}

/* The same, as far as there is room. */
static bool took_so_many(void *pages)
{
	mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE);
	return get("swapped_pages") == *(long *)pages;
}

static bool has_no_frame(void *unused)
{
	(void)unused;
	mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE);
	return !get("private_pages");
}

static bool is_large(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_READ, 0, PAGES);
	return get("large_pages") == PAGES / 512;
}

/* Everything goes to swap, of which so many pages are written. */
static void take(long written, const char *what)
{
	long outs = get("swap_outs");

	tap_ok(wait_until(took, NULL, MRM_LONG), "%s: all is taken", what);
	tap_equal(get("swap_outs") - outs, written, "%s: pages written", what);
	tap_equal(get("swap_cached_pages"), 0, "%s: nothing is in memory, too", what);
	tap_equal(get("swap_free_pages"), SLOTS - (long)vm.pages, "%s: slots left", what);
	mrm_check(what);
}

/* So many pages keep their slot, and no other slot is in use but that of what is in swap. */
static void keeps(long cached, const char *what)
{
	tap_equal(get("swap_cached_pages"), cached, "%s: in swap and in memory", what);
	tap_equal(get("swap_free_pages"), SLOTS - cached - get("swapped_pages"),
		  "%s: slots left", what);
	mrm_check(what);
}

static void poke(size_t first, size_t count, uint32_t word)
{
	size_t i;

	for (i = first; i < first + count; i++)
		vm.states[i] = pattern_poke(vm.states[i], word);
}

static void guest_reads(const char *what)
{
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, vm.pages), 0, "%s: every byte is right",
		  what);
}

static void user_reads(const char *what)
{
	tap_ok(process_verify(&vm), "%s: every byte is right", what);
}

static void test_reads(void)
{
	fill(0, PAGES, 1 << 20);
	take(PAGES, "at first");
	guest_reads("the guest reads");
	keeps(PAGES, "the guest reads");
	take(0, "after that");
	user_reads("user space reads");
	keeps(PAGES, "user space reads");
	guest_reads("and the guest");
	keeps(PAGES, "and the guest");
	take(0, "after both");
}

static void test_writes(void)
{
	guest_reads("before it is written to");
	poke(0, PART, 3);
	tap_equal(process_guest(&vm, GUEST_POKE, 0, PART), 0, "the guest writes to a part of it");
	keeps(PAGES - PART, "the guest writes");
	user_reads("the guest writes");
	take(PART, "after the guest's write");

	user_reads("before user space writes");
	poke(PART, PART, 5);
	tap_equal(process_user(&vm, GUEST_POKE, PART, PART), 0, "user space writes to another");
	keeps(PAGES - PART, "user space writes");
	guest_reads("user space writes");
	take(PART, "after user space's write");

	/* And not read before: the last ones, as none is behind them to be read ahead. */
	poke(3 * PART, PART, 7);
	tap_equal(process_guest(&vm, GUEST_POKE, 3 * PART, PART), 0,
		  "the guest writes to what is in swap");
	keeps(0, "written at once");
	guest_reads("written at once");
	keeps(PAGES - PART, "and the rest read");
	take(PART, "after that");
}

static void test_discard(void)
{
	guest_reads("before it is discarded");
	tap_equal(process_discard(&vm, 0, HALF), 0, "half of it is discarded");
	keeps(HALF, "discarded");
	user_reads("discarded");
	fill(0, HALF, 2 << 20);
	take(HALF, "filled anew");
}

static void test_share_off(void)
{
	guest_reads("before share is switched off");
	keeps(PAGES, "before share is switched off");
	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "share is switched off");
	keeps(0, "share is off");
	poke(0, HALF, 9);
	tap_equal(process_guest(&vm, GUEST_POKE, 0, HALF), 0,
		  "the guest writes to what it had read");
	take(PAGES, "without sharing");
	guest_reads("without sharing");
	keeps(0, "without sharing");
	take(PAGES, "without sharing again");
	tap_equal(mrm_vm_set(vm.pid, "share", "1"), 0, "share is switched on");
	guest_reads("with sharing");
	/* Mappings have page_mkwrite again before anything is taken, or a moment later. */
	take(PAGES - get("swap_cached_pages"), "with sharing");
	guest_reads("with sharing again");
	keeps(PAGES, "with sharing again");
}

/* Each page of one half gets an equal in the other. */
static void test_share(void)
{
	long i;

	fill(0, PAGES, 3 << 20);
	take(PAGES, "before it is shared");
	guest_reads("before it is shared");
	for (i = HALF; i < PAGES; i++)
		vm.states[i] = vm.states[i - HALF];
	tap_equal(process_guest(&vm, GUEST_FILL, HALF, HALF), 0,
		  "one half gets what the other has");
	keeps(HALF, "before it is shared");
	mrm_share_all();
	tap_equal(get("shared_pages"), PAGES, "they are shared");
	keeps(0, "shared");
	user_reads("shared");
}

/* What can be zipped is: that is read back sooner. */
static void test_zip(void)
{
	long i;

	for (i = 0; i < PAGES; i++)
		vm.states[i] = ((5 << 20) + i) | (i < HALF ? THIN : 0);
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("the guest does not write");
	take(PAGES, "before there is compression");
	guest_reads("before there is compression");
	keeps(PAGES, "before there is compression");
	mrm_set("zip_max", "50");
	tap_ok(wait_until(has_no_frame, NULL, MRM_LONG), "all is taken again");
	tap_equal(get("zipped_pages"), HALF, "what is thin is zipped");
	keeps(0, "the rest is in swap");
	user_reads("half zipped");
	mrm_set("zip_max", "0");
}

/* Those of which a large frame is made. */
static void test_rebuilt(void)
{
	guest_reads("before it is made of large pages");
	tap_between(get("swap_cached_pages"), HALF, PAGES, "pages keep their slots");
	mrm_set("alloc_guest_large_page", "1");
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(is_large, NULL, MRM_LONG), "all is made of large pages");
	mrm_set("large_rebuild_rate", "0");
	keeps(0, "large");
	poke(0, HALF, 11);
	tap_equal(process_guest(&vm, GUEST_POKE, 0, HALF), 0, "the guest writes");
	user_reads("large");
	take(PAGES, "large pages");
	guest_reads("large pages");
	mrm_set("alloc_guest_large_page", "0");
}

/* Slots are worth more to others then. */
static void test_scarce(void)
{
	long cached;

	start(MANY);
	fill(0, MANY, 4 << 20);
	take(MANY, "nearly all slots");
	guest_reads("nearly all slots");
	cached = get("swap_cached_pages");
	tap_between(cached, KEPT_LEAST, KEPT_MOST, "some slots are free");
	keeps(cached, "nearly all slots");
	take(MANY - cached, "and again");
	guest_reads("and again");
	process_stop(&vm);
}

/* A VM larger than its swap file: slots that are kept are no reason to take less. */
static void test_larger(void)
{
	long all = SLOTS, free, outs;

	start(SLOTS + PAGES);
	fill(0, vm.pages, 6 << 20);
	tap_ok(wait_until(took_so_many, &all, MRM_LONG), "all slots are used");
	guest_reads("a VM larger than its swap file");
	tap_between(get("swap_cached_pages"), KEPT_LEAST, KEPT_MOST, "some slots are free");
	fill(SLOTS, PAGES, 7 << 20);
	free = get("swap_free_pages");
	outs = get("swap_outs");
	tap_ok(wait_until(took_so_many, &all, MRM_LONG), "all slots are used again");
	tap_equal(get("private_pages"), PAGES, "the rest stays");
	tap_between(get("swap_outs") - outs, free + 1, SLOTS,
		    "slots that were kept are given to others");
	mrm_check("all slots are used again");
	guest_reads("all slots were used again");
	/* With slots that are kept. */
	process_kill(&vm);
}

int main(void)
{
	mrm_begin();
	if (!disk_ram()) {
		tap_skip("swap", "no RAM disk");
		return tap_done();
	}
	mrm_set("zip_max", "0");
	start(PAGES);
	test_reads();
	test_writes();
	test_discard();
	test_share_off();
	test_share();
	test_zip();
	test_rebuilt();
	process_stop(&vm);
	mrm_nothing_left("after a VM with large pages");
	test_scarce();
	mrm_nothing_left("after slots were scarce");
	test_larger();
	mrm_nothing_left("after a VM was killed");
	return tap_done();
}
