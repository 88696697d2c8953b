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

#define PAGES		(64L * 256)	/* of RAM of each: 64 MiB */
#define BOTH		(PAGES * 14 / 10)	/* that are there for them */
#define ACTIVE		(20L * 256)	/* that the idle one goes on touching */
#define HALF		(BOTH / 2)
#define SAMPLE		10000			/* pages: the most */
#define PERIOD		2			/* s: so long it takes at the most to touch all */
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

/* What it goes on touching: the first pages, and those from @from to @to. */
static void touch(int i, long first, long from, long to)
{
	long page;

	for (page = 0; page < PAGES; page++)
		vms[i].owners[page] = page < first || (page >= from && page < to);
}

static void wait_period(int i)
{
	if (!toucher_wait(vms[i].pid, 1, MRM_LONG))
		tap_bail("VM %d is not sampled", vms[i].pid);
}

/* The VM may use so many pages, the first ones. */
static void give(int i, long pages)
{
	long goes_on = i == IDLE ? ACTIVE : pages;
	char text[32];

	touch(i, goes_on, held[i], pages);
	/* It may have been about to touch one that goes; and touches what it gets, once. */
	if (pages != held[i])
		wait_period(i);
	touch(i, goes_on, 0, 0);
	if (pages < held[i] && process_discard(&vms[i], pages, held[i] - pages))
		tap_bail("the balloon does not grow");
	held[i] = pages;
	snprintf(text, sizeof(text), "%ld", (PAGES - pages) * (long)PAGE_SIZE);
	mrm_vm_set(vms[i].pid, "balloon_bytes", text);
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
			give(i, target(i));
	for (i = 0; i < VMS; i++)
		if (target(i) > held[i])
			give(i, target(i));
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

static double mib(long pages)
{
	return (double)pages * PAGE_SIZE / MiB;
}

static double active_mib(int i)
{
	return (double)mrm_vm_get(vms[i].pid, "active_bytes") / MiB;
}

static void show(const char *when, const struct want *want)
{
	tap_note("%s, MiB: idle %.1f, target %.1f, active %.1f, wanted %.1f", when,
		 mib(consumed(IDLE)), mib(target(IDLE)), active_mib(IDLE), mib(formula(want)));
	tap_note("busy %.1f, target %.1f, active %.1f", mib(consumed(BUSY)), mib(target(BUSY)),
		 active_mib(BUSY));
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
		wait_period(BUSY);
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
		give(i, HALF);
		toucher_touch(&vms[i]);
	}
	mrm_set_number("sample_pages", SAMPLE);
	mrm_set_number("balance_period", 1);
	mrm_set_number("idle_tax", 0);
	/* What is to stay free is so little that where a VM is says more. */
	mrm_set_number("min_free", 1);
	if (mrm_set_number("limit_bytes", BOTH * 100 / 99 * PAGE_SIZE))
		tap_bail("the limit is refused");
	mrm_set_number("sample_period", PERIOD);
	for (i = 0; i < VMS; i++)
		wait_period(i);
	with_tax(0, "each has a half");
	with_tax(75, "the idle one has (T + 3a) / 5");
	mrm_set_number("idle_tax", 0);
	tap_ok(wait_until(are_equal, NULL, MRM_LONG), "without a tax each may have a half again");
	/* What is counted below is to stand still. */
	mrm_tune();
	for (i = 0; i < VMS; i++) {
		toucher_rest(&vms[i]);
		tap_ok(process_verify(&vms[i]), "every byte is right");
		/* Large ones hold more than is touched, until that is taken. */
		tap_ok(mrm_large() || !mrm_vm_get(vms[i].pid, "reclaimed_bytes"),
		       "nothing was taken");
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
