// SPDX-License-Identifier: GPL-2.0
/*
 * Compression with a known answer: of a VM's pages exactly those are zipped that can be
 * compressed and cannot be shared; zero pages need nothing; the others stay.  Whoever
 * touches a zipped page finds what was written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "mrm.h"
#include "tap.h"
#include "test_module.h"
#include "trace.h"
#include "vm_process.h"

/* RAM, by what it holds when the test begins. */
#define PART		1024
#define THICK		0		/* like no other, and incompressible */
#define THIN_ONES	PART		/* like no other, compressible */
#define THIN_PAIRS	(2 * PART)	/* compressible, each there twice */
#define ZERO		(3 * PART)
#define PAGES		(4 * PART)

/* Zero pages need no bytes. */
#define ZIPPED		"mrm/mrm_zip", "hist:keys=pid if bytes > 0"
#define UNZIPPED	"mrm/mrm_unzip", "hist:keys=pid"

static struct vm_process vm;

static void deal(uint32_t id)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		if (i < THIN_ONES)
			vm.states[i] = id + i;
		else if (i < THIN_PAIRS)
			vm.states[i] = (id + i) | THIN;
		else
			vm.states[i] = i < ZERO ? (id + PAGES + i / 2) | THIN : 0;
	}
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

static void start(void)
{
	const struct vm_config config = { .pages = PAGES };

	process_start(&vm, &config);
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), PAGES * PAGE_SIZE, "all RAM is adopted");
}

/* Take all there is; what is drawn at random is not found at once. */
static bool took_all(void *counter)
{
	long before = mrm_vm_get(vm.pid, counter);
	int i;

	for (i = 0; i < 4; i++)
		if (mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE))
			return false;
	return mrm_vm_get(vm.pid, counter) == before;
}

static void reclaim_all(const char *what)
{
	tap_ok(wait_until(took_all, "private_pages", MRM_LONG), "%s: all is taken that can be",
	       what);
}

static void is_back(const char *what, long zipped, long unzips)
{
	tap_equal(mrm_vm_get(vm.pid, "unzips") - unzips, zipped, "%s: each was unzipped once",
		  what);
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 0, "%s: nothing is zipped any more", what);
	tap_equal(mrm_vm_get(vm.pid, "zip_bytes"), 0, "%s: nor is there a byte", what);
}

/* With sharing off: pairs are zipped as well. */
static void test_alone(const char *algorithm)
{
	bool zipped_traced = trace_begin(ZIPPED), unzipped_traced = trace_begin(UNZIPPED);
	long unzips = mrm_vm_get(vm.pid, "unzips"), bytes;

	tap_equal(file_write(MRM_SYSFS "/zip_algorithm", algorithm), 0, "%s", algorithm);
	deal(1 << 20);
	reclaim_all(algorithm);
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 2 * PART, "%s: what is thin is zipped",
		  algorithm);
	trace_tells(zipped_traced, ZIPPED, 2 * PART, "zipped page");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PART, "%s: what is thick stays", algorithm);
	tap_equal(mrm_vm_get(vm.pid, "resident_pages"), PART, "%s: zero pages are nothing",
		  algorithm);
	bytes = mrm_vm_get(vm.pid, "zip_bytes");
	/* A quarter of each page is filled, with what cannot be compressed. */
	tap_between(bytes, 2 * PART * PAGE_SIZE / 5, 2 * PART * PAGE_SIZE / 3,
		    "%s: bytes they need", algorithm);
	tap_between(mrm_get("zip_frames") * PAGE_SIZE, bytes, bytes + bytes / 4,
		    "%s: and frames for them", algorithm);
	tap_between(mrm_vm_get(vm.pid, "consumed_bytes"), PART * PAGE_SIZE + bytes,
		    PART * PAGE_SIZE + bytes + bytes / 4, "%s: they are consumed", algorithm);
	mrm_check(algorithm);
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "%s: the guest finds it all",
		  algorithm);
	is_back(algorithm, 2 * PART, unzips);
	trace_tells(unzipped_traced, UNZIPPED, 2 * PART, "page that is unzipped");

	/* By user space; written to, and not read before. */
	reclaim_all(algorithm);
	unzips = mrm_vm_get(vm.pid, "unzips");
	tap_ok(process_verify(&vm), "%s: so does user space", algorithm);
	is_back(algorithm, 2 * PART, unzips);
	reclaim_all(algorithm);
	unzips = mrm_vm_get(vm.pid, "unzips");
	for (size_t i = THIN_ONES; i < ZERO; i++)
		vm.states[i] = pattern_poke(vm.states[i], i % PAGE_WORDS);
	tap_equal(process_guest(&vm, GUEST_POKE, THIN_ONES, 2 * PART), 0, "%s: a word is written",
		  algorithm);
	is_back(algorithm, 2 * PART, unzips);
	tap_ok(process_verify(&vm), "%s: and all else is there", algorithm);
	mrm_check(algorithm);
}

/* What was zipped in one way is unzipped when the other is set. */
static void test_both(void)
{
	deal(2 << 20);
	file_write(MRM_SYSFS "/zip_algorithm", "zstd");
	mrm_vm_reclaim(vm.pid, PART * PAGE_SIZE / 2);
	file_write(MRM_SYSFS "/zip_algorithm", "lz4");
	reclaim_all("both ways");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 2 * PART, "both ways: zipped");
	file_write(MRM_SYSFS "/zip_algorithm", "zstd");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "both ways: every byte is right");
	tap_equal(file_write(MRM_SYSFS "/zip_algorithm", "lzw"), -EINVAL, "no other is known");
	file_write(MRM_SYSFS "/zip_algorithm", "lz4");
}

static void test_bound(void)
{
	long max = PAGES * PAGE_SIZE / 10;

	deal(3 << 20);
	tap_equal(mrm_set("zip_max", "10"), 0, "10 per cent of the VM");
	reclaim_all("bound");
	tap_between(mrm_vm_get(vm.pid, "zip_bytes"), max - 2048, max,
		    "bound: so much is zipped, and no more");
	tap_equal(mrm_set("zip_max", "0"), 0, "zipping is switched off");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "what was zipped is there");
	reclaim_all("off");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 0, "and nothing more is zipped");
	tap_equal(mrm_set("zip_max", "51"), -EINVAL, "51 per cent are too many");
	tap_equal(mrm_set("zip_max", "50"), 0, "50 are not");
}

static void test_discard(void)
{
	long discarded = mrm_vm_get(vm.pid, "discarded_pages");

	deal(4 << 20);
	reclaim_all("discard");
	tap_equal(process_discard(&vm, THIN_ONES + 100, PART), 0, "zipped pages are discarded");
	tap_equal(mrm_vm_get(vm.pid, "discarded_pages") - discarded, PART, "all are counted");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PART, "and not zipped any more");
	mrm_check("after a discard");
	tap_ok(process_verify(&vm), "they are zero, all else is intact");
	mrm_check("after all was read");
}

static void test_shared(void)
{
	char text[MRM_TEXT];

	tap_equal(mrm_vm_set(vm.pid, "share", "1"), 0, "sharing is switched on");
	/* What is taken before the VM's process has made ready is zipped. */
	tap_ok(mrm_full_pass(), "it is scanned once");
	tap_text(mrm_vm_text(vm.pid, "share_state", text), "on", "and may share");
	deal(5 << 20);
	reclaim_all("sharing");
	process_read_zeroes(&vm, ZERO, PART);
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), 2 * PART, "pairs and zero pages are shared");
	tap_equal(mrm_vm_get(vm.pid, "zero_pages"), PART, "of those, zero pages");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PART, "only the others are zipped");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PART, "what is thick stays");
	mrm_check("with shared pages");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	mrm_check("after it");
}

static bool fits(void *limit)
{
	/* The state may still be that of before there was a limit. */
	if (mrm_vm_get(vm.pid, "consumed_bytes") > *(long *)limit)
		return false;
	/* What is taken ends at the point between the two. */
	return mrm_state_is("high") || mrm_state_is("clear");
}

/* A limit that a VM without a balloon does not fit in: it is taken without being asked for. */
static void test_limit(void)
{
	const struct vm_config config = { .pages = 96 * MiB / PAGE_SIZE };
	long limit = 80 * MiB;
	size_t i;

	process_start(&vm, &config);
	for (i = 0; i < vm.pages; i++)
		vm.states[i] = i % 2 ? (1 + i) | THIN : 1 + i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, vm.pages), 0, "a VM of 96 MiB is filled");
	tap_equal(mrm_set_number("limit_bytes", limit), 0, "there are 80 MiB");
	tap_ok(wait_until(fits, &limit, MRM_LONG), "it fits soon, and 6 per cent are free");
	tap_between(mrm_vm_get(vm.pid, "consumed_bytes"), limit * 85 / 100, limit * 96 / 100,
		    "no more was taken");
	tap_between(mrm_vm_get(vm.pid, "reclaimed_bytes"), 96 * MiB - limit,
		    96 * MiB - limit * 85 / 100, "which is counted");
	mrm_set("limit_bytes", "0");
	tap_ok(process_verify(&vm), "every byte is right");
	process_stop(&vm);
}

/* A VM that is being restored has memory before a vCPU runs. */
static void test_restored(void)
{
	char text[MRM_TEXT];
	size_t i;

	start();
	for (i = 0; i < PAGES; i++)
		vm.states[i] = ((8 << 20) + i) | THIN;
	tap_equal(process_user(&vm, GUEST_FILL, 0, PAGES), 0, "user space fills RAM");
	tap_ok(!strcmp(mrm_vm_text(vm.pid, "share_state", text), "waiting"), "no vCPU has run");
	mrm_set("zip_max", "50");
	reclaim_all("before a vCPU runs");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PAGES, "before a vCPU runs: all is zipped");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "then the guest finds it all");
	mrm_check("after a restore");
	process_stop(&vm);
	mrm_set("zip_max", "10");
}

/* Pages that cannot be read by another process, and the last of them. */
static long unreadable(size_t *which)
{
	char page[PAGE_SIZE];
	long pages = 0;
	size_t i;

	for (i = 0; i < PAGES; i++) {
		struct iovec here = { page, sizeof(page) };
		struct iovec there = { vm.ram + i * PAGE_SIZE, PAGE_SIZE };

		if (process_vm_readv(vm.pid, &here, 1, &there, 1, 0) == PAGE_SIZE)
			continue;
		pages++;
		*which = i;
	}
	return pages;
}

/* What memory did not keep is an error for who wants it, and not other data. */
static void test_damaged(void)
{
	size_t which = 0;
	int err = test_module_load("damage", "");

	if (err) {
		tap_skip("no kprobes, or not in this host", "a zipped page is damaged (%d)", err);
		return;
	}
	start();
	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "it is not shared");
	mrm_set("zip_max", "50");
	process_fill(&vm, 0, PAGES, (9 << 20) | THIN);
	reclaim_all("damaged");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PAGES, "all is zipped");
	tap_equal(test_module_unload("damage"), 0, "a byte of what is zipped is changed");
	tap_equal(unreadable(&which), 1, "one page cannot be read");
	tap_equal(mrm_vm_get(vm.pid, "read_errors"), 1, "which is counted");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 1, "it is kept as it is");
	tap_equal(unreadable(&which), 1, "nor can it be read once more");
	mrm_check("with a damaged page");
	tap_equal(process_discard(&vm, which, 1), 0, "it is discarded");
	tap_ok(process_verify(&vm), "it is zero, all else is what it was");
	mrm_check("after that");
	process_stop(&vm);
	mrm_set("zip_max", "10");
}

int main(void)
{
	mrm_begin();
	mrm_set("zip_max", "50");
	start();
	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "sharing is switched off");
	test_alone("lz4");
	test_alone("zstd");
	test_both();
	test_bound();
	test_discard();
	test_shared();

	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "sharing is switched off again");
	deal(6 << 20);
	reclaim_all("the end");
	tap_between(mrm_vm_get(vm.pid, "zipped_pages"), 2 * PART, 2 * PART, "much is zipped");
	tap_equal(mrm_unload(), -EAGAIN, "the module cannot be unloaded");
	process_kill(&vm);
	mrm_nothing_left("after the VM was killed");
	test_limit();
	test_restored();
	test_damaged();
	mrm_nothing_left("after another one");
	return tap_done();
}
