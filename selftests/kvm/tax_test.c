// SPDX-License-Identifier: GPL-2.0
/*
 * Figure 7 of the paper (Waldspurger 2002, 5.2) without a guest system, whose kernel never touches
 * a part of its memory: two VMs of equal size and shares, memory for 1.4 of one, sampled as ever.
 * One touches all it has, the other a part of it that is known.  Without a tax each has a half;
 * with 75 per cent the idle one comes to (T + 3a) / 5, where T is what they have together and a
 * is what it touches (5.2, and the rule of 5.1 solved for two VMs).
 *
 * Their balloons are this program: it discards what is above a VM's target, from the top of RAM,
 * and has the VM touch what its target lets it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mrm.h"
#include "tap.h"
#include "toucher.h"

#define PAGES		(192L * 256)	/* of RAM of each: 192 MiB */
#define BOTH		(PAGES * 14 / 10)	/* that are there for them */
#define ACTIVE		(64L * 256)	/* that the idle one goes on touching */
#define HALF		(BOTH / 2)
#define ALL		10000			/* pages in a sample: the most */
#define SETTLE		(4 * MRM_LONG)		/* ms */

enum { IDLE, BUSY, VMS };

static struct vm_process vms[VMS];
static long held[VMS];		/* pages of RAM, from its beginning, that are not in a balloon */

static void start(int i)
{
	const struct vm_config config = { .pages = PAGES, .irqchip = true };
	long page;

	process_start(&vms[i], &config);
	for (page = 0; page < HALF; page++)
		vms[i].states[page] = 1 + i * PAGES + page;
	if (process_guest(&vms[i], GUEST_FILL, 0, HALF))
		tap_bail("RAM is not filled");
	mrm_vm_set(vms[i].pid, "share", "0");
	mrm_vm_set(vms[i].pid, "balloon_state", "ok");
}

/* The VM may use so many pages, the first ones.  What it touches of them, @touches tells. */
static void give(int i, long pages, long touches)
{
	struct vm_process *p = &vms[i];
	char text[32];
	long page;

	for (page = 0; page < PAGES; page++)
		p->owners[page] = page < pages && page < touches;
	if (pages < held[i]) {
		/* It may have been about to touch one of them. */
		if (!toucher_wait(p->pid, 1, MRM_LONG))
			tap_bail("VM %d is not sampled", p->pid);
		if (process_discard(p, pages, held[i] - pages))
			tap_bail("the balloon does not grow");
	}
	held[i] = pages;
	snprintf(text, sizeof(text), "%ld", (long)((PAGES - pages) * PAGE_SIZE));
	mrm_vm_set(p->pid, "balloon_bytes", text);
}

static long target(int i)
{
	long pages = mrm_vm_get(vms[i].pid, "target_bytes") / (long)PAGE_SIZE;

	return pages > PAGES ? PAGES : pages;
}

static long consumed(int i)
{
	return mrm_vm_get(vms[i].pid, "consumed_bytes") / (long)PAGE_SIZE;
}

/* What balloons do: who has too much gives first. */
static void drive(void)
{
	int i;

	for (i = 0; i < VMS; i++)
		if (target(i) < held[i])
			give(i, target(i), i == IDLE ? ACTIVE : PAGES);
	for (i = 0; i < VMS; i++)
		if (target(i) > held[i])
			give(i, target(i), i == IDLE ? ACTIVE : PAGES);
}

/**
 * struct want - what the idle VM is to come to
 * @tax: per cent
 * @percent: how near
 */
struct want {
	long tax, percent;
};

static long formula(const struct want *want)
{
	long all = consumed(IDLE) + consumed(BUSY);

	return want->tax ? (all + 3 * ACTIVE) / 5 : all / 2;
}

static bool is_near(void *arg)
{
	const struct want *want = arg;
	long is, should_be;

	drive();
	is = consumed(IDLE);
	should_be = formula(want);
	return labs(is - should_be) * 100 <= should_be * want->percent &&
	       consumed(BUSY) >= target(BUSY) * 95 / 100;
}

static void show(const char *when, const struct want *want)
{
	tap_note("%s: idle %ld MiB (target %ld, active %ld), busy %ld (%ld, %ld), wanted %ld", when,
		 consumed(IDLE) * (long)PAGE_SIZE / MiB, target(IDLE) * (long)PAGE_SIZE / MiB,
		 mrm_vm_get(vms[IDLE].pid, "active_bytes") / MiB,
		 consumed(BUSY) * (long)PAGE_SIZE / MiB, target(BUSY) * (long)PAGE_SIZE / MiB,
		 mrm_vm_get(vms[BUSY].pid, "active_bytes") / MiB,
		 formula(want) * (long)PAGE_SIZE / MiB);
}

static void with_tax(long tax, const char *what)
{
	struct want want = { .tax = tax, .percent = 5 };
	unsigned int i;
	bool stays = true;

	mrm_set_number("idle_tax", tax);
	tap_ok(wait_until(is_near, &want, SETTLE), "with a tax of %ld %%: %s", tax, what);
	show("then", &want);
	for (i = 0; i < 5; i++) {
		if (!toucher_wait(vms[BUSY].pid, 1, MRM_LONG))
			tap_bail("the busy VM is not sampled");
		stays &= is_near(&want);
	}
	tap_ok(stays, "and stays so");
	show("five periods later", &want);
}

/* What they may have: the idle one does not touch what it gets. */
static bool are_equal(void *unused)
{
	(void)unused;
	return labs(target(IDLE) - target(BUSY)) <= 1;
}

static void test_tax(void)
{
	int i;

	for (i = 0; i < VMS; i++) {
		start(i);
		held[i] = HALF;
		give(i, HALF, i == IDLE ? ACTIVE : PAGES);
		toucher_touch(&vms[i]);
	}
	mrm_set_number("sample_pages", ALL);
	mrm_set_number("balance_period", 1);
	mrm_set_number("idle_tax", 0);
	/* What is to stay free is so little that where a VM is says more. */
	mrm_set_number("min_free", 1);
	if (mrm_set_number("limit_bytes", BOTH * 100 / 99 * PAGE_SIZE))
		tap_bail("the limit is refused");
	mrm_set_number("sample_period", 1);
	for (i = 0; i < VMS; i++)
		if (!toucher_wait(vms[i].pid, 2, MRM_LONG))
			tap_bail("VM %d is not sampled", vms[i].pid);
	with_tax(0, "each has a half");
	with_tax(75, "the idle one has (T + 3a) / 5");
	mrm_set_number("idle_tax", 0);
	tap_ok(wait_until(are_equal, NULL, MRM_LONG), "without a tax each may have a half again");
	mrm_set_number("sample_period", 0);
	mrm_set_number("limit_bytes", 0);
	for (i = 0; i < VMS; i++) {
		toucher_rest(&vms[i]);
		tap_ok(process_verify(&vms[i]), "every byte is right");
		tap_equal(mrm_vm_get(vms[i].pid, "reclaimed_bytes"), 0, "nothing was taken");
	}
	mrm_check("after the tax");
	for (i = 0; i < VMS; i++)
		process_stop(&vms[i]);
	mrm_nothing_left("after the tax");
}

int main(void)
{
	mrm_begin();
	mrm_set("share_cpu_max", "0");
	test_tax();
	return tap_done();
}
