// SPDX-License-Identifier: GPL-2.0
#include "scan_rate.h"
#include "tap.h"
#include "unit.h"

static void test_rate(void)
{
	static const struct {
		u64 resident, scan_time, rate_max;
		unsigned int backoff;
		u64 rate;
	} cases[] = {
		{ 0, 60, 1024, 0, 0 },
		{ 1000, 0, 1024, 0, 0 },
		{ 1000, 60, 0, 0, 0 },
		{ 3600, 3600, 1024, 0, 1000 },
		{ 1, 3600, 1024, 0, 0 },
		{ 4, 3600, 1024, 0, 1 },
		{ 32768, 60, 1024, 0, 546133 },
		{ 32768, 1, 1024, 0, 1024000 },
		{ 1024, 1, 1024, 0, 1024000 },
		{ 1025, 1, 1024, 0, 1024000 },
		{ 1023, 1, 1024, 0, 1023000 },
		{ 1024, 1, 1024, 1, 512000 },
		{ 1024, 1, 1024, MRM_BACKOFF_MAX, 64000 },
		{ 1ULL << 32, 604800, 10000000, 0, 7101467 },
		{ 1ULL << 34, 1, 10000000, 0, 10000000000ULL },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_equal(mrm_scan_rate(cases[i].resident, cases[i].scan_time, cases[i].rate_max,
					cases[i].backoff), cases[i].rate,
			  "scan_rate: %lu pages in %lu s, at most %lu/s, halved %u times",
			  cases[i].resident, cases[i].scan_time, cases[i].rate_max,
			  cases[i].backoff);
}

static void test_backoff(void)
{
	static const struct {
		unsigned int backoff;
		u64 scanned, shared, resident, before;
		unsigned int next;
		const char *what;
	} cases[] = {
		{ 0, 1000, 0, 1000, 1000, 1, "nothing found" },
		{ 1, 1000, 9, 1000, 1000, 2, "less than 1 per cent found" },
		{ 3, 1000, 10, 1000, 1000, 0, "1 per cent found" },
		{ 3, 1000, 500, 1000, 1000, 0, "much found" },
		{ MRM_BACKOFF_MAX, 1000, 0, 1000, 1000, MRM_BACKOFF_MAX, "not slower than that" },
		{ 2, 1000, 0, 1063, 1000, 0, "grown by a sixteenth" },
		{ 2, 1000, 0, 1062, 1000, 3, "grown by less" },
		{ 2, 1000, 0, 10, 1000, 3, "shrunk" },
		{ 2, 0, 0, 0, 0, 0, "nothing scanned" },
		{ 0, 1000, 0, 1000, 0, 0, "first pass" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_equal(mrm_scan_backoff(cases[i].backoff, cases[i].scanned, cases[i].shared,
					   cases[i].resident, cases[i].before), cases[i].next,
			  "scan_rate: back-off: %s", cases[i].what);
}

/**
 * test_scan_rate() - how fast a VM is scanned
 */
void test_scan_rate(void)
{
	test_rate();
	test_backoff();
}
