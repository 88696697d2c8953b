// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM that unmaps RAM under its memory slots and maps fresh memory there, and
 * that plugs memory in and out, all while the scanner goes flat out.  What a guest
 * sees is what plain anonymous memory would show.
 *
 * MRM_SEED: to repeat.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "busy.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"

#define PAGES	2048
#define KEYS	128
#define TIMES	2
#define PLUGS	25
#define DIMM	1024	/* pages that are plugged in at a time */

static struct vm_process p;

struct range {
	size_t first, count;
};

static const struct range pieces[] = {
	{ 0, PAGES }, { 0, 512 }, { 512, 1024 }, { 700, 333 }, { PAGES - 1, 1 },
};

#define NR_PIECES (sizeof(pieces) / sizeof(pieces[0]))

/* In the VM's process. */

static long unmap(struct vm *vm, void *arg)
{
	struct range *r = arg;

	return munmap(vm_page(vm, r->first), r->count * PAGE_SIZE) ? -errno : 0;
}

static long map_fresh(struct vm *vm, void *arg)
{
	struct range *r = arg;
	void *at = mmap(vm_page(vm, r->first), r->count * PAGE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? -errno : 0;
}

static long set_slot_again(struct vm *vm, void *unused)
{
	(void)unused;
	return vm_set_slot(vm, 0, 0, vm->view.ram, 0) ?: vm_set_ram_slots(vm);
}

static uint8_t *dimm;

static long plug(struct vm *vm, void *unused)
{
	struct guest_work work = { .command = GUEST_FILL, .first = PAGES, .count = DIMM };
	size_t i;

	(void)unused;
	dimm = vm_map_ram(DIMM * PAGE_SIZE, VM_ANON);
	if (!dimm)
		return -errno;
	for (i = PAGES; i < PAGES + DIMM; i++)
		vm->view.states[i] = i % KEYS;
	return vm_set_slot(vm, 5, GUEST_RAM + PAGES * PAGE_SIZE, dimm, DIMM * PAGE_SIZE) ?:
	       vm_guest(vm, 0, &work);
}

/* As it should be done, or the wrong way round. */
static long unplug(struct vm *vm, void *arg)
{
	struct guest_work work = { .command = GUEST_VERIFY, .first = PAGES, .count = DIMM };
	bool *early = arg;
	long err = vm_guest(vm, 0, &work);

	if (!err && *early)
		err = munmap(dimm, DIMM * PAGE_SIZE);
	err = err ?: vm_set_slot(vm, 5, 0, dimm, 0);
	if (!err && !*early)
		err = munmap(dimm, DIMM * PAGE_SIZE);
	return err;
}

/* In the test. */

static void start(void)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(&p, &config);
	for (i = 0; i < PAGES; i++)
		p.states[i] = i % KEYS;
	if (process_guest(&p, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

static void all_shared(long pages, const char *when)
{
	tap_ok(mrm_share_all(), "%s: a pass", when);
	process_read_zeroes(&p, 0, PAGES);
	if (!tap_equal(mrm_get("shared_pages"), pages, "%s: all adopted pages are shared", when))
		tap_note("%ld private, %ld barred, %ld hints", mrm_get("private_pages"),
			 mrm_get("ineligible_pages"), mrm_get("hinted_pages"));
	tap_equal(mrm_get("shared_frames"), KEYS < pages ? KEYS : pages, "%s: to the frame", when);
	mrm_check(when);
}

static long call(process_fn fn, const struct range *r)
{
	return process_call(&p, fn, r, sizeof(*r));
}

/* Once around: unmapped, mapped, used, given to KVM again; returns what went wrong. */
static long remap(const struct range *r, uint64_t *seed)
{
	size_t gone = r->count * PAGE_SIZE, last = r->first + r->count - 1, i;
	char text[MRM_TEXT];
	long bad = 0;

	busy_delay(seed, 5000);
	bad += !!call(unmap, r);
	bad += mrm_vm_get(p.pid, "adopted_bytes") != (long)(PAGES * PAGE_SIZE - gone);
	/* States first: the vCPU repeats what could not be done. */
	for (i = r->first; i <= last; i++)
		p.states[i] = 0;
	bad += process_guest(&p, GUEST_TOUCH, last, 1) != -EFAULT;
	bad += !!call(map_fresh, r);
	bad += !process_verify(&p);
	/* Nobody has told KVM, and so us. */
	bad += mrm_vm_get(p.pid, "adopted_bytes") != (long)(PAGES * PAGE_SIZE - gone);
	for (i = r->first; i <= last; i++)
		p.states[i] = i % KEYS;
	bad += process_guest(&p, GUEST_FILL, r->first, r->count) || !process_verify(&p);
	if (bad)
		return bad;
	/* Written to, it is left alone. */
	bad += !!process_call(&p, set_slot_again, NULL, 0);
	bad += mrm_vm_get(p.pid, "adopted_bytes") != (long)(PAGES * PAGE_SIZE - gone);
	bad += !!strcmp(mrm_vm_range(p.pid, p.ram + r->first * PAGE_SIZE, text) +
			strcspn(text, " "),
			r->count < 512 ? " not adopted: smaller than 2 MiB" :
			" not adopted: populated before KVM knew of it");
	bad += !process_verify(&p);
	/* Fresh again when KVM is told: adopted, if it is large enough. */
	bad += !!call(unmap, r) || call(map_fresh, r);
	bad += !!process_call(&p, set_slot_again, NULL, 0);
	bad += mrm_vm_get(p.pid, "adopted_bytes") !=
	       (long)(PAGES * PAGE_SIZE - (r->count < 512 ? gone : 0));
	for (i = r->first; i <= last; i++)
		p.states[i] = 0;
	bad += !process_verify(&p);
	for (i = r->first; i <= last; i++)
		p.states[i] = i % KEYS;
	bad += process_guest(&p, GUEST_FILL, r->first, r->count) || !process_verify(&p);
	return bad;
}

static void test_remap(const struct range *r, uint64_t *seed)
{
	/* What is too small is not adopted a second time, so it goes around once. */
	long bad = 0, times = r->count < 512 ? 1 : TIMES, i;

	start();
	busy_scan(true);
	for (i = 0; i < times; i++)
		bad += remap(r, seed);
	busy_scan(false);
	tap_equal(bad, 0, "%zu pages from %zu are unmapped and mapped again, %ld times", r->count,
		  r->first, times);
	all_shared(PAGES - (r->count < 512 ? r->count : 0), "after it was mapped again");
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after memory was mapped again");
}

/* At any moment of a pass. */
static void test_plug(uint64_t *seed)
{
	long bad = 0, i;
	bool early;

	start();
	for (i = 0; i < PLUGS; i++) {
		bad += !!process_call(&p, plug, NULL, 0);
		bad += mrm_vm_get(p.pid, "adopted_bytes") != (PAGES + DIMM) * PAGE_SIZE;
		bad += !!mrm_set("share_scan_now", "1");
		busy_delay(seed, 20000);
		early = pattern_random(seed, 2);
		bad += !!process_call(&p, unplug, &early, sizeof(early));
		bad += mrm_vm_get(p.pid, "adopted_bytes") != PAGES * PAGE_SIZE;
	}
	tap_equal(bad, 0, "memory is plugged in and out %d times while it is scanned", PLUGS);
	all_shared(PAGES, "after memory was plugged out");
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after memory came and went");
}

int main(void)
{
	uint64_t seed;
	size_t i;

	mrm_begin();
	busy_begin();
	seed = setting_seed("MRM_SEED");
	for (i = 0; i < NR_PIECES; i++)
		test_remap(&pieces[i], &seed);
	test_plug(&seed);
	return tap_done();
}
