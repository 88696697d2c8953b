// SPDX-License-Identifier: GPL-2.0
/*
 * Where a balloon is told to go next, as arithmetic: no clock, no libvirt.
 *
 * The target stands in the device whatever becomes of us, and a guest that gets
 * into trouble meanwhile goes on giving until it is there.  So it is never set
 * further away than a step, and the next step is taken when the guest has come
 * after the last one.  The step is an amount of memory, not a percentage: it grows
 * while the guest follows at once, and shrinks when it does not.
 */
#include <string.h>

#include "balloon.h"

#define LOOK_MS 5000
#define LOOK_LATE_MS 60000
#define RETRY_MAX_MS 600000

/* So soon after a reboot it is not the new driver that was heard. */
#define REBOOT_MS 2000

/* A guest that was there within this time follows at once; after that, slowly. */
#define FAST_MS 2000
#define SLOW_MS 8000

const char *const balloon_state_names[] = {
	[BALLOON_NONE] = "none",
	[BALLOON_ABSENT] = "absent",
	[BALLOON_DRIVERLESS] = "driverless",
	[BALLOON_BOOTING] = "booting",
	[BALLOON_UNRESPONSIVE] = "unresponsive",
	[BALLOON_OK] = "ok",
};

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/**
 * balloon_floor() - what a guest needs to survive
 * @size: memory of the VM, in bytes
 *
 * QEMU and libvirt take any target, and a guest driven below what its kernel
 * needs dies.  A Linux kernel with its page structures (1/64 of all memory, however
 * much of it is in the balloon), its tables and a few daemons lives on 64 MiB, or on
 * an eighth where there is more.
 *
 * Return: bytes, at most @size.
 */
uint64_t balloon_floor(uint64_t size)
{
	uint64_t floor = size / 8 > 64ull << 20 ? size / 8 : 64ull << 20;

	return floor < size ? floor : size;
}

/**
 * balloon_init() - begin with a guest as it is
 * @balloon: filled in; its goal is to stay as it is
 * @size: memory of the VM, in bytes
 * @actual: what the guest has of it, in bytes
 * @device: it has a balloon
 * @now: the time, in ms
 */
void balloon_init(struct balloon *balloon, uint64_t size, uint64_t actual, bool device,
		  uint64_t now)
{
	memset(balloon, 0, sizeof(*balloon));
	balloon->size = size;
	balloon->device = device;
	balloon->actual = actual;
	balloon->goal = actual;
	balloon->step = BALLOON_STEP_FIRST;
	balloon->born_ms = now;
	balloon->look_ms = now;
}

/* The guest moves, or there is nothing for it to do. */
static void listens(struct balloon *balloon, uint64_t now)
{
	balloon->moved_ms = now;
	balloon->unresponsive = false;
	balloon->waits_ms = 0;
}

/**
 * balloon_actual() - the guest has so much memory now
 * @balloon: its balloon
 * @actual: in bytes
 * @now: the time, in ms
 */
void balloon_actual(struct balloon *balloon, uint64_t actual, uint64_t now)
{
	uint64_t left;

	/* The device remembers what the driver before a reboot has said. */
	if (!balloon->driver && actual == balloon->stale)
		return;
	/* Only a driver changes it. */
	if (actual != balloon->actual)
		balloon->driver = true;
	balloon->actual = actual;
	if (!balloon->asked)
		return;
	left = distance(actual, balloon->asked);
	if (left < balloon->nearest) {
		balloon->nearest = left;
		listens(balloon, now);
	}
}

/**
 * balloon_stats() - when the guest's driver was last heard
 * @balloon: the balloon
 * @last_update: in seconds, as the device has it; 0: never
 * @now: the time, in ms
 *
 * A driver says something when it starts.  One that says something every few seconds may have
 * done so since it was last looked for, before the guest was rebooted.
 */
void balloon_stats(struct balloon *balloon, uint64_t last_update, uint64_t now)
{
	balloon->stats = last_update;
	if (balloon->rebooted && now - balloon->born_ms < REBOOT_MS)
		balloon->stats_before = last_update;
	balloon->rebooted = false;
	balloon->driver |= last_update > balloon->stats_before;
	balloon->look_ms =
		now + (now - balloon->born_ms < BALLOON_BOOT_MS ? LOOK_MS : LOOK_LATE_MS);
}

/**
 * balloon_reboot() - the guest begins anew
 * @balloon: its balloon
 * @now: the time, in ms
 *
 * It boots with all of its memory: its next driver would go to the target that
 * stands at once, in the middle of the boot.
 */
void balloon_reboot(struct balloon *balloon, uint64_t now)
{
	balloon->driver = false;
	balloon->let_go = balloon->device && (balloon->asked || balloon->actual < balloon->size);
	/* What the device remembers is of the driver before, and the guest has it all. */
	balloon->stats_before = balloon->stats;
	balloon->rebooted = true;
	if (balloon->actual != balloon->size)
		balloon->stale = balloon->actual;
	balloon->actual = balloon->size;
	balloon->asked = 0;
	balloon->step = BALLOON_STEP_FIRST;
	balloon->born_ms = now;
	balloon->look_ms = now;
	balloon->unresponsive = false;
	balloon->waits_ms = 0;
}

/**
 * balloon_goal() - what the guest is to come to
 * @balloon: its balloon
 * @hold: what the balloon should hold in the end, in bytes
 * @min: what the VM has always, in bytes
 *
 * The guest keeps its min, and what it needs to survive, whatever is asked for.
 */
void balloon_goal(struct balloon *balloon, uint64_t hold, uint64_t min)
{
	uint64_t floor = balloon_floor(balloon->size);

	if (floor < min)
		floor = min < balloon->size ? min : balloon->size;
	balloon->goal = hold < balloon->size ? balloon->size - hold : 0;
	if (balloon->goal < floor)
		balloon->goal = floor;
	/* libvirt counts in KiB, and the guest in pages. */
	balloon->goal &= ~4095ull;
}

static bool is_near(const struct balloon *balloon, uint64_t where)
{
	/* All of its memory is all, to the last page. */
	return where == balloon->size ? balloon->actual == where
				      : distance(balloon->actual, where) < BALLOON_NEAR;
}

/**
 * balloon_gives() - whether a guest is on its way to give memory
 * @balloon: its balloon
 *
 * Return: true while others should wait for it.
 */
bool balloon_gives(const struct balloon *balloon)
{
	return balloon->device && balloon->driver && !balloon->unresponsive &&
	       balloon->goal < balloon->actual && !is_near(balloon, balloon->goal);
}

/**
 * balloon_state() - what is to be shown of it
 * @balloon: the balloon
 * @now: the time, in ms
 *
 * Return: never BALLOON_NONE.
 */
enum balloon_state balloon_state(const struct balloon *balloon, uint64_t now)
{
	if (!balloon->device)
		return BALLOON_ABSENT;
	if (!balloon->driver)
		return now - balloon->born_ms < BALLOON_BOOT_MS ? BALLOON_BOOTING
								: BALLOON_DRIVERLESS;
	return balloon->unresponsive ? BALLOON_UNRESPONSIVE : BALLOON_OK;
}

static struct balloon_step ask(struct balloon *balloon, uint64_t keep, uint64_t now)
{
	balloon->asked = keep;
	balloon->asked_ms = now;
	balloon->nearest = distance(balloon->actual, keep);
	return (struct balloon_step){ BALLOON_SET, keep, now + BALLOON_PATIENCE_MS };
}

/* The next target on the way to the goal, or where it is when it has to wait. */
static uint64_t towards(const struct balloon *balloon, uint64_t credit)
{
	uint64_t from = balloon->actual & ~4095ull, goal = balloon->goal;

	if (goal < from)
		return from - goal > balloon->step ? from - balloon->step : goal;
	return goal - from > credit ? from + (credit & ~4095ull) : goal;
}

/* Ask again for what the guest did not do, less and less often. */
static struct balloon_step insist(struct balloon *balloon, uint64_t credit, uint64_t now)
{
	struct balloon_step step;

	balloon->unresponsive = true;
	if (!balloon->waits_ms) {
		balloon->waits_ms = BALLOON_PATIENCE_MS;
		balloon->retry_ms = now + balloon->waits_ms;
	}
	if (now < balloon->retry_ms)
		return (struct balloon_step){ .again_ms = balloon->retry_ms };
	balloon->waits_ms *= 2;
	if (balloon->waits_ms > RETRY_MAX_MS)
		balloon->waits_ms = RETRY_MAX_MS;
	balloon->retry_ms = now + balloon->waits_ms;
	step = ask(balloon, towards(balloon, credit), now);
	step.again_ms = balloon->retry_ms;
	return step;
}

static void adapt(struct balloon *balloon, uint64_t now)
{
	uint64_t took = now - balloon->asked_ms;

	/* What it is given back it takes at once. */
	if (balloon->goal > balloon->actual)
		return;
	if (took <= FAST_MS && balloon->step < BALLOON_STEP_MAX)
		balloon->step *= 2;
	else if (took >= SLOW_MS && balloon->step > BALLOON_STEP_MIN)
		balloon->step /= 2;
}

static bool same_direction(const struct balloon *balloon)
{
	return (balloon->asked < balloon->actual) == (balloon->goal < balloon->actual);
}

/* It was told where to go, and has not come nearer for too long. */
static bool ignores(const struct balloon *balloon, uint64_t now)
{
	return balloon->asked && !is_near(balloon, balloon->asked) &&
	       now - balloon->moved_ms >= BALLOON_PATIENCE_MS;
}

/**
 * balloon_wait() - nothing can be done now: look at the time
 * @balloon: the balloon, of a guest whose QEMU has not answered so far
 * @now: the time, in ms
 *
 * Return: when to ask again, in ms; 0: no need.
 */
uint64_t balloon_wait(struct balloon *balloon, uint64_t now)
{
	balloon->unresponsive |= ignores(balloon, now);
	return balloon->asked && !is_near(balloon, balloon->asked) && !balloon->unresponsive
		       ? balloon->moved_ms + BALLOON_PATIENCE_MS
		       : 0;
}

/**
 * balloon_next() - decide what is to be done
 * @balloon: changed: what is returned counts as done
 * @credit: how much more the guest may be given, in bytes
 * @now: the time, in ms
 *
 * Return: what to do.
 */
struct balloon_step balloon_next(struct balloon *balloon, uint64_t credit, uint64_t now)
{
	struct balloon_step step;
	bool on_its_way, too_far;
	uint64_t keep;

	if (!balloon->device)
		return (struct balloon_step){ 0 };
	if (balloon->let_go) {
		balloon->let_go = false;
		return (struct balloon_step){ BALLOON_SET, balloon->size, now };
	}
	if (!balloon->driver) {
		if (now >= balloon->look_ms) {
			balloon->look_ms = now + LOOK_MS;
			return (struct balloon_step){ BALLOON_LOOK, 0, balloon->look_ms };
		}
		return (struct balloon_step){ .again_ms = balloon->look_ms };
	}
	if (is_near(balloon, balloon->goal)) {
		listens(balloon, now);
		/* Another target must not stand, whoever set it. */
		if (balloon->asked != balloon->goal)
			return ask(balloon, balloon->goal, now);
		return (struct balloon_step){ 0 };
	}
	on_its_way = balloon->asked && !is_near(balloon, balloon->asked) && same_direction(balloon);
	/* Further than it is to go by now, perhaps below its min: it is told at once. */
	too_far = on_its_way && distance(balloon->actual, balloon->asked) >
					distance(balloon->actual, balloon->goal);
	balloon->unresponsive |= on_its_way && ignores(balloon, now);
	if (on_its_way && !too_far && ignores(balloon, now))
		return insist(balloon, credit, now);
	/* Not half there. */
	if (on_its_way && !too_far &&
	    (distance(balloon->actual, balloon->asked) > balloon->step / 2 ||
	     balloon->asked == balloon->goal))
		return (struct balloon_step){ .again_ms = balloon->moved_ms + BALLOON_PATIENCE_MS };
	/* What it was granted before is not taken for another's. */
	if (too_far)
		credit = UINT64_MAX;
	keep = towards(balloon, credit);
	if (distance(keep, balloon->actual) < BALLOON_NEAR && keep != balloon->goal)
		return (struct balloon_step){ 0 };
	if (balloon->asked && is_near(balloon, balloon->asked))
		adapt(balloon, now);
	/* Another target is no patience anew: targets change by a little all the time. */
	if (!balloon->unresponsive && !on_its_way)
		balloon->moved_ms = now;
	step = ask(balloon, towards(balloon, credit), now);
	if (on_its_way && !balloon->unresponsive)
		step.again_ms = balloon->moved_ms + BALLOON_PATIENCE_MS;
	return step;
}
