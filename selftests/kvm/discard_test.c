// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_DONTNEED, which is what the balloon does: frees exactly the pages that
 * were asked for, which then read as zeroes, and takes nothing from their
 * neighbours, whatever state any of them is in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

/* RAM, by what it holds when the test begins; the rest is never touched. */
#define PRIVATE		0	/* pages like no other */
#define SHARED		4096	/* 1024 contents, each there twice, side by side */
#define ZERO		6144
#define UNTOUCHED	6656
#define PAGES		7168
#define SINGLE		8192	/* pages of the second part */

static struct vm_process vm;
static long discarded, resident;

struct range {
	long first, count;	/* bytes, from the beginning of RAM */
	int advice;
};

static long do_madvise(struct vm *v, void *arg)
{
	struct range *r = arg;

	return madvise(v->view.ram + r->first, r->count, r->advice) ? -errno : 0;
}

static long advise(long first, long count, int advice)
{
	struct range r = { first, count, advice };

	return process_call(&vm, do_madvise, &r, sizeof(r));
}

/* From here on ... */
static void mark(void)
{
	discarded = mrm_vm_get(vm.pid, "discarded_pages");
	resident = mrm_vm_get(vm.pid, "resident_pages");
}

/* ... so many pages have been discarded, and not one more freed. */
static void expect(long pages, const char *what)
{
	tap_equal(mrm_vm_get(vm.pid, "discarded_pages") - discarded, pages,
		  "%s: pages counted as discarded", what);
	tap_equal(resident - mrm_vm_get(vm.pid, "resident_pages"), pages, "%s: pages freed", what);
	mark();
}

static void discard(long first, long count, long freed, const char *what)
{
	tap_equal(process_discard(&vm, first, count), 0, "%s: discarded", what);
	expect(freed, what);
}

static void check_all(const char *when)
{
	tap_ok(process_verify(&vm), "%s: what was discarded is zero, all else is intact", when);
	mrm_check(when);
	mark();
}

static void fill(void)
{
	long i;

	for (i = 0; i < PAGES; i++) {
		if (i < SHARED)
			vm.states[i] = 1 << 20 | i;
		else
			vm.states[i] = i < ZERO ? 1 + (i - SHARED) / 2 : 0;
	}
	if (process_guest(&vm, GUEST_FILL, 0, UNTOUCHED) || !mrm_share_all())
		tap_bail("cannot prepare");
	process_read_zeroes(&vm, 0, UNTOUCHED);
	if (mrm_get("shared_pages") != UNTOUCHED - SHARED)
		tap_bail("not everything is shared");
	mark();
}

static void test_private(void)
{
	discard(PRIVATE + 7, 1, 1, "a private page");
	discard(PRIVATE + 100, 64, 64, "a private range");
	discard(PRIVATE + 150, 50, 36, "a range, of which a part was discarded already");
	discard(PRIVATE + 90, 200, 100, "a range around one that was discarded already");
	discard(PRIVATE + 90, 200, 0, "the same range again");
	check_all("after private pages");
	/* Reading has brought zero frames. */
	discard(PRIVATE + 90, 200, 200, "the same range, after it was read");
	check_all("after zero frames that were read");
}

static void test_shared(void)
{
	long frames = mrm_get("shared_frames");

	discard(SHARED, 1, 1, "one of two guest pages that share a frame");
	tap_equal(mrm_get("shared_frames"), frames, "its frame stays for the other one");
	discard(SHARED + 1, 1, 1, "the other one");
	tap_equal(mrm_get("shared_frames"), frames - 1, "then the frame is gone, too");
	discard(SHARED + 11, 32, 32, "a shared range that begins and ends inside pairs");
	tap_equal(mrm_get("shared_frames"), frames - 1 - 15, "only frames nobody names are gone");
	check_all("after shared pages");
}

static void test_zero(void)
{
	long zero = mrm_get("zero_pages");

	discard(ZERO + 3, 1, 1, "a zero page");
	discard(ZERO + 10, 100, 100, "a range of zero pages");
	tap_equal(zero - mrm_get("zero_pages"), 101, "zero pages are fewer by so many");
	check_all("after zero pages");
}

static void test_mixed(void)
{
	discard(SHARED - 40, 80, 80, "a range of private and shared pages");
	discard(ZERO - 40, 80, 80, "a range of shared and zero pages");
	check_all("after mixed ranges");
}

static void test_lengths(void)
{
	vm.states[PRIVATE + 500] = 0;
	tap_equal(advise((PRIVATE + 500) * PAGE_SIZE, 100, MADV_DONTNEED), 0,
		  "a length of 100 bytes is a page");
	expect(1, "100 bytes");
	tap_equal(advise((PRIVATE + 510) * PAGE_SIZE + 8, PAGE_SIZE, MADV_DONTNEED), -EINVAL,
		  "a start inside a page is refused");
	expect(0, "a start inside a page");
	tap_equal(advise((PRIVATE + 510) * PAGE_SIZE, 0, MADV_DONTNEED), 0, "no length is nothing");
	expect(0, "no length");
	/* The inaccessible memory in front of RAM may be named, too. */
	vm.states[0] = 0;
	vm.states[1] = 0;
	tap_equal(advise(-4 * (long)PAGE_SIZE, 6 * PAGE_SIZE, MADV_DONTNEED), 0,
		  "a range that begins before RAM");
	expect(2, "a range that begins before RAM");
	check_all("after odd ranges");
}

static void test_untouched(void)
{
	tap_equal(advise(UNTOUCHED * PAGE_SIZE, (PAGES - UNTOUCHED) * PAGE_SIZE, MADV_DONTNEED), 0,
		  "pages that were never touched are discarded");
	expect(0, "pages that were never touched");
}

/* Other advice is no discard, whatever the kernel says to it. */
static void test_advice(void)
{
	static const struct {
		int advice;
		const char *name;
	} other[] = {
		{ MADV_NORMAL, "MADV_NORMAL" }, { MADV_RANDOM, "MADV_RANDOM" },
		{ MADV_SEQUENTIAL, "MADV_SEQUENTIAL" }, { MADV_WILLNEED, "MADV_WILLNEED" },
		{ MADV_FREE, "MADV_FREE" }, { MADV_REMOVE, "MADV_REMOVE" },
		{ MADV_COLD, "MADV_COLD" }, { MADV_PAGEOUT, "MADV_PAGEOUT" },
		{ MADV_MERGEABLE, "MADV_MERGEABLE" }, { MADV_HUGEPAGE, "MADV_HUGEPAGE" },
		{ MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE" }, { MADV_COLLAPSE, "MADV_COLLAPSE" },
		{ MADV_DONTDUMP, "MADV_DONTDUMP" }, { MADV_DODUMP, "MADV_DODUMP" },
	};
	unsigned int i;
	long err;

	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		err = advise((PRIVATE + 1000) * PAGE_SIZE, 4000 * PAGE_SIZE, other[i].advice);
		tap_note("%s: %ld", other[i].name, err);
		expect(0, other[i].name);
	}
	check_all("after other advice");
}

/* What process_madvise() returns for two ranges, which are named in a guest page. */
static long advise_itself(struct vm *v, void *arg)
{
	struct range *r = arg;
	struct iovec *ranges = (struct iovec *)vm_page(v, PRIVATE + 2000);
	int self = syscall(SYS_pidfd_open, getpid(), 0);
	long result;

	ranges[0] = (struct iovec){ v->view.ram + r[0].first, r[0].count };
	ranges[1] = (struct iovec){ v->view.ram + r[1].first, r[1].count };
	result = syscall(SYS_process_madvise, self, ranges, 2, r->advice, 0);
	result = result < 0 ? -errno : result;
	close(self);
	v->view.states[PRIVATE + 2000] = 7;
	pattern_fill((uint64_t *)ranges, 7);
	return result;
}

/* From 6.13 on a process may discard memory of its own in this way, too. */
static void test_process_madvise(void)
{
	const struct range ranges[] = {
		{ (PRIVATE + 1900) * PAGE_SIZE, 20 * PAGE_SIZE, MADV_DONTNEED },
		{ (SHARED + 200) * PAGE_SIZE, 40 * PAGE_SIZE, 0 },
	};
	long result = process_call(&vm, advise_itself, ranges, sizeof(ranges)), i;

	if (result < 0) {
		tap_equal(result, -EINVAL, "process_madvise is refused by older kernels");
		expect(0, "process_madvise");
		return;
	}
	tap_equal(result, 60 * PAGE_SIZE, "process_madvise discards two ranges");
	expect(60, "process_madvise");
	for (i = 0; i < 20; i++)
		vm.states[PRIVATE + 1900 + i] = 0;
	for (i = 0; i < 40; i++)
		vm.states[SHARED + 200 + i] = 0;
	check_all("after process_madvise");
}

static long other_memory(struct vm *v, void *arg)
{
	size_t bytes = 64 * PAGE_SIZE, i;
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long wrong = 0;

	(void)v;
	(void)arg;
	if (p == MAP_FAILED)
		return -errno;
	for (i = 0; i < bytes; i++)
		p[i] = 1;
	if (madvise(p + 8 * PAGE_SIZE, 16 * PAGE_SIZE, MADV_DONTNEED))
		return -errno;
	for (i = 0; i < bytes; i++)
		wrong += p[i] != (i < 8 * PAGE_SIZE || i >= 24 * PAGE_SIZE);
	munmap(p, bytes);
	return wrong;
}

static void test_other_memory(void)
{
	tap_equal(process_call(&vm, other_memory, NULL, 0), 0,
		  "discards of other memory of the process do what they always do");
	expect(0, "discards of other memory");
	check_all("after discards of other memory");
}

static long discard_singly(struct vm *v, void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < SINGLE; i++)
		if (vm_discard(v, PAGES + i, 1))
			return -errno;
	return 0;
}

static void test_singly(void)
{
	struct timespec a, b;
	size_t i;

	for (i = PAGES; i < PAGES + SINGLE; i++)
		vm.states[i] = 2 << 20 | i;
	tap_equal(process_guest(&vm, GUEST_FILL, PAGES, SINGLE), 0, "32 MiB are filled");
	mark();
	clock_gettime(CLOCK_MONOTONIC, &a);
	tap_equal(process_call(&vm, discard_singly, NULL, 0), 0, "and discarded page by page");
	clock_gettime(CLOCK_MONOTONIC, &b);
	expect(SINGLE, "32 MiB, page by page");
	tap_note("%d discards of a page took %ld ms", SINGLE,
		 (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
	tap_ok(process_verify(&vm), "they are zero, all else is intact");
}

/* The bit of every second page: no discard may take the one beside it. */
static void test_every_second(void)
{
	size_t i;
	long err = 0;

	for (i = 0; i < PAGES; i++)
		vm.states[i] = 3 << 20 | i;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
	mark();
	for (i = 0; i < 1024; i += 2)
		err |= process_discard(&vm, i, 1);
	tap_equal(err, 0, "every second page is discarded");
	expect(512, "every second page");
	check_all("after every second page");
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES + SINGLE };

	mrm_begin();
	process_start(&vm, &config);
	fill();
	test_untouched();
	test_private();
	test_shared();
	test_zero();
	test_mixed();
	test_lengths();
	test_advice();
	test_process_madvise();
	test_other_memory();
	test_singly();
	test_every_second();
	process_stop(&vm);
	mrm_nothing_left("after the VM has ended");
	return tap_done();
}
