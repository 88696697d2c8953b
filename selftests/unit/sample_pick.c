// SPDX-License-Identifier: GPL-2.0
#include "sample_pick.h"
#include "tap.h"
#include "unit.h"

#define DRAWS	50000

/* Each page of few is picked as often as the others, also where strata do not fit pages. */
static void test_uniform(u64 pages, u32 n)
{
	u64 often[64] = {}, page, before;
	double expected = (double)DRAWS * n / pages, chi = 0;
	u32 draws, i, wrong = 0;

	for (draws = 0; draws < DRAWS; draws++) {
		before = 0;
		for (i = 0; i < n; i++) {
			page = mrm_sample_pick(pages, n, i, draw(0, ~0ULL - 1));
			wrong += page >= pages || page < before;
			before = page;
			if (page < pages)
				often[page]++;
		}
	}
	for (i = 0; i < pages; i++)
		chi += (often[i] - expected) * (often[i] - expected) / expected;
	tap_ok(!wrong, "sample_pick: %u of %lu: in order, and there", n, pages);
	/* A sum of as many squares is off by the square root of twice that; strata are less. */
	tap_ok(chi < pages || (chi - pages) * (chi - pages) < 50 * 2.0 * pages,
	       "sample_pick: %u of %lu: all as often", n, pages);
}

/* As many picks as pages: all of them. */
static void test_all(u64 pages)
{
	u32 i, wrong = 0;

	for (i = 0; i < pages; i++)
		wrong += mrm_sample_pick(pages, pages, i, draw(0, ~0ULL - 1)) != i;
	tap_ok(!wrong, "sample_pick: %lu of %lu: each once", pages, pages);
}

/* The first and the last point of each stratum. */
static void test_ends(u64 pages, u32 n)
{
	u32 i, wrong = 0;
	u64 low, high;

	for (i = 0; i < n; i++) {
		low = (__uint128_t)pages * i / n;
		high = ((__uint128_t)pages * (i + 1) - 1) / n;
		wrong += mrm_sample_pick(pages, n, i, 0) != low;
		wrong += mrm_sample_pick(pages, n, i, ~0ULL) != high;
	}
	tap_ok(!wrong, "sample_pick: %u of %#lx: each from its stratum", n, pages);
}

/**
 * test_sample_pick() - which pages are sampled
 */
void test_sample_pick(void)
{
	test_uniform(1, 1);
	test_uniform(10, 1);
	test_uniform(10, 3);
	test_uniform(64, 7);
	test_uniform(64, 63);
	test_all(1);
	test_all(100);
	test_all(9999);
	test_ends(512, 100);
	test_ends(1ULL << 36, 10000);
	/* More than any process has, but memory slots may name it. */
	test_ends((1ULL << 51) - 1, 9999);
}
