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
#include "kernel_log.h"
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

/* A file that grows; one block of slots is 32768. */
#define FILE_DISK	"/dev/ram1"
#define MOUNT		"/tmp/mrm-swap"
#define SWAP_FILE	MOUNT "/file"
#define FEW		(2 * PART)
#define MORE		(5 * PART)
#define BLOCKS		40000L

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
	tap_equal(hand_over(vm.pid, fd), 0, "the first may be given its own again");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), DISK_PAGES, "which changes nothing");
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

static void resize(long pages)
{
	if (truncate(SWAP_FILE, pages * PAGE_SIZE))
		tap_bail("no file of %ld pages", pages);
}

static int tell(void)
{
	return disk_hand_over(SWAP_FILE, vm.pid);
}

/* All of it, or as much as the file has room for; the file has so many pages. */
static void swap_to(long swapped, long slots, const char *what)
{
	tap_ok(wait_until(took, &swapped, MRM_LONG), "%s: what has room is taken", what);
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), swapped, "%s: pages in swap", what);
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), slots - swapped, "%s: slots left", what);
	mrm_check(what);
}

static void read_all(long slots, const char *what)
{
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "%s: every byte is right", what);
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "%s: nothing is in swap", what);
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), slots, "%s: all slots are free", what);
	mrm_check(what);
}

/* It grows a bit after each piece that is asked for.  Returns how many pages it has then. */
static long grow_while_written(long slots, long steps)
{
	long i, failed = 0;

	for (i = 0; i < steps; i++) {
		mrm_vm_reclaim(vm.pid, PAGES / steps * PAGE_SIZE);
		resize(++slots);
		failed += tell() != 0;
	}
	tap_equal(failed, 0, "it grows while it is written");
	return slots;
}

static long grow_while_read(long slots, long steps)
{
	const struct guest_work work = { .command = GUEST_VERIFY, .count = PAGES };
	long i, failed = 0;

	process_begin_guest(&vm, &work);
	for (i = 0; i < steps; i++) {
		slots += 3;
		resize(slots);
		failed += tell() != 0;
	}
	tap_equal(process_receive(&vm, MRM_LONG), 0, "every byte is right meanwhile");
	tap_equal(failed, 0, "it grows while it is read");
	return slots;
}

static void test_smaller(long slots)
{
	const char *const words[] = { "has 1024 pages, which is less than the 80000 it had", NULL };
	char text[MRM_TEXT];

	kernel_log_from_now();
	resize(1024);
	tap_equal(tell(), -EINVAL, "one that has become smaller is refused");
	tap_ok(wait_until(kernel_log_says, (void *)words, MRM_LONG), "the log names both sizes");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), slots, "and nothing has changed");
	tap_ok(!strcmp(mrm_vm_text(vm.pid, "swap_file", text), SWAP_FILE), "it has the file");
	resize(slots);
	tap_equal(tell(), 0, "it is as it was");
}

/* A file is made larger when there is more to be swapped than it was made for. */
static void test_grown(void)
{
	const struct vm_config config = { .pages = PAGES };
	long slots;
	size_t i;
	int fd;

	if (!disk_mount(FILE_DISK, MOUNT, "ext4"))
		tap_bail("no file system on " FILE_DISK);
	close(open(SWAP_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	resize(FEW);
	process_start(&vm, &config);
	mrm_vm_set(vm.pid, "share", "0");
	tap_equal(tell(), 0, "a VM has a file with room for half of it");
	for (i = 0; i < PAGES; i++)
		vm.states[i] = (8 << 20) + i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, PAGES), 0, "it fills its RAM");
	swap_to(FEW, FEW, "as it was made");
	tap_equal(tell(), 0, "it is told of the same again");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), 0, "and has no more");
	resize(MORE);
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), 0, "nor when the file has grown");
	tap_equal(tell(), 0, "until it is told");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages"), MORE - FEW, "what is new is free");
	swap_to(PAGES, MORE, "grown");
	read_all(MORE, "grown");
	fd = open_disk(O_DIRECT);
	tap_equal(hand_over(vm.pid, fd), -EBUSY, "it cannot have another one");
	close(fd);

	slots = grow_while_written(MORE, 64);
	swap_to(PAGES, slots, "grown while it was written");
	slots = grow_while_read(slots, 64);
	read_all(slots, "grown while it was read");

	resize(BLOCKS);
	tap_equal(tell(), 0, "it is told of more than a block of slots");
	swap_to(PAGES, BLOCKS, "two blocks");
	resize(2 * BLOCKS);
	tap_equal(tell(), 0, "and of two more");
	read_all(2 * BLOCKS, "three blocks");
	test_smaller(2 * BLOCKS);
	swap_to(PAGES, 2 * BLOCKS, "at last");
	read_all(2 * BLOCKS, "at last");
	process_stop(&vm);
	mrm_nothing_left("after a file that has grown");
	tap_ok(disk_unmount(MOUNT) && !rmdir(MOUNT), "the file is nobody's");
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
	test_grown();
	return tap_done();
}
