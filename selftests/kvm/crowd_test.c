// SPDX-License-Identifier: GPL-2.0
/*
 * 64 VMs at once: all are listed, adopted and scanned, what is equal in them is
 * shared to the frame, and they end in any order.
 */
#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"

#define VMS	64
#define PAGES	512
#define ZERO	64	/* pages of zeroes */
#define COMMON	128	/* pages that all have */
#define OWN	16	/* pages that nobody else has */
#define USED	(ZERO + COMMON + OWN)

static struct vm_process vms[VMS];

static void set_states(int i)
{
	size_t page;

	for (page = 0; page < USED; page++)
		vms[i].states[page] = page < ZERO ? 0 :
				      page < ZERO + COMMON ? page :
				      (i + 1) * 0x10000 + page;
}

static void exact(int left, const char *when)
{
	tap_equal(mrm_get("vms"), left, "%s: VMs", when);
	tap_equal(mrm_get("adopted_bytes"), left * PAGES * PAGE_SIZE, "%s: adopted bytes", when);
	tap_equal(mrm_get("zero_pages"), left * ZERO, "%s: zero pages", when);
	tap_equal(mrm_get("zero_frames"), left != 0, "%s: zero frames", when);
	tap_equal(mrm_get("shared_pages"), left * (ZERO + COMMON), "%s: shared pages", when);
	tap_equal(mrm_get("shared_frames"), left ? 1 + COMMON : 0, "%s: shared frames", when);
	tap_equal(mrm_get("private_pages"), left * OWN, "%s: private pages", when);
}

/* Of what was written: to look at another page is to have a zero page there. */
static long wrong(struct vm_process *p)
{
	return process_guest(p, GUEST_VERIFY, 0, USED) || process_user(p, GUEST_VERIFY, 0, USED);
}

static void start_all(void)
{
	const struct vm_config config = { .pages = PAGES };
	long bad = 0;
	int i;

	for (i = 0; i < VMS; i++) {
		process_start(&vms[i], &config);
		set_states(i);
		bad += !!mrm_vm_set(vms[i].pid, "salt", "crowd");
		bad += !!process_guest(&vms[i], GUEST_FILL, 0, USED);
	}
	tap_equal(bad, 0, "%d VMs start, and write", VMS);
}

/* All of them at the same time. */
static long fill_again(struct vm *vm, void *arg)
{
	struct guest_work work = { .command = GUEST_FILL, .count = USED };

	(void)arg;
	return vm_guest(vm, 0, &work);
}

static void break_all(void)
{
	long bad = 0, broken = mrm_get("broken_pages");
	int i;

	for (i = 0; i < VMS; i++)
		process_send(&vms[i], fill_again, NULL, 0);
	for (i = 0; i < VMS; i++)
		bad += !!process_receive(&vms[i], 4 * MRM_LONG);
	tap_equal(bad, 0, "all write at the same time");
	tap_equal(mrm_get("broken_pages") - broken, VMS * (ZERO + COMMON),
		  "which breaks each shared page once");
	tap_equal(mrm_get("shared_frames"), 0, "nothing is shared any more");
}

static void end_all(uint64_t *seed)
{
	struct vm_process tmp;
	long bad = 0;
	int left = VMS, i;

	while (left) {
		i = pattern_random(seed, left--);
		if (pattern_random(seed, 2))
			process_stop(&vms[i]);
		else
			process_kill(&vms[i]);
		tmp = vms[left];
		vms[left] = vms[i];
		vms[i] = tmp;
		if (left != VMS / 2 && left != 1 && left != 0)
			continue;
		tap_ok(mrm_wait("vms", left, left, MRM_LONG), "%d are left", left);
		exact(left, "some have ended");
		for (i = 0; i < left; i++)
			bad += wrong(&vms[i]);
	}
	tap_equal(bad, 0, "every byte of those that were left was right");
}

int main(void)
{
	long bad = 0, passes;
	uint64_t seed;
	int i;

	mrm_begin();
	seed = setting_seed("MRM_SEED");
	start_all();
	passes = process_share_all(vms, VMS, 0, USED);
	tap_ok(passes, "a pass");
	exact(VMS, "all at once");
	for (i = 0; i < VMS; i++) {
		bad += mrm_vm_get(vms[i].pid, "shared_pages") != ZERO + COMMON;
		bad += mrm_vm_get(vms[i].pid, "private_pages") != OWN;
		bad += mrm_vm_get(vms[i].pid, "full_scans") != passes;
	}
	tap_equal(bad, 0, "each VM's own counters say so, too");
	mrm_check("with all at once");
	break_all();
	tap_ok(process_share_all(vms, VMS, 0, USED), "another pass");
	exact(VMS, "shared again");
	for (i = 0; i < VMS; i++)
		bad += wrong(&vms[i]);
	tap_equal(bad, 0, "every byte of every VM is right");
	end_all(&seed);
	mrm_reload("after all have ended");
	return tap_done();
}
