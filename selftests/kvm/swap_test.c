// SPDX-License-Identifier: GPL-2.0
/*
 * Swap with a known answer: of a VM's pages exactly those go to its swap file that cannot be
 * shared or zipped, and whoever touches them finds what was written.  The file is a RAM
 * disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "tap.h"
#include "trace.h"
#include "vm_process.h"

#define DISK_PAGES	(DISK_RAM_BYTES / PAGE_SIZE)

/* RAM, by what it holds when the test begins. */
#define PART		1024
#define THICK		0		/* like no other, and incompressible */
#define THIN_ONES	(2 * PART)	/* like no other, compressible */
#define ZERO		(3 * PART)
#define PAGES		(4 * PART)

#define OUT		"mrm/mrm_swap_out", "hist:keys=pid"
#define IN		"mrm/mrm_swap_in", "hist:keys=pid"

static struct vm_process vm;

static void deal(uint32_t id)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		if (i < THIN_ONES)
			vm.states[i] = id + i;
		else
			vm.states[i] = i < ZERO ? (id + i) | THIN : 0;
	}
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

static int open_disk(int flags)
{
	int fd = open(DISK_RAM, O_RDWR | flags);

	if (fd < 0)
		tap_bail("no " DISK_RAM);
	return fd;
}

static int hand_over(pid_t pid, int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	return mrm_vm_set(pid, "swap_file", text);
}

static void start(size_t pages)
{
	const struct vm_config config = { .pages = pages };

	process_start(&vm, &config);
	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "sharing is switched off");
	tap_equal(disk_hand_over(DISK_RAM, vm.pid), 0, "the VM gets a swap file");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), DISK_PAGES, "all of it is free");
}

/* Take all there is; what is drawn at random is not found at once, nor written. */
static bool took(void *count)
{
	if (mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE))
		return false;
	return mrm_vm_get(vm.pid, "swapped_pages") >= *(long *)count;
}

/* Zero pages may not have been drawn so far. */
static bool has_none(void *unused)
{
	(void)unused;
	return !mrm_vm_get(vm.pid, "private_pages") ||
	       (mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE), false);
}

static void swap_all(long pages, const char *what)
{
	tap_ok(wait_until(took, &pages, MRM_LONG), "%s: all is taken", what);
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), pages, "%s: pages in swap", what);
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), DISK_PAGES - pages, "%s: slots left",
		  what);
	mrm_check(what);
}

static void is_back(const char *what, long pages, long ins)
{
	tap_equal(mrm_vm_get(vm.pid, "swap_ins") - ins, pages, "%s: each was read once", what);
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "%s: nothing is in swap any more", what);
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), DISK_PAGES, "%s: all slots are free",
		  what);
	mrm_check(what);
}

static void test_files(void)
{
	struct vm_process other;
	const struct vm_config config = { .pages = PAGES };
	char text[MRM_TEXT];
	int fd;

	tap_ok(!strcmp(mrm_vm_text(vm.pid, "swap_file", text), DISK_RAM), "swap_file is its path");
	process_start(&other, &config);
	tap_ok(!strcmp(mrm_vm_text(other.pid, "swap_file", text), ""), "another VM has none");
	tap_equal(mrm_vm_get(other.pid, "swap_free_pages"), 0, "nor a free slot");
	fd = open_disk(O_DIRECT);
	tap_equal(hand_over(other.pid, fd), -EBUSY, "nor can it have the same");
	tap_equal(hand_over(vm.pid, fd), -EBUSY, "nor the first a second");
	close(fd);
	tap_equal(hand_over(other.pid, 1000), -EBADF, "a file that is not open is refused");
	fd = open_disk(0);
	tap_equal(hand_over(other.pid, fd), -EINVAL, "and one without O_DIRECT");
	close(fd);
	fd = open("/dev/null", O_RDWR | O_DIRECT);
	tap_equal(hand_over(other.pid, fd), -EINVAL, "and what is no file");
	close(fd);
	tap_equal(mrm_vm_set(other.pid, "swap_file", "-1"), -EINVAL, "and what is no number");
	process_stop(&other);
}

static void test_swap(void)
{
	bool out_traced = trace_begin(OUT), in_traced = trace_begin(IN);
	long ins = mrm_vm_get(vm.pid, "swap_ins");
	size_t i;

	mrm_set("zip_max", "0");
	deal(1 << 20);
	swap_all(3 * PART, "by the guest");
	trace_tells(out_traced, OUT, 3 * PART, "page that is written");
	tap_ok(wait_until(has_none, NULL, MRM_LONG), "nothing has a frame");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	is_back("by the guest", 3 * PART, ins);
	trace_tells(in_traced, IN, 3 * PART, "page that is read");

	ins = mrm_vm_get(vm.pid, "swap_ins");
	swap_all(3 * PART, "by user space");
	tap_ok(process_verify(&vm), "every byte is right");
	is_back("by user space", 3 * PART, ins);

	/* Written to, and not read before. */
	ins = mrm_vm_get(vm.pid, "swap_ins");
	swap_all(3 * PART, "by a write");
	for (i = 0; i < ZERO; i++)
		vm.states[i] = pattern_poke(vm.states[i], i % PAGE_WORDS);
	tap_equal(process_guest(&vm, GUEST_POKE, 0, ZERO), 0, "a word of each is written");
	is_back("by a write", 3 * PART, ins);
	tap_ok(process_verify(&vm), "and all else is there");
}

static void test_both(void)
{
	long ins = mrm_vm_get(vm.pid, "swap_ins");

	mrm_set("zip_max", "50");
	deal(2 << 20);
	swap_all(2 * PART, "with zip");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PART, "what is thin is zipped");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	is_back("with zip", 2 * PART, ins);
	mrm_set("zip_max", "0");
}

static void fill_thin(size_t first, size_t count, uint32_t id)
{
	size_t i;

	for (i = first; i < first + count; i++)
		vm.states[i] = (id + i) | THIN;
	if (process_guest(&vm, GUEST_FILL, first, count))
		tap_bail("cannot fill");
}

/* What has no frame. */
static bool gone(void *pages)
{
	return !mrm_vm_reclaim(vm.pid, vm.pages * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "zipped_pages") + mrm_vm_get(vm.pid, "swapped_pages") ==
		       *(long *)pages;
}

/* More is thin than may be zipped: what was zipped first makes way. */
static void test_oldest(void)
{
	long pages = PART, ins, swapped, unzips = mrm_vm_get(vm.pid, "unzips");

	tap_equal(process_discard(&vm, 0, PAGES), 0, "all is discarded");
	mrm_set("zip_max", "10");
	fill_thin(0, PART, 6 << 20);
	tap_ok(wait_until(gone, &pages, MRM_LONG), "all that there is, is taken");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "there is room to zip it");
	fill_thin(PART, PART, 6 << 20);
	pages = 2 * PART;
	tap_ok(wait_until(gone, &pages, MRM_LONG), "and as much again");
	swapped = mrm_vm_get(vm.pid, "swapped_pages");
	tap_between(swapped, 1, PART, "for that there is no room");
	mrm_check("with the oldest in swap");
	ins = mrm_vm_get(vm.pid, "swap_ins");
	tap_equal(process_guest(&vm, GUEST_VERIFY, PART, PART), 0, "every byte is right");
	tap_equal(mrm_vm_get(vm.pid, "swap_ins") - ins, 0, "what was taken last is zipped");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PART), 0, "every byte is right");
	tap_equal(mrm_vm_get(vm.pid, "swap_ins") - ins, swapped,
		  "what was taken first made way for it");
	tap_equal(mrm_vm_get(vm.pid, "unzips") - unzips, 2 * PART - swapped,
		  "only what was touched counts as unzipped");
	tap_ok(process_verify(&vm), "all else is zero");
	mrm_set("zip_max", "0");
}

static void test_discard(void)
{
	deal(3 << 20);
	swap_all(3 * PART, "discard");
	tap_equal(process_discard(&vm, 100, PART), 0, "swapped pages are discarded");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 2 * PART, "they are in swap no more");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), DISK_PAGES - 2 * PART,
		  "and their slots are free");
	mrm_check("after a discard");
	tap_ok(process_verify(&vm), "they are zero, all else is intact");
}

/* In the VM's process: read a word of each page, far from the one before. */
static long do_read_far(struct vm *v, void *arg)
{
	size_t i, stride = *(size_t *)arg;
	uint64_t sum = 0;

	for (i = 0; i < ZERO; i++)
		sum += *guest_page(&v->view, i * stride % ZERO);
	return sum == 1;
}

/*
 * Of what was read in order until now each @stride-th page is wanted: few more are read, while
 * it is found out that neighbours are of no use.
 */
static void read_apart(size_t stride, const char *what)
{
	long aheads;

	swap_all(3 * PART, what);
	aheads = mrm_vm_get(vm.pid, "swap_aheads");
	tap_ok(process_call(&vm, do_read_far, &stride, sizeof(stride)) >= 0, "%s: they are read",
	       what);
	tap_between(mrm_vm_get(vm.pid, "swap_aheads") - aheads, 0, 64,
		    "%s: few were read as neighbours", what);
	tap_ok(process_verify(&vm), "%s: every byte is right", what);
}

/* Neighbours are read with what is wanted while that pays off. */
static void test_ahead(void)
{
	long aheads = mrm_vm_get(vm.pid, "swap_aheads");

	deal(5 << 20);
	swap_all(3 * PART, "in order");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	tap_between(mrm_vm_get(vm.pid, "swap_aheads") - aheads, 2 * PART, 3 * PART,
		    "in order: most were read as neighbours");
	/* This has no factor in common with ZERO, so all are read. */
	read_apart(1597, "far apart");
	/* Just behind the neighbours that were read. */
	read_apart(20, "one of 20");
}

/* In the VM's process: discard every second page. */
static long do_discard_odd(struct vm *v, void *arg)
{
	size_t i, pages = *(size_t *)arg;

	for (i = 1; i < pages; i += 2)
		if (madvise((void *)guest_page(&v->view, i), PAGE_SIZE, MADV_DONTNEED))
			return -1;
	return 0;
}

static long do_fill_odd(struct vm *v, void *arg)
{
	size_t i, pages = *(size_t *)arg;

	for (i = 1; i < pages; i += 2)
		pattern_fill(guest_page(&v->view, i), v->view.states[i]);
	return 0;
}

/* No two free slots in a row, and each is used. */
static void test_fragmented(void)
{
	size_t i, pages = vm.pages;
	long left;

	tap_equal(process_call(&vm, do_discard_odd, &pages, sizeof(pages)), 0,
		  "every second page is discarded");
	left = mrm_vm_get(vm.pid, "swap_free_pages");
	tap_between(left, DISK_PAGES / 3, DISK_PAGES * 2 / 3, "there is room between the others");
	for (i = 1; i < pages; i += 2)
		vm.states[i] = (6 << 20) + i;
	process_call(&vm, do_fill_odd, &pages, sizeof(pages));
	swap_all(DISK_PAGES, "fragmented");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, vm.pages), 0, "every byte is right");
}

#define RUN	16	/* guest pages that are taken together */
#define SPARED	8	/* that somebody looked at just when they had been written, and so stayed */

/*
 * Of guest RAM a quarter is used, all of it at the beginning.  Of what is taken a half is from
 * the second half of that; 64 runs of 128 are drawn, so a quarter is six standard deviations away.
 */
static void test_random(void)
{
	long taken = PART, second;
	size_t i;

	start(8 * PART);
	for (i = 0; i < 2 * PART; i++)
		vm.states[i] = (7 << 20) + i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, 2 * PART), 0, "a quarter of its RAM is used");
	tap_equal(mrm_vm_reclaim(vm.pid, taken * PAGE_SIZE), 0, "half of that is taken");
	tap_ok(mrm_vm_wait(vm.pid, "swapped_pages", taken - SPARED, taken + RUN, MRM_LONG),
	       "and in swap");
	taken = mrm_vm_get(vm.pid, "swapped_pages");
	tap_equal(process_discard(&vm, PART, PART), 0, "the second half is discarded");
	second = taken - mrm_vm_get(vm.pid, "swapped_pages");
	tap_between(second, taken / 4, taken * 3 / 4, "what was taken was anywhere");
	tap_ok(process_verify(&vm), "every byte is right");
	process_stop(&vm);
}

/* More than there is room for: the rest stays. */
static void test_full(void)
{
	size_t i;
	long full = DISK_PAGES;

	start(DISK_PAGES + 2 * PART);
	for (i = 0; i < vm.pages; i++)
		vm.states[i] = 1 + i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, vm.pages), 0, "a VM larger than its swap file");
	swap_all(full, "full");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), 2 * PART, "the rest stays");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, vm.pages), 0, "every byte is right");
	is_back("full", full, 0);
	swap_all(full, "full again");
	test_fragmented();
	process_stop(&vm);
}

int main(void)
{
	mrm_begin();
	if (!disk_ram()) {
		tap_skip("swap", "no RAM disk");
		return tap_done();
	}
	start(PAGES);
	test_files();
	test_swap();
	test_both();
	test_oldest();
	test_discard();
	test_ahead();
	deal(4 << 20);
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	tap_equal(mrm_unload(), -EAGAIN, "the module cannot be unloaded");
	process_kill(&vm);
	mrm_nothing_left("after a VM was killed while it was being written");
	test_random();
	test_full();
	mrm_nothing_left("after the last");
	return tap_done();
}
