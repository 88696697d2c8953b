// SPDX-License-Identifier: GPL-2.0
/*
 * Guest pages of 2 MiB when memory is short, or is taken from the VM: which are broken, how many,
 * and what it brings.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "large_vm.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define LARGE		16L	/* large ones that RAM has room for */
#define PAGES		(LARGE * PARTS)
#define SHORT		(64 * PARTS)	/* of RAM, where it is short: a limit is 64 MiB at least */

static struct vm_process vm;

/*
 * As much is free as is aimed at.  The state may still be "clear" then: where the reclaimer was
 * faster than what breaks large frames, it has ended just there.
 */
static bool enough_is_free(void *unused)
{
	(void)unused;
	return mrm_get("free_bytes") >= mrm_get("min_free_bytes");
}

/* Of each large one a quarter is zero, a quarter is equal to another's, and half is unique. */
static void deal(void)
{
	long i;

	for (i = 0; i < SHORT; i++) {
		vm.states[i] = 1 + i;
		if (i % 4 == 1)
			vm.states[i] = 1 + i % (SHORT / 2);
		else if (!(i % 4))
			vm.states[i] = 0;
	}
	if (process_guest(&vm, GUEST_FILL, 0, SHORT))
		tap_bail("RAM is not filled");
}

/* Memory for so many pages, and per cent more. */
static void limit(long pages, long percent)
{
	long bytes = pages * (100 + percent) / 100 * PAGE_SIZE;

	/* What is free is of the old one until then. */
	tap_ok(!mrm_set_number("limit_bytes", bytes) &&
	       mrm_wait_count("budget_bytes", 1, bytes, MRM_LONG), "memory for %ld pages", pages);
}

static void test_short(void)
{
	long saved = SHORT / 4 + SHORT / 8;

	large_start(&vm, SHORT);
	deal();
	/* The scanner has not come yet, and does not come. */
	mrm_set("share_cpu_max", "0");
	large_are(&vm, SHORT / PARTS, SHORT, "while there is memory");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), 0, "nothing is shared");
	/* 6 per cent should be free. */
	limit(SHORT, 5);
	tap_ok(mrm_vm_wait(vm.pid, "large_pages", 0, SHORT / PARTS - 1, MRM_LONG),
	       "large ones are broken");
	tap_ok(wait_until(enough_is_free, NULL, MRM_LONG), "and there is enough");
	/* Five or six of them are. */
	tap_between(mrm_vm_get(vm.pid, "large_pages"), SHORT / PARTS / 2, SHORT / PARTS,
		    "no more than it takes");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 0, "nothing was taken");
	limit(SHORT - saved, 5);
	tap_ok(mrm_vm_wait(vm.pid, "large_pages", 0, 0, MRM_LONG), "shorter: all are broken");
	mrm_set("limit_bytes", "0");
	mrm_set("share_cpu_max", "100");
	tap_ok(mrm_full_pass() && mrm_full_pass(), "it is scanned");
	tap_between(mrm_get("private_pages") + mrm_get("shared_frames") + mrm_get("zipped_pages"),
		    SHORT - saved, SHORT - saved + 1, "then as much is saved as without");
	large_end(&vm, "after it was shared");
}

#define USED	8L		/* large ones that the guest goes on to use */

static bool used_are_rebuilt(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, USED * PARTS);
	return mrm_vm_get(vm.pid, "large_pages") >= USED;
}

/* When memory is plentiful again, but not at once: it may be short again in a moment. */
static void test_rebuilt(void)
{
	long lifted;

	large_start(&vm, SHORT);
	deal();
	mrm_set("share_cpu_max", "0");
	limit(SHORT * 5 / 8, 5);
	tap_ok(mrm_vm_wait(vm.pid, "large_pages", 0, 0, MRM_LONG), "all are broken");
	mrm_set("large_rebuild_rate", "1024");
	/* For longer than it takes when there is enough. */
	tap_ok(!mrm_vm_wait(vm.pid, "large_pages_rebuilt", 1, SHORT, 6000),
	       "nothing is rebuilt meanwhile");
	lifted = now_ms();
	mrm_set("limit_bytes", "0");
	process_fill(&vm, 0, SHORT, 2 << 20);
	tap_ok(wait_until(used_are_rebuilt, NULL, 2 * MRM_LONG),
	       "when there is enough those are rebuilt that are touched");
	tap_ok(now_ms() - lifted >= 5000, "five seconds later");
	mrm_set("large_rebuild_rate", "0");
	mrm_set("share_cpu_max", "100");
	large_end(&vm, "after they were rebuilt");
}

#define ORDER_MUCH	16L		/* large ones, the first, of which breaking saves much */
#define ORDER_COLD	24L		/* the last, of which it saves less */
#define ORDER_HOT	(SHORT / PARTS - ORDER_MUCH - ORDER_COLD)	/* between them */
#define MUCH		320L		/* zeroes in each of the first */
#define COLD		160L		/* of the second */
#define HOT		161L		/* of those between, which are touched */

/* In the VM's process, until it is killed: touch those between, here and there. */
static long do_touch(struct vm *v, void *unused)
{
	long i;

	(void)unused;
	for (;; usleep(20000))
		for (i = ORDER_MUCH; i < ORDER_MUCH + ORDER_HOT; i++)
			*guest_page(&v->view, i * PARTS + 400 + i) += 0;
	return 0;
}

/* Nothing is taken from a VM whose balloon gives. */
static bool breaking_is_enough(void *unused)
{
	mrm_vm_set(vm.pid, "balloon_state", "ok");
	return enough_is_free(unused);
}

static long parts_gone(void)
{
	return SHORT - mrm_vm_get(vm.pid, "private_pages");
}

/*
 * To the state clear, and not further, or what is broken is what somebody takes from.  The one
 * that is being broken when there is enough is still to be.
 */
static void shorten(void)
{
	mrm_vm_set(vm.pid, "balloon_state", "ok");
	limit(SHORT - parts_gone(), 5);
	tap_ok(wait_until(breaking_is_enough, NULL, MRM_LONG), "breaking makes room");
	mrm_set("limit_bytes", "0");
}

static long large_gone(void)
{
	return SHORT / PARTS - mrm_vm_get(vm.pid, "large_pages");
}

static bool most_are_gone(void *unused)
{
	long broken = large_gone();

	(void)unused;
	return broken > 0 && broken <= ORDER_MUCH && parts_gone() == MUCH * broken;
}

/* One that is touched saves a part more.  Some are not in time, if that takes long. */
static bool cold_are_gone(void *unused)
{
	long broken = large_gone() - ORDER_MUCH;
	long touched = parts_gone() - MUCH * ORDER_MUCH - COLD * broken;

	(void)unused;
	return broken > 0 && broken <= ORDER_COLD && touched >= 0 && touched <= broken / 2;
}

/* Those that save most are broken first, and of those that save as much those nobody uses. */
static void test_order(void)
{
	long i, j, zeroes;

	large_start(&vm, SHORT);
	mrm_set("share_cpu_max", "0");
	for (i = 0; i < SHORT / PARTS; i++) {
		zeroes = i < ORDER_MUCH ? MUCH : i < ORDER_MUCH + ORDER_HOT ? HOT : COLD;
		for (j = 0; j < PARTS; j++)
			vm.states[i * PARTS + j] = j < zeroes ? 0 : 1 + i * PARTS + j;
	}
	if (process_guest(&vm, GUEST_FILL, 0, SHORT))
		tap_bail("RAM is not filled");
	process_send(&vm, do_touch, NULL, 0);
	shorten();
	tap_ok(wait_until(most_are_gone, NULL, MRM_LONG), "those that save most are broken");
	for (i = 0; i < ORDER_MUCH && large_gone() <= ORDER_MUCH; i++)
		shorten();
	if (!tap_ok(wait_until(cold_are_gone, NULL, MRM_LONG), "then those that nobody uses"))
		tap_note("%ld large ones are gone, %ld parts", large_gone(), parts_gone());
	mrm_set("share_cpu_max", "100");
	process_kill(&vm);
	mrm_nothing_left("after some were broken in order");
}

/* Of two that are equal the one that is scanned first is not known to be, until once more. */
static void test_equal(void)
{
	long i;

	large_start(&vm, SHORT);
	mrm_set("share_cpu_max", "0");
	for (i = 0; i < SHORT; i++)
		vm.states[i] = 1 + i % (SHORT / 2);
	if (process_guest(&vm, GUEST_FILL, 0, SHORT))
		tap_bail("RAM is not filled");
	limit(SHORT, 5);
	tap_ok(mrm_vm_wait(vm.pid, "saved_pages", PARTS, SHORT / 2, MRM_LONG),
	       "what equals another that was never scanned is shared");
	if (!tap_ok(wait_until(enough_is_free, NULL, MRM_LONG), "and there is enough"))
		tap_note("%ld large, %ld private, %ld shared in %ld frames, %ld bytes free of %ld",
			 mrm_vm_get(vm.pid, "large_pages"), mrm_vm_get(vm.pid, "private_pages"),
			 mrm_vm_get(vm.pid, "shared_pages"), mrm_get("shared_frames"),
			 mrm_get("free_bytes"), mrm_get("min_free_bytes"));
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), 0, "nothing was taken");
	mrm_set("limit_bytes", "0");
	mrm_set("share_cpu_max", "100");
	large_end(&vm, "after equal ones were broken");
}

static bool zeroes_are_gone(void *unused)
{
	(void)unused;
	return parts_gone() == PARTS / 4 * large_gone();
}

/* A VM that does not share, and is never scanned: what it never touched comes back. */
static void test_unshared(void)
{
	large_start(&vm, SHORT);
	mrm_vm_set(vm.pid, "share", "0");
	deal();
	mrm_set("share_cpu_max", "0");
	mrm_vm_set(vm.pid, "balloon_state", "ok");
	limit(SHORT, 5);
	tap_ok(wait_until(breaking_is_enough, NULL, MRM_LONG), "breaking makes room");
	mrm_set("limit_bytes", "0");
	tap_ok(wait_until(zeroes_are_gone, NULL, MRM_LONG), "of each what is zero comes back");
	tap_ok(large_gone() > 0, "of those that are broken");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), 0, "nothing is shared");
	mrm_set("share_cpu_max", "100");
	large_end(&vm, "after zeroes came back");
}

static void test_taken(void)
{
	long i;

	large_start(&vm, PAGES);
	mrm_set("zip_max", "50");
	mrm_vm_set(vm.pid, "share", "0");
	for (i = 0; i < PAGES; i++)
		vm.states[i] = (1 + i) | THIN;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("RAM is not filled");
	large_are(&vm, LARGE, PAGES, "all is filled");
	mrm_vm_reclaim(vm.pid, 4 * MiB);
	tap_ok(mrm_vm_get(vm.pid, "zipped_pages") > 0, "some is taken: zipped");
	tap_ok(mrm_vm_get(vm.pid, "large_pages") < LARGE, "of large ones that are broken for it");
	mrm_set("zip_max", "10");
	large_end(&vm, "after it was taken");
}

/* Each page is unlike all others, and there is nowhere to put it. */
static void test_in_vain(const char *share)
{
	long i;

	large_start(&vm, PAGES);
	mrm_set("zip_max", "0");
	mrm_vm_set(vm.pid, "share", share);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("RAM is not filled");
	tap_ok(mrm_full_pass() && mrm_full_pass(), "it is scanned");
	large_are(&vm, LARGE, PAGES, "nothing equals anything");
	mrm_vm_reclaim(vm.pid, 4 * MiB);
	large_are(&vm, LARGE, PAGES, "none is broken in vain");
	tap_equal(mrm_vm_get(vm.pid, "reclaimed_bytes"), 0, "nothing was taken");
	mrm_set("zip_max", "10");
	large_end(&vm, "after nothing could be taken");
}

/* What breaking brings counts: no more are broken than it takes. */
static void test_brought(void)
{
	long i;

	large_start(&vm, PAGES);
	mrm_set("zip_max", "0");
	mrm_vm_set(vm.pid, "share", "0");
	for (i = 0; i < LARGE; i++)
		process_fill(&vm, i * PARTS, 1, 1 << 20);
	large_are(&vm, LARGE, PAGES, "a page of each is written");
	mrm_vm_reclaim(vm.pid, 4 * MiB);
	large_are(&vm, LARGE - 3, PAGES - 3 * (PARTS - 1), "4 MiB are taken");
	tap_equal(mrm_vm_get(vm.pid, "reclaimed_bytes"), 3 * (PARTS - 1) * (long)PAGE_SIZE,
		  "that is what was");
	mrm_set("zip_max", "10");
	large_end(&vm, "after 4 MiB were taken");
}

int main(void)
{
	mrm_begin();
	mrm_set("alloc_guest_large_page", "1");
	mrm_set("large_break_pct", "88");
	test_unshared();
	test_taken();
	test_brought();
	test_in_vain("1");
	test_in_vain("0");
	test_short();
	test_rebuilt();
	test_order();
	test_equal();
	return tap_done();
}
