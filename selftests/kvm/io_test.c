// SPDX-License-Identifier: GPL-2.0
/*
 * Guest pages that are copied for a disk which does not reach them: counted, moved to where it
 * does, and copied no more; in use, discarded, shared, taken and in large pages; no more of them
 * than there may be, and none while others need that memory; and whatever becomes of them, not
 * one wrong byte.  And that nothing is done for a disk which reaches all memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "pagemap.h"
#include "pin.h"
#include "setting.h"
#include "tap.h"
#include "test_module.h"
#include "trace.h"
#include "vm_process.h"

#define PAGES		2048
#define HOT		16	/* guest pages */
#define THRESHOLD	4
#define PERIOD		600	/* seconds: longer than a test */
#define BUDGET		256	/* guest pages in a MiB */

static struct vm_process vm;
static const char *disk = DISK_NARROW;

static void move(size_t first, size_t count, size_t times, bool write)
{
	const struct disk_transfer t = { disk, first, count, times, write };

	if (process_call(&vm, disk_transfer, &t, sizeof(t)))
		tap_bail("the disk fails");
}

/* Every guest page is on the disk as it is in RAM, so whatever is read is right. */
static void start(size_t pages)
{
	const struct vm_config config = { .pages = pages };

	process_start(&vm, &config);
	process_fill(&vm, 0, pages, 1);
	mrm_set_number("hot_io_threshold", 0);
	move(0, pages, 1, true);
	mrm_set_number("hot_io_threshold", THRESHOLD);
}

static long bounces(void)
{
	return mrm_vm_get(vm.pid, "io_bounces");
}

static bool remapped(long pages, int ms)
{
	return mrm_vm_wait(vm.pid, "io_remapped_pages", pages, pages, ms);
}

/*
 * Until they are: where the first that is moved breaks a large page, the others have frames of
 * which nothing has been counted.
 */
static void heat(size_t first, size_t count, long pages, const char *what)
{
	long end = now_ms() + MRM_LONG;

	do
		move(first, count, THRESHOLD, false);
	while (!remapped(pages, 1000) && now_ms() < end);
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), pages, "%s: they are moved", what);
}

static void are_not_copied(size_t first, size_t count, const char *what)
{
	long before = bounces();

	move(first, count, 2 * THRESHOLD, false);
	move(first, count, 2 * THRESHOLD, true);
	tap_equal(bounces() - before, 0, "%s: they are copied no more", what);
}

/* A line of io_devices. */
struct device {
	char name[64];
	unsigned long limit;
	long bounces, bytes, moved, returned, low;
};

/* Of the one that reaches no further; nothing as long as nothing was copied for it. */
static struct device device_of(unsigned long limit)
{
	char text[4096] = "", *line, *save;
	struct device d;

	mrm_debug_read("io_devices", text, sizeof(text) - 1);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%63s 0x%lx %ld %ld %ld %ld %ld", d.name, &d.limit, &d.bounces,
			   &d.bytes, &d.moved, &d.returned, &d.low) == 7 &&
		    d.limit == limit)
			return d;
	return (struct device){};
}

static struct device narrow(void)
{
	return device_of(UINT_MAX);
}

/* Lines of io_hottest that tell of the VM, and of so many copies. */
static long hottest(long copies)
{
	char text[8192] = "", *line, *save;
	unsigned long address;
	long lines = 0, n;
	int pid;

	mrm_debug_read("io_hottest", text, sizeof(text) - 1);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		lines += sscanf(line, "%d %lx %ld ", &pid, &address, &n) == 3 && pid == vm.pid &&
			 n == copies;
	return lines;
}

static bool nothing_is_low(void *unused)
{
	(void)unused;
	return !narrow().low;
}

static void end(const char *when)
{
	tap_ok(process_verify(&vm), "every byte is right %s", when);
	mrm_check(when);
	process_stop(&vm);
	mrm_nothing_left(when);
	tap_ok(wait_until(nothing_is_low, NULL, MRM_LONG), "nothing is kept for a disk %s", when);
}

#define BOUNCED		"swiotlb/swiotlb_bounced"
#define MOVED		"mrm/mrm_move"

static void test_moved(void)
{
	bool is_traced = trace_begin(MOVED, "hist:keys=pid");
	const struct device before = narrow();
	struct device device;
	char text[4096] = "", *c;
	long lines = 0;

	start(PAGES);
	tap_equal(bounces(), PAGES, "each page that the disk does not reach is copied");
	tap_equal(mrm_vm_get(vm.pid, "io_bounced_bytes"), PAGES * PAGE_SIZE, "all of it");
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), 0, "none is moved while that is off");
	move(0, HOT, THRESHOLD - 1, false);
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), 0, "or copied seldom");
	tap_equal(hottest(THRESHOLD - 1), HOT, "they are listed");
	move(0, HOT, 1, false);
	tap_ok(remapped(HOT, MRM_LONG), "those that are copied often are moved");
	tap_equal(mrm_vm_get(vm.pid, "io_low_bytes"), HOT * PAGE_SIZE, "so much is in low memory");
	trace_tells(is_traced, MOVED, "hist:keys=pid", HOT, "page that is moved");
	are_not_copied(0, HOT, "moved");
	tap_ok(process_verify(&vm), "every byte is right");
	device = narrow();
	tap_equal(device.bounces - before.bounces, bounces(), "it is known for which device");
	tap_equal(device.bytes - before.bytes, mrm_vm_get(vm.pid, "io_bounced_bytes"),
		  "how much was copied for it");
	tap_equal(device.moved - before.moved, HOT, "what was moved for it");
	tap_equal(device.returned - before.returned, 0, "none was moved back");
	tap_equal(device.low, HOT, "and what is kept low for it");
	memset(text, 0, sizeof(text));
	mrm_debug_read("io_low", text, sizeof(text) - 1);
	for (c = text; (c = strchr(c, '\n')); c++)
		lines++;
	tap_equal(lines, HOT, "those that are kept low are listed");
}

/* The zero frame is named by many, and is low by itself. */
static void test_zero(void)
{
	const size_t first = PAGES - HOT;
	long before;

	if (!trace_begin(BOUNCED, "hist:keys=size")) {
		tap_skip("no histogram of swiotlb_bounced", "zero pages");
		return;
	}
	for (size_t i = first; i < PAGES; i++)
		vm.states[i] = 0;
	process_guest(&vm, GUEST_FILL, first, HOT);
	tap_ok(mrm_full_pass(), "a scan");
	tap_equal(mrm_vm_get(vm.pid, "zero_pages"), HOT, "zero pages are shared");
	move(PAGES / 2, 1, 1, true);
	before = trace_hits(BOUNCED);
	tap_equal(before, 1, "the kernel counts copies, too");
	move(first, HOT, THRESHOLD, true);
	tap_equal(trace_hits(BOUNCED) - before, 0, "they are not copied when they are written");
	trace_end(BOUNCED, "hist:keys=size");
	process_fill(&vm, first, HOT, 1);
	move(first, HOT, 1, true);
}

/* Whatever a hot guest page holds, it is where the disk reaches it. */
static void test_kept(void)
{
	tap_equal(process_discard(&vm, 0, HOT), 0, "they are discarded");
	process_fill(&vm, 0, HOT, 1);
	are_not_copied(0, HOT, "touched again");

	for (size_t i = 0; i < 2 * HOT; i++)
		vm.states[i] = THIN | 7;
	process_guest(&vm, GUEST_FILL, 0, 2 * HOT);
	tap_ok(mrm_full_pass(), "a scan");
	tap_between(mrm_vm_get(vm.pid, "shared_pages"), 2 * HOT, 2 * HOT, "they are shared");
	process_fill(&vm, 0, 2 * HOT, 1);
	are_not_copied(0, HOT, "shared and written to");

	for (size_t i = 0; i < PAGES; i++)
		vm.states[i] = THIN | (1 + i);
	process_guest(&vm, GUEST_FILL, 0, PAGES);
	mrm_set_number("hot_io_threshold", 0);
	tap_ok(mrm_vm_wait(vm.pid, "io_low_bytes", 0, 0, MRM_LONG), "switched off, they go back");
	move(0, PAGES, 1, true);
	mrm_set_number("hot_io_threshold", THRESHOLD);
	end("after they were off");
}

static void test_taken(void)
{
	long zipped;

	start(PAGES);
	/* Many, as those that are taken are drawn. */
	for (size_t i = 0; i < PAGES; i++)
		vm.states[i] = THIN | (1 + i);
	process_guest(&vm, GUEST_FILL, 0, PAGES);
	move(0, HOT, 1, true);
	heat(0, HOT, HOT, "zipped");
	mrm_set("zip_max", "50");
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	zipped = mrm_vm_get(vm.pid, "zipped_pages");
	tap_between(zipped, PAGES / 2, PAGES, "most are zipped");
	are_not_copied(0, HOT, "unzipped");
	process_user(&vm, GUEST_VERIFY, 0, PAGES);
	mrm_set("zip_max", "10");
	end("after they were zipped");
}

static bool all_swapped(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "swapped_pages") == PAGES;
}

static void test_swapped(void)
{
	long ins;

	if (!disk_ram()) {
		tap_skip("no RAM disk", "swapped pages");
		return;
	}
	start(PAGES);
	heat(0, HOT, HOT, "swapped");
	tap_equal(disk_hand_over(DISK_RAM, vm.pid), 0, "the VM gets a swap file");
	mrm_set("zip_max", "0");
	tap_ok(wait_until(all_swapped, NULL, MRM_LONG), "all is swapped");
	ins = mrm_vm_get(vm.pid, "swap_ins");
	are_not_copied(0, HOT, "read from swap");
	tap_between(mrm_vm_get(vm.pid, "swap_ins") - ins, HOT, PAGES, "they were read from swap");
	mrm_set("zip_max", "10");
	end("after they were swapped");
}

static void test_pinned(void)
{
	const size_t pages = HOT;
	long busy, err;

	start(PAGES);
	err = process_call(&vm, pin_pages, &pages, sizeof(pages));
	if (err == -EPROTONOSUPPORT) {
		tap_skip("no AF_XDP", "pinned pages");
		end("without pins");
		return;
	}
	tap_equal(err, 0, "they are pinned");
	busy = mrm_get("io_busy");
	move(0, HOT, THRESHOLD, false);
	tap_ok(mrm_wait_count("io_busy", busy + 2 * HOT, LONG_MAX, MRM_LONG),
	       "that is tried again");
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), 0, "pinned pages stay where they are");
	tap_equal(process_call(&vm, unpin_pages, NULL, 0), 0, "they are pinned no more");
	tap_ok(remapped(HOT, MRM_LONG), "and moved at once");
	are_not_copied(0, HOT, "unpinned");
	end("after pins");
}

static long lock_future(struct vm *v, void *arg)
{
	(void)v;
	(void)arg;
	return mlockall(MCL_FUTURE) ? -errno : 0;
}

static long unlock(struct vm *v, void *arg)
{
	(void)v;
	(void)arg;
	return munlockall() ? -errno : 0;
}

/* Nobody knows whose guest page a shared frame is; and what is locked is not touched. */
static void test_left(void)
{
	const size_t first = PAGES / 2;
	long left, before;

	start(PAGES);
	for (size_t i = first; i < first + HOT; i++)
		vm.states[i] = THIN | 7;
	process_guest(&vm, GUEST_FILL, first, HOT);
	tap_ok(mrm_full_pass(), "a scan");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), HOT, "some are shared");
	before = bounces();
	move(first, HOT, 2 * THRESHOLD, true);
	tap_equal(bounces() - before, 0, "what is shared is not counted");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), HOT, "and stays shared when it is written");

	tap_equal(process_call(&vm, lock_future, NULL, 0), 0, "its memory is locked");
	left = mrm_get("io_left");
	move(0, HOT, THRESHOLD, false);
	tap_ok(mrm_wait_count("io_left", left + HOT, left + HOT, MRM_LONG),
	       "each that is copied often is left alone");
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), 0, "none is moved");
	tap_equal(process_call(&vm, unlock, NULL, 0), 0, "it is locked no more");
	heat(0, HOT, HOT, "unlocked");
	end("after some were left alone");
}

static void test_large(void)
{
	mrm_set("alloc_guest_large_page", "1");
	start(PAGES);
	if (!mrm_vm_get(vm.pid, "large_pages")) {
		tap_skip("none are to be had", "large pages");
	} else {
		tap_equal(mrm_vm_get(vm.pid, "large_pages"), PAGES / 512, "it has large pages");
		heat(0, HOT, HOT, "large");
		tap_equal(mrm_vm_get(vm.pid, "large_pages"), PAGES / 512 - 1, "one was broken");
		are_not_copied(0, HOT, "large");
	}
	end("after large pages");
	mrm_set("alloc_guest_large_page", "0");
}

/* How many have a frame from there on. */
static long frames_from(unsigned long address, size_t first, size_t count)
{
	uint64_t frames[PAGES];
	long n = 0;
	size_t i;

	/* What was moved is not mapped until it is touched. */
	process_user(&vm, GUEST_VERIFY, first, count);
	if (pagemap_read(vm.pid, vm.ram + first * PAGE_SIZE, count, frames))
		tap_bail("nobody tells where the VM's frames are");
	for (i = 0; i < count; i++) {
		if (!frames[i])
			tap_bail("page %zu is not mapped", first + i);
		n += frames[i] * PAGE_SIZE >= address;
	}
	return n;
}

#define LOWER	(1UL << 31)

/* The disk reaches less than 32 bits, as some do. */
static void test_lower(void)
{
	struct device device = narrow();
	char arguments[128];
	long above;
	int err;

	start(PAGES);
	heat(0, HOT, HOT, "32 bits");
	tap_equal(frames_from(1UL << 32, 0, HOT), 0, "32 bits reach them");
	above = frames_from(LOWER, 0, HOT);
	tap_note("31 bits do not reach %ld of them", above);
	snprintf(arguments, sizeof(arguments), "device=%s bits=31", device.name);
	err = test_module_load("reach", arguments);
	if (err == -EIO) {
		tap_skip("no ZONE_DMA", "31 bits");
		end("without 31 bits");
		return;
	}
	tap_equal(err, 0, "the disk reaches 31 bits");
	heat(0, 2 * HOT, 2 * HOT + above, "31 bits");
	tap_equal(frames_from(LOWER, 0, 2 * HOT), 0, "31 bits reach them");
	are_not_copied(0, 2 * HOT, "31 bits");
	tap_equal(process_discard(&vm, 0, HOT), 0, "they are discarded");
	process_fill(&vm, 0, HOT, 1);
	are_not_copied(0, HOT, "touched again");
	device = device_of(LOWER - 1);
	tap_equal(device.moved, HOT + above, "it is known which were moved for 31 bits");
	tap_equal(test_module_unload("reach"), 0, "it reaches 32 bits again");
	end("after 31 bits");
	tap_equal(device_of(LOWER - 1).low, 0, "nor for one of 31 bits");
}

/* More is hot than there may be. */
static void test_budget(void)
{
	long period, moves, ms, refused = mrm_get("io_refused");

	mrm_set_number("hot_io_max", 1);
	start(PAGES);
	move(0, 2 * BUDGET, THRESHOLD, false);
	tap_ok(mrm_wait_count("io_refused", refused + 1, LONG_MAX, MRM_LONG),
	       "more is hot than there may be");
	tap_ok(remapped(BUDGET, MRM_LONG), "so many are moved as there may be");
	tap_equal(mrm_get("io_low_bytes"), BUDGET * PAGE_SIZE, "they fill what there is");
	ms = now_ms();
	move(0, 2 * BUDGET, 2 * THRESHOLD, false);
	/* In which a page is copied THRESHOLD times, though many are, one after the other. */
	period = (now_ms() - ms) / 1000 + 1;
	if (period < 5)
		period = 5;
	tap_equal(mrm_vm_get(vm.pid, "io_returned_pages"), 0, "none goes before its time");

	mrm_set_number("hot_io_period", period);
	ms = now_ms();
	moves = mrm_vm_get(vm.pid, "io_remapped_pages");
	do
		move(0, 2 * BUDGET, THRESHOLD, false);
	while (now_ms() - ms < 3000 * period);
	ms = now_ms() - ms;
	moves = mrm_vm_get(vm.pid, "io_remapped_pages") - moves;
	tap_note("%ld moves in %ld ms", moves, ms);
	tap_between(moves, 1, BUDGET * (2 + ms / 1000 / period),
		    "others get their turn, but not all the time");
	tap_between(mrm_get("io_low_bytes"), 0, BUDGET * PAGE_SIZE, "there are no more than that");
	mrm_set_number("hot_io_max", 0);
	tap_ok(mrm_wait_count("io_low_bytes", 0, 0, MRM_LONG), "with none allowed, all go back");
	tap_equal(narrow().low, 0, "nothing is kept for the disk");
	mrm_set_number("hot_io_max", 64);
	mrm_set_number("hot_io_period", PERIOD);
	end("after more than there may be");
}

/* Seconds since that of those which are low came that came last. */
static long youngest(void)
{
	static char text[1 << 15];
	long age = -1;
	char *last;

	memset(text, 0, sizeof(text));
	mrm_debug_read("io_low", text, sizeof(text) - 1);
	last = strrchr(text, ' ');
	if (last)
		age = atol(last);
	return age;
}

static bool all_have_been_there(void *seconds)
{
	return youngest() > *(long *)seconds;
}

/* The first are in use, and others are hot. */
static bool others_are_moved(void *unused)
{
	(void)unused;
	move(BUDGET, HOT, THRESHOLD, false);
	return remapped(BUDGET + HOT, 0);
}

/* That came first is no reason to go. */
static void test_coldest(void)
{
	long period = setting("MRM_PATIENCE", 1);

	mrm_set_number("hot_io_max", 1);
	/* Which looks at the same flags. */
	mrm_set_number("sample_period", 0);
	start(PAGES);
	heat(0, BUDGET, BUDGET, "low");
	/* Who finds no mapping makes one, and only who finds one flags the frame. */
	move(0, HOT, 2, true);
	/* While others may not go yet one of these would. */
	tap_ok(wait_until(all_have_been_there, &period, MRM_LONG), "all have been there for long");
	mrm_set_number("hot_io_period", period);
	tap_ok(wait_until(others_are_moved, NULL, MRM_LONG), "others are moved, in their time");
	mrm_set_number("hot_io_period", PERIOD);
	tap_equal(mrm_vm_get(vm.pid, "io_returned_pages"), HOT, "so many go back");
	are_not_copied(0, HOT, "used meanwhile");
	are_not_copied(BUDGET, HOT, "hot");
	mrm_set_number("hot_io_max", 64);
	mrm_set_number("sample_period", 60);
	end("after some were colder");
}

#define ZONEINFO	"/proc/zoneinfo"
#define HUGEPAGES	"/proc/sys/vm/nr_hugepages"
#define WATERMARKS	"/proc/sys/vm/watermark_scale_factor"
#define PER_PROCESSOR	"/proc/sys/vm/percpu_pagelist_high_fraction"

#define MARGIN		16384	/* pages: those that some caches give back, say */

/* Is memory below 4 GiB short, as the kernel has it, and will it stay so? */
static bool low_memory_is_short(void)
{
	FILE *f = fopen(ZONEINFO, "re");
	long value, free = -1, low = -1;
	bool here = false;
	char line[256];

	while (f && low < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Node ", 5))
			here = strstr(line, " DMA32\n");
		else if (here && sscanf(line, " pages free %ld", &value) == 1)
			free = value;
		else if (here && sscanf(line, " low %ld", &value) == 1)
			low = value;
	}
	if (f)
		fclose(f);
	if (low < 0 || free < 0)
		tap_bail("no DMA32 in " ZONEINFO);
	return free + MARGIN < low;
}

#define REST		(4 * MiB)	/* more than huge pages leave above a watermark */

/*
 * Some that have no frames get some where there is memory, the rest that huge pages left above
 * 4 GiB being used up.  Return: all of these are low.
 */
static bool fill_low(size_t first, uint8_t *rest)
{
	madvise(rest, REST, MADV_NOHUGEPAGE);
	memset(rest, 1, REST);
	process_fill(&vm, first, HOT, 1);
	return !frames_from(1UL << 32, first, HOT);
}

/*
 * Huge pages, which nobody touches: the host's memory goes to them at once, what is above 4 GiB
 * first.  Of that some is left.  Meanwhile guest pages from @next on are touched, HOT at a time,
 * until those are low that were touched last: @next is behind them.
 */
static bool use_up_memory(size_t *next, bool *are_low, uint8_t *rest)
{
	size_t left = 64UL << 20;
	void *above = mmap(NULL, left, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	long pages = 0, got = 0;

	while (above != MAP_FAILED && got == pages && !low_memory_is_short()) {
		char text[32];

		pages += 64;
		snprintf(text, sizeof(text), "%ld", pages);
		file_write(HUGEPAGES, text);
		file_read(HUGEPAGES, text, sizeof(text));
		got = atol(text);
		if (!*are_low && *next < PAGES) {
			*are_low = fill_low(*next, rest);
			*next += HOT;
			rest += REST;
		}
	}
	if (above != MAP_FAILED)
		munmap(above, left);
	return low_memory_is_short();
}

/* Others need what is below 4 GiB. */
static void test_short(void)
{
	char factor[32] = "10", bytes[32];
	bool is_short, are_low = false;
	const size_t rests = PAGES / 2 / HOT * REST;
	size_t next = PAGES / 2;
	long refused, low;
	uint8_t *rest;

	if (access(HUGEPAGES, W_OK)) {
		tap_skip("no " HUGEPAGES, "low memory is short");
		return;
	}
	start(PAGES);
	/* What the host takes for want of memory is not what is looked for here. */
	snprintf(bytes, sizeof(bytes), "%ld", PAGES * PAGE_SIZE);
	tap_equal(mrm_vm_set(vm.pid, "min_bytes", bytes), 0, "its min is its size");
	heat(0, HOT, HOT, "low");
	low = mrm_vm_get(vm.pid, "io_returned_pages");
	file_read(WATERMARKS, factor, sizeof(factor));
	file_write(WATERMARKS, "3000");
	/* Or processors would keep for themselves what is freed, and more with such watermarks. */
	file_write(PER_PROCESSOR, "1000000");
	tap_equal(process_discard(&vm, next, PAGES - next), 0, "some have no frames");
	rest = mmap(NULL, rests, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rest == MAP_FAILED)
		tap_bail("no memory");
	is_short = use_up_memory(&next, &are_low, rest);
	tap_ok(is_short, "others use up what is below 4 GiB");
	tap_ok(are_low, "some that were touched meanwhile happen to be low");
	if (is_short) {
		next -= HOT;
		/* So they are looked at again, when there are none any more that were moved. */
		move(next, HOT, 1, true);
		tap_ok(mrm_vm_wait(vm.pid, "io_low_bytes", 0, 0, MRM_LONG), "they make way");
		tap_ok(mrm_vm_wait(vm.pid, "io_returned_pages", low + 2 * HOT, low + PAGES,
				   MRM_LONG), "and those that happen to be low do");
		tap_equal(frames_from(1UL << 32, next, HOT), HOT, "and go where there is some");
		refused = mrm_get("io_refused");
		move(0, HOT, THRESHOLD, false);
		tap_ok(mrm_wait_count("io_refused", refused + HOT, LONG_MAX, MRM_LONG),
		       "and none is moved there");
	}
	munmap(rest, rests);
	file_write(HUGEPAGES, "0");
	file_write(WATERMARKS, factor);
	file_write(PER_PROCESSOR, "0");
	low = mrm_vm_get(vm.pid, "io_remapped_pages");
	heat(0, HOT, low + HOT, "enough again");
	are_not_copied(0, HOT, "enough again");
	end("after low memory was short");
}

/* How often the thread that moves pages has run. */
static long runs(void)
{
	static const char field[] = "\nvoluntary_ctxt_switches:";
	char path[64], text[4096] = "", *at;

	snprintf(path, sizeof(path), "/proc/%d/status", kernel_thread("mrm_io"));
	at = file_read(path, text, sizeof(text) - 1) < 0 ? NULL : strstr(text, field);
	if (!at)
		tap_bail("no thread mrm_io");
	return atol(at + strlen(field));
}

/* It has not run since it was looked at last. */
static bool is_idle(void *last)
{
	long before = *(long *)last;

	*(long *)last = runs();
	usleep(200000);
	return *(long *)last == before;
}

/* Each page is where the disk reaches it. */
static void test_wide(void)
{
	long before = -1;

	disk = DISK_WIDE;
	start(PAGES);
	tap_ok(wait_until(is_idle, &before, MRM_LONG), "the thread that moves pages is idle");
	move(0, HOT, 16 * THRESHOLD, false);
	move(0, PAGES, 1, true);
	tap_equal(bounces(), 0, "nothing is copied for a disk that reaches all memory");
	tap_equal(runs() - before, 0, "and the thread does not run");
	tap_equal(mrm_vm_get(vm.pid, "io_remapped_pages"), 0, "none is moved");
	end("after a disk that reaches all memory");
}

int main(void)
{
	/*
	 * Copies are counted by frame, to the last one.  Of a large frame the first page that is
	 * moved breaks it, and of the others nothing is counted any more: see test_large().
	 */
	mrm_without_large();
	mrm_begin();
	mrm_set_number("hot_io_period", PERIOD);
	if (access(DISK_WIDE, R_OK | W_OK))
		tap_skip("no " DISK_WIDE ", see scripts/host --scratch",
			 "a disk that reaches all memory");
	else
		test_wide();
	if (access(DISK_NARROW, R_OK | W_OK)) {
		tap_skip("no " DISK_NARROW ", see scripts/host --ide", "hot I/O");
		return tap_done();
	}
	disk = DISK_NARROW;
	test_moved();
	test_zero();
	test_kept();
	test_taken();
	test_swapped();
	test_pinned();
	test_left();
	test_large();
	test_lower();
	test_budget();
	test_coldest();
	test_short();
	return tap_done();
}
