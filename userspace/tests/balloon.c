// SPDX-License-Identifier: GPL-2.0
/* Where balloons are told to go: by hand, and with made-up guests at random. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balloon.h"
#include "round.h"
#include "tap.h"

#define MIB (1ull << 20)

static void test_floor(void)
{
	tap_ok(balloon_floor(4096 * MIB) == 512 * MIB, "an eighth of a large guest stays");
	tap_ok(balloon_floor(256 * MIB) == 64 * MIB, "64 MiB of a small one");
	tap_ok(balloon_floor(32 * MIB) == 32 * MIB, "all of a tiny one");
}

/* A guest of 1 GiB that runs and has all of it. */
static void running(struct balloon *balloon)
{
	balloon_init(balloon, 1024 * MIB, 1024 * MIB, true, 0);
	balloon_stats(balloon, 1, 0);
}

static void test_states(void)
{
	struct balloon balloon;
	struct balloon_step step;

	balloon_init(&balloon, 1024 * MIB, 1024 * MIB, false, 0);
	balloon_goal(&balloon, 512 * MIB, 0);
	step = balloon_next(&balloon, UINT64_MAX, 0);
	tap_ok(step.what == BALLOON_REST && !step.again_ms &&
		       balloon_state(&balloon, 0) == BALLOON_ABSENT,
	       "without a device nothing is done");

	balloon_init(&balloon, 1024 * MIB, 1024 * MIB, true, 0);
	balloon_goal(&balloon, 512 * MIB, 0);
	step = balloon_next(&balloon, UINT64_MAX, 0);
	tap_ok(step.what == BALLOON_LOOK && balloon_state(&balloon, 0) == BALLOON_BOOTING,
	       "a guest that boots is looked at, not told");
	balloon_stats(&balloon, 0, 10);
	step = balloon_next(&balloon, UINT64_MAX, 20);
	tap_ok(step.what == BALLOON_REST && step.again_ms == 5010, "and looked at again later");
	tap_ok(balloon_state(&balloon, BALLOON_BOOT_MS) == BALLOON_DRIVERLESS,
	       "after minutes without a driver it is not booting");
	balloon_stats(&balloon, 77, 5010);
	step = balloon_next(&balloon, UINT64_MAX, 5010);
	tap_ok(step.what == BALLOON_SET && step.keep == 960 * MIB &&
		       balloon_state(&balloon, 5010) == BALLOON_OK,
	       "with a driver it is told, a step at a time");

	balloon_actual(&balloon, 960 * MIB, 6000);
	balloon_reboot(&balloon, 7000);
	step = balloon_next(&balloon, UINT64_MAX, 7000);
	tap_ok(step.what == BALLOON_SET && step.keep == 1024 * MIB &&
		       balloon_state(&balloon, 7000) == BALLOON_BOOTING,
	       "a guest that reboots has all of its memory");
	balloon_actual(&balloon, 960 * MIB, 7000);
	tap_ok(balloon.actual == 1024 * MIB && !balloon.driver,
	       "what the device remembers of the driver before is not believed");
	balloon_stats(&balloon, 77, 7001);
	tap_ok(!balloon.driver, "the driver before the reboot is no driver");
	balloon_stats(&balloon, 90, 12000);
	tap_ok(balloon.driver, "the one after it is");
	step = balloon_next(&balloon, UINT64_MAX, 12000);
	tap_ok(step.what == BALLOON_SET && step.keep == 960 * MIB, "and is told again");
	balloon_reboot(&balloon, 60000);
	balloon_stats(&balloon, 130, 60010);
	tap_ok(!balloon.driver, "nor is one that went on to say something until the reboot");
	balloon_stats(&balloon, 140, 65010);
	tap_ok(balloon.driver, "the next one is");
}

static void test_goal(void)
{
	struct balloon balloon;

	running(&balloon);
	balloon_goal(&balloon, 2048 * MIB, 0);
	tap_ok(balloon.goal == 128 * MIB, "a guest keeps what it needs to survive");
	balloon_goal(&balloon, 900 * MIB, 512 * MIB);
	tap_ok(balloon.goal == 512 * MIB, "and its min");
	balloon_goal(&balloon, 900 * MIB, 4096 * MIB);
	tap_ok(balloon.goal == 1024 * MIB, "and no more than there is");
	balloon_goal(&balloon, 10 * MIB + 1, 0);
	tap_ok(!(balloon.goal % 4096) && balloon.goal <= 1014 * MIB, "whole pages");
}

static void test_steps(void)
{
	struct balloon balloon;
	struct balloon_step step;

	running(&balloon);
	balloon_goal(&balloon, 512 * MIB, 0);
	step = balloon_next(&balloon, UINT64_MAX, 1000);
	tap_ok(step.keep == 960 * MIB, "the first step");
	step = balloon_next(&balloon, UINT64_MAX, 1500);
	tap_ok(step.what == BALLOON_REST, "no other before the guest follows");
	balloon_actual(&balloon, 1000 * MIB, 1600);
	step = balloon_next(&balloon, UINT64_MAX, 1600);
	tap_ok(step.what == BALLOON_REST, "nor before it is half there");
	balloon_actual(&balloon, 960 * MIB, 1700);
	step = balloon_next(&balloon, UINT64_MAX, 1700);
	tap_ok(step.keep == 832 * MIB, "a quick guest gets a larger step");
	balloon_actual(&balloon, 832 * MIB, 20000);
	step = balloon_next(&balloon, UINT64_MAX, 20000);
	tap_ok(step.keep == 768 * MIB, "a slow one a smaller step");
	balloon_goal(&balloon, 0, 0);
	step = balloon_next(&balloon, UINT64_MAX, 20100);
	tap_ok(step.keep == 1024 * MIB, "when it shall get it back, it is told at once");
	balloon_actual(&balloon, 1024 * MIB - 4096, 20200);
	tap_ok(balloon_next(&balloon, UINT64_MAX, 20200).again_ms, "a page less is not all");
	balloon_actual(&balloon, 1024 * MIB, 20300);
	step = balloon_next(&balloon, UINT64_MAX, 20300);
	tap_ok(step.what == BALLOON_REST && !step.again_ms, "all is");
}

static void test_liveness(void)
{
	struct balloon balloon;
	struct balloon_step step;
	unsigned int tries = 0;
	uint64_t now;

	running(&balloon);
	balloon_goal(&balloon, 512 * MIB, 0);
	balloon_next(&balloon, UINT64_MAX, 0);
	tap_ok(balloon_gives(&balloon), "a guest that was told is waited for");
	balloon_init(&balloon, 1024 * MIB, 512 * MIB, true, 0);
	balloon_stats(&balloon, 1, 0);
	balloon_goal(&balloon, 512 * MIB, 0);
	step = balloon_next(&balloon, UINT64_MAX, 0);
	tap_ok(step.what == BALLOON_SET && step.keep == 512 * MIB,
	       "one that is there is told once, whatever others have told it");
	tap_ok(balloon_next(&balloon, UINT64_MAX, 0).what == BALLOON_REST, "and not again");
	running(&balloon);
	balloon_goal(&balloon, 512 * MIB, 0);
	balloon_next(&balloon, UINT64_MAX, 0);
	balloon_next(&balloon, UINT64_MAX, 19999);
	tap_ok(balloon_state(&balloon, 19999) == BALLOON_OK, "for 20 s");
	step = balloon_next(&balloon, UINT64_MAX, 20000);
	tap_ok(balloon_state(&balloon, 20000) == BALLOON_UNRESPONSIVE && !balloon_gives(&balloon),
	       "then it is known to ignore it");
	for (now = 20000; now < 4000000; now = step.again_ms) {
		step = balloon_next(&balloon, UINT64_MAX, now);
		tries += step.what == BALLOON_SET;
		if (!step.again_ms || step.again_ms <= now)
			break;
	}
	tap_ok(tries >= 8 && tries <= 14 && step.again_ms - now <= 600000,
	       "and told again, less and less often: %u times", tries);
	balloon_actual(&balloon, 1000 * MIB, now);
	tap_ok(balloon_state(&balloon, now) == BALLOON_OK, "until it moves");

	running(&balloon);
	balloon_goal(&balloon, 512 * MIB, 0);
	balloon_next(&balloon, UINT64_MAX, 0);
	tap_ok(balloon_wait(&balloon, 100) == 20000 && !balloon_wait(&balloon, 20000) &&
		       balloon_state(&balloon, 20000) == BALLOON_UNRESPONSIVE,
	       "a QEMU that does not answer is as good as a guest that does not");
}

/*
 * A guest that stopped near where it is to go, while that changes by a page now and then.
 * Return: how often it was told.
 */
static unsigned int move_goal(struct balloon *balloon, int pages)
{
	uint64_t now, hold = 40 * MIB;
	unsigned int tries = 0;

	running(balloon);
	balloon_goal(balloon, hold, 0);
	balloon_next(balloon, UINT64_MAX, 0);
	balloon_actual(balloon, 1000 * MIB, 1000);
	for (now = 5000; now < 605000; now += 5000) {
		if (now % 15000 == 0)
			balloon_goal(balloon, hold += pages * 4096, 0);
		tries += balloon_next(balloon, UINT64_MAX, now).what == BALLOON_SET;
		if (now == 20000)
			tap_ok(balloon_state(balloon, now) == BALLOON_OK,
			       "a guest that stops near its goal is waited for");
		if (now == 25000)
			tap_ok(balloon_state(balloon, now) == BALLOON_UNRESPONSIVE &&
				       !balloon_gives(balloon),
			       "for 20 s, though its goal moves");
	}
	return tries;
}

static void test_moving_goal(void)
{
	struct balloon_step step;
	struct balloon balloon;
	unsigned int tries;

	tries = move_goal(&balloon, 1);
	tap_ok(tries >= 3 && tries <= 8, "and is told less and less often: %u times", tries);
	balloon_actual(&balloon, 990 * MIB, 605000);
	tap_ok(balloon_state(&balloon, 605000) == BALLOON_OK, "until it moves");
	move_goal(&balloon, -1);

	running(&balloon);
	balloon_goal(&balloon, 512 * MIB, 0);
	balloon_next(&balloon, UINT64_MAX, 0);
	balloon_next(&balloon, UINT64_MAX, 20000);
	balloon_goal(&balloon, 512 * MIB, 1000 * MIB);
	step = balloon_next(&balloon, UINT64_MAX, 21000);
	tap_ok(step.what == BALLOON_SET && step.keep == 1000 * MIB && step.again_ms > 21000 &&
		       balloon_state(&balloon, 21000) == BALLOON_UNRESPONSIVE,
	       "a min that rises is told at once to one that does not listen");

	running(&balloon);
	balloon_goal(&balloon, 1 * MIB, 0);
	balloon_next(&balloon, UINT64_MAX, 0);
	balloon_actual(&balloon, 1023 * MIB, 1000);
	tap_ok(!balloon_wait(&balloon, 30000), "of one that is there no answer is waited for");
}

static void test_credit(void)
{
	struct balloon balloon;
	struct balloon_step step;
	struct round round;

	running(&balloon);
	balloon_actual(&balloon, 512 * MIB, 0);
	balloon_goal(&balloon, 0, 0);
	step = balloon_next(&balloon, 0, 0);
	tap_ok(step.what == BALLOON_REST, "nothing is given while there is nothing");
	step = balloon_next(&balloon, 100 * MIB, 10);
	tap_ok(step.keep == 612 * MIB, "what there is, is");

	round_begin(&round, 100 * MIB, 60 * MIB);
	tap_ok(round_credit(&round, 1) == 40 * MIB, "what is free may be given");
	round_given(&round, 100 * MIB, 70 * MIB);
	round_given(&round, 70 * MIB, 90 * MIB);
	tap_ok(round_credit(&round, 1) == 70 * MIB, "and what others gave");
	round_granted(&round, 50 * MIB);
	tap_ok(round_credit(&round, 1) == 20 * MIB, "once");
	round_granted(&round, 50 * MIB);
	tap_ok(!round_credit(&round, 1) && round_credit(&round, 0) == UINT64_MAX,
	       "and all, when nobody gives any more");
	round_begin(&round, 10, 20);
	tap_ok(!round_credit(&round, 1), "less than there should be is nothing");
}

/**
 * struct model - a made-up guest
 * @rate: pages of 4 KiB that it moves in a second; 0: it ignores us
 * @boots_ms: when its driver comes
 * @floor: below it gives no more, in bytes
 * @told: its target, in bytes
 * @actual: what it has, in bytes
 */
struct model {
	uint64_t rate;
	uint64_t boots_ms;
	uint64_t floor;
	uint64_t told;
	uint64_t actual;
};

/* 100 ms of the guest's life. */
static void live(struct model *model, uint64_t now)
{
	uint64_t most = model->rate * 4096 / 10, wanted = model->told;

	if (now < model->boots_ms)
		return;
	if (wanted < model->floor)
		wanted = model->floor;
	if (wanted < model->actual)
		model->actual -= model->actual - wanted < most ? model->actual - wanted : most;
	else
		model->actual += wanted - model->actual < most ? wanted - model->actual : most;
}

/**
 * struct outcome - what was seen of a made-up guest
 * @too_low: it was told to have less than it must have
 * @too_far: its target was further from it than a step
 * @too_early: it was told before there was a driver
 */
struct outcome {
	unsigned int too_low;
	unsigned int too_far;
	unsigned int too_early;
};

/* Follow a guest for a while with goals that change; what it was told must be right always. */
static void follow(struct balloon *balloon, struct model *model, uint64_t min,
		   struct outcome *outcome)
{
	uint64_t floor = balloon_floor(balloon->size) > min ? balloon_floor(balloon->size) : min;
	uint64_t now, hold = 0, next = 0, goal_ms = 0;
	struct balloon_step step;

	for (now = 0; now < 3000000; now += 100) {
		if (now >= goal_ms) {
			hold = random() % (balloon->size / 4096) * 4096;
			balloon_goal(balloon, hold, min);
			goal_ms = now + 1000 + random() % 600000;
			/* The last one stands. */
			if (now > 1500000)
				goal_ms = UINT64_MAX;
			next = now;
		}
		live(model, now);
		if (model->actual != balloon->actual) {
			balloon_actual(balloon, model->actual, now);
			next = now;
		}
		if (!next || now < next)
			continue;
		step = balloon_next(balloon, UINT64_MAX, now);
		next = step.again_ms > now || !step.again_ms ? step.again_ms : now + 100;
		if (step.what == BALLOON_LOOK)
			balloon_stats(balloon, now >= model->boots_ms ? 5 : 0, now);
		if (step.what != BALLOON_SET)
			continue;
		outcome->too_low += step.keep < floor;
		outcome->too_far += step.keep < model->actual &&
				    model->actual - step.keep > balloon->step + MIB;
		outcome->too_early += now < model->boots_ms;
		model->told = step.keep;
	}
}

static void test_random(void)
{
	struct outcome outcome = { 0 };
	unsigned int i, wrong_end = 0, wrong_state = 0;
	struct balloon balloon;
	struct model model;
	uint64_t min, end;

	srandom(1);
	for (i = 0; i < 300; i++) {
		uint64_t size = (128 + random() % 8192) * MIB;

		min = random() % 2 ? random() % size & ~4095ull : 0;
		model = (struct model){
			.rate = random() % 4 ? 1000 + random() % 500000 : 0,
			.boots_ms = random() % 2 ? random() % 200000 : 0,
			.floor = random() % 3 ? 0 : random() % size & ~4095ull,
			.told = size,
			.actual = size,
		};
		balloon_init(&balloon, size, size, true, 0);
		follow(&balloon, &model, min, &outcome);
		end = balloon.goal > model.floor ? balloon.goal : model.floor;
		if (model.rate && model.rate > 10000 &&
		    (model.actual > end + MIB || model.actual + MIB < end))
			wrong_end++;
		if (model.rate > 10000 && balloon.goal >= model.floor &&
		    balloon_state(&balloon, 3000000) != BALLOON_OK)
			wrong_state++;
		if (!model.rate && balloon.goal + MIB < size &&
		    balloon_state(&balloon, 3000000) != BALLOON_UNRESPONSIVE)
			wrong_state++;
	}
	tap_ok(!outcome.too_low, "300 guests: none is told to go below its min or its floor");
	tap_ok(!outcome.too_far, "none is told to go further than a step");
	tap_ok(!outcome.too_early, "none is told before it has a driver");
	tap_ok(!wrong_end, "all that move come to the goal (%u do not)", wrong_end);
	tap_ok(!wrong_state, "their states are right (%u are not)", wrong_state);
}

/**
 * test_balloon() - balloons and rounds
 */
void test_balloon(void)
{
	test_floor();
	test_states();
	test_goal();
	test_steps();
	test_liveness();
	test_moving_goal();
	test_credit();
	test_random();
}
