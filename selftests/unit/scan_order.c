// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "scan_order.h"
#include "tap.h"
#include "unit.h"

/* Does each place come exactly once? */
static bool permutation(u64 n, u64 seed)
{
	struct mrm_scan_order o;
	unsigned char *seen = calloc(n, 1);
	bool good = seen;
	u64 i, at;

	mrm_scan_order_init(&o, n, seed);
	for (i = 0; i < n && good; i++) {
		at = mrm_scan_order_at(&o, i);
		good = at < n && !seen[at];
		if (good)
			seen[at] = 1;
	}
	free(seen);
	return good;
}

static void test_permutations(void)
{
	u64 n, power, bad = 0;

	for (n = 1; n <= 600; n++)
		bad += !permutation(n, n) || !permutation(n, ~n);
	tap_equal(bad, 0, "scan_order: a permutation for 1 to 600 places");
	bad = 0;
	for (power = 4; power <= 1 << 20; power *= 4)
		for (n = power - 1; n <= power + 1; n++)
			bad += !permutation(n, 0) || !permutation(n, 12345);
	tap_equal(bad, 0, "scan_order: a permutation around each power of 4");
	tap_ok(permutation(1000003, 7), "scan_order: a permutation for a big prime");
}

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Too big for a table: what was drawn is in range, and no place comes twice. */
static bool sampled(u64 n, u64 seed)
{
	static u64 at[100000];
	const u64 samples = sizeof(at) / sizeof(at[0]);
	struct mrm_scan_order o;
	bool good = true;
	u64 i;

	mrm_scan_order_init(&o, n, seed);
	for (i = 0; i < samples; i++) {
		at[i] = mrm_scan_order_at(&o, i % 2 ? i : n - 1 - i);
		good &= at[i] < n;
	}
	qsort(at, samples, sizeof(at[0]), compare);
	for (i = 1; i < samples; i++)
		good &= at[i] != at[i - 1];
	return good;
}

static void test_big(void)
{
	static const u64 sizes[] = {
		1ULL << 24, (1ULL << 32) - 1, 1ULL << 32, (1ULL << 32) + 1, 1000000007ULL,
		(1ULL << 40) + 12345, (1ULL << 52) - 1, 1ULL << 62,
	};
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		tap_ok(sampled(sizes[i], i), "scan_order: %llu places, sampled",
		       (unsigned long long)sizes[i]);
}

static void test_seeds(void)
{
	struct mrm_scan_order a, b;
	u64 i, same = 0;

	mrm_scan_order_init(&a, 10000, 1);
	mrm_scan_order_init(&b, 10000, 2);
	for (i = 0; i < 10000; i++)
		same += mrm_scan_order_at(&a, i) == mrm_scan_order_at(&b, i);
	/* One is to be expected. */
	tap_between(same, 0, 10, "scan_order: another seed, another order");
	mrm_scan_order_init(&b, 10000, 1);
	for (i = 0, same = 0; i < 10000; i++)
		same += mrm_scan_order_at(&a, i) == mrm_scan_order_at(&b, i);
	tap_equal(same, 10000, "scan_order: the same seed, the same order");
}

/* Of two random places in n, the distance is n/3 on average. */
static void test_random(u64 n)
{
	u64 seed, i, last, at, sum = 0, near = 0, steps = 0, up = 0;
	struct mrm_scan_order o;

	for (seed = 0; steps < 200000; seed++) {
		mrm_scan_order_init(&o, n, seed * 977);
		last = mrm_scan_order_at(&o, 0);
		for (i = 1; i < n; i++, steps++) {
			at = mrm_scan_order_at(&o, i);
			sum += at > last ? at - last : last - at;
			near += at - last + 1 <= 2;
			up += at > last;
			last = at;
		}
	}
	tap_between(sum * 1000 / steps, 300 * n, 367 * n,
		    "scan_order: %llu places: neighbours are a third apart on average",
		    (unsigned long long)n);
	tap_between(up * 1000 / steps, 480, 520, "scan_order: %llu places: up as often as down",
		    (unsigned long long)n);
	/* 2/n of the steps by chance. */
	tap_between(near * n / steps, 0, 4, "scan_order: %llu places: few steps to the next one",
		    (unsigned long long)n);
}

/* Over many seeds each place comes first, and last, equally often. */
static void test_first(void)
{
	long first[10] = {}, last[10] = {};
	struct mrm_scan_order o;
	u64 seed;
	int i;
	bool good = true;

	for (seed = 0; seed < 20000; seed++) {
		mrm_scan_order_init(&o, 10, seed);
		first[mrm_scan_order_at(&o, 0)]++;
		last[mrm_scan_order_at(&o, 9)]++;
	}
	for (i = 0; i < 10; i++) {
		good &= labs(first[i] - 2000) < 400 && labs(last[i] - 2000) < 400;
		tap_note("place %d first %ld, last %ld times", i, first[i], last[i]);
	}
	tap_ok(good, "scan_order: each place comes first equally often");
}

/**
 * test_scan_order() - random orders
 */
void test_scan_order(void)
{
	test_permutations();
	test_big();
	test_seeds();
	test_random(64);
	test_random(1000);
	test_random(4096);
	test_random(100000);
	test_first();
}
