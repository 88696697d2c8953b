// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "estimate.h"
#include "tap.h"
#include "unit.h"

#define ONE (1U << MRM_ESTIMATE_SHIFT)

static u32 percent(unsigned int n)
{
	return (n * ONE + 50) / 100;
}

/* Periods of the same count until the estimate is within @near of it. */
static unsigned int periods_until(struct mrm_estimate *e, u32 touched, u32 samples, u32 near)
{
	u32 goal = ((u64)touched * ONE + samples / 2) / samples;
	unsigned int n;

	for (n = 0; labs((long)mrm_estimate_active(e, 0, 0) - goal) > near; n++)
		mrm_estimate_add(e, touched, samples);
	return n;
}

static void test_first(void)
{
	struct mrm_estimate e = {};

	tap_equal(mrm_estimate_active(&e, 0, 0), 0, "estimate: nothing known");
	tap_equal(mrm_estimate_active(&e, 30, 100), percent(30),
		  "estimate: all that is known is the running period");
	mrm_estimate_add(&e, 0, 0);
	tap_equal(e.periods, 0, "estimate: a period without samples is none");
	mrm_estimate_add(&e, 40, 100);
	tap_equal(e.slow, percent(40), "estimate: the first period is the slow average");
	tap_equal(e.fast, percent(40), "estimate: the first period is the fast average");
	tap_equal(e.periods, 1, "estimate: it is counted");
}

static void test_steady(void)
{
	unsigned int touched, wrong = 0, i;

	for (touched = 0; touched <= 100; touched++) {
		struct mrm_estimate e = {};

		for (i = 0; i < 1000; i++) {
			mrm_estimate_add(&e, touched, 100);
			wrong += mrm_estimate_active(&e, 0, 0) != percent(touched);
			wrong += mrm_estimate_active(&e, touched / 2, 100) != percent(touched);
		}
	}
	tap_equal(wrong, 0, "estimate: what does not change is estimated exactly");

	for (touched = 0; touched <= 100; touched++) {
		struct mrm_estimate up = {}, down = {};

		mrm_estimate_add(&up, 0, 100);
		mrm_estimate_add(&down, 100, 100);
		for (i = 0; i < 200; i++) {
			mrm_estimate_add(&up, touched, 100);
			mrm_estimate_add(&down, touched, 100);
		}
		wrong += up.slow != percent(touched) || up.fast != percent(touched);
		wrong += down.slow != percent(touched) || down.fast != percent(touched);
	}
	tap_equal(wrong, 0, "estimate: whatever was before, it gets there exactly");
}

static void test_steps(void)
{
	struct mrm_estimate e = {};
	u32 last, rise;
	unsigned int i, fell = 0;

	for (i = 0; i < 20; i++)
		mrm_estimate_add(&e, 10, 100);
	last = mrm_estimate_active(&e, 0, 100);
	tap_equal(last, percent(10), "estimate: a period that has just begun changes nothing");
	for (i = 0; i <= 90; i++) {
		u32 now = mrm_estimate_active(&e, i, 100);

		fell += now < last;
		last = now;
	}
	tap_equal(fell, 0, "estimate: it never falls while a period goes on");
	rise = last - percent(10);
	tap_between(rise, percent(80) * 85 / 100, percent(80),
		    "estimate: 85 per cent of a step is seen before the period has ended");
	mrm_estimate_add(&e, 90, 100);
	tap_equal(mrm_estimate_active(&e, 0, 100), last,
		  "estimate: and the period's end changes nothing");

	mrm_estimate_add(&e, 90, 100);
	tap_between(mrm_estimate_active(&e, 0, 0), percent(88), percent(90),
		    "estimate: 98 per cent of it after two periods");
	tap_between(periods_until(&e, 90, 100, 0), 1, 6, "estimate: and soon all of it");
	/* For the slow average, on which the fall depends, to get there, too. */
	for (i = 0; i < 100; i++)
		mrm_estimate_add(&e, 90, 100);

	mrm_estimate_add(&e, 10, 100);
	tap_between(mrm_estimate_active(&e, 0, 0), percent(80) - 1, percent(80),
		    "estimate: it falls by an eighth of the step in a period");
	tap_equal(e.fast, percent(20), "estimate: by seven eighths in the fast average");
	/* (7/8)^n. */
	tap_equal(1 + periods_until(&e, 10, 100, percent(40)), 6, "estimate: half in 6 periods");
	tap_equal(6 + periods_until(&e, 10, 100, percent(8)), 18,
		  "estimate: nine tenths in 18 periods");
}

static void test_peak(void)
{
	struct mrm_estimate e = {};
	unsigned int i;

	for (i = 0; i < 50; i++)
		mrm_estimate_add(&e, 10, 100);
	mrm_estimate_add(&e, 100, 100);
	mrm_estimate_add(&e, 10, 100);
	tap_between(mrm_estimate_active(&e, 0, 0), percent(19), percent(22),
		    "estimate: a single peak is almost forgotten after a period");
}

/* Numbers of samples differ; what they say does not. */
static void test_samples(void)
{
	static const u32 samples[] = { 10, 100, 10000, 1000, 20 };
	struct mrm_estimate e = {};
	unsigned int i, wrong = 0;

	for (i = 0; i < 100; i++) {
		u32 n = samples[i % 5];

		mrm_estimate_add(&e, n * 3 / 10, n);
		wrong += mrm_estimate_active(&e, 0, 0) != percent(30);
		wrong += mrm_estimate_active(&e, n / 10, n) != percent(30);
	}
	tap_equal(wrong, 0, "estimate: the number of samples may change");
	mrm_estimate_add(&e, 1, 1);
	tap_between(e.fast, percent(91), percent(92), "estimate: one sample is a period, too");
}

static void test_limits(void)
{
	struct mrm_estimate e = {};
	unsigned int i, wrong = 0;

	for (i = 0; i < 100000; i++) {
		u32 samples = draw(1, draw(0, 1) ? 10000 : ~0U), touched = draw(0, samples);
		u32 low = e.slow < e.fast ? e.slow : e.fast;
		u32 high = e.slow > e.fast ? e.slow : e.fast;
		u32 now = ((u64)touched * ONE + samples / 2) / samples;

		if (e.periods) {
			low = now < low ? now : low;
			high = now > high ? now : high;
		} else {
			low = now;
			high = now;
		}
		wrong += mrm_estimate_active(&e, touched, samples) > high;
		mrm_estimate_add(&e, touched, samples);
		wrong += e.slow < low || e.slow > high || e.fast < low || e.fast > high;
	}
	tap_equal(wrong, 0, "estimate: averages are between what was and what is");
	tap_equal(mrm_estimate_pages(0, 1ULL << 40), 0, "estimate: none of 2^40 pages");
	tap_equal(mrm_estimate_pages(ONE, 1ULL << 40), 1L << 40, "estimate: all of 2^40 pages");
	tap_equal(mrm_estimate_pages(percent(50), 3), 2, "estimate: pages to the nearest");
	tap_equal(mrm_estimate_pages(percent(30), 1000), 300, "estimate: 30 per cent of 1000");
}

/**
 * test_estimate() - averages of the active fraction
 */
void test_estimate(void)
{
	test_first();
	test_steady();
	test_steps();
	test_peak();
	test_samples();
	test_limits();
}
