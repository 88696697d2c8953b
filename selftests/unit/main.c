// SPDX-License-Identifier: GPL-2.0
/*
 * Runs all unit tests; the last line is "N passed, N failed".
 *
 * MRM_SEED: to repeat what was drawn.
 */
#include <stdio.h>

#include "setting.h"
#include "tap.h"
#include "unit.h"

int main(void)
{
	int status;

	draw_seed(setting_seed("MRM_SEED"));
	test_estimate();
	test_policy();
	test_reclaim();
	test_sample_pick();
	test_scan_order();
	test_scan_rate();
	test_vm_name();
	status = tap_done();
	printf("%u passed, %u failed\n", tap_count() - tap_failed(), tap_failed());
	return status;
}
