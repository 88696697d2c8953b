// SPDX-License-Identifier: GPL-2.0
/* Runs all unit tests; the last line is "N passed, N failed". */
#include <stdio.h>

#include "tap.h"
#include "unit.h"

int main(void)
{
	int status;

	test_scan_order();
	test_scan_rate();
	test_vm_name();
	status = tap_done();
	printf("%u passed, %u failed\n", tap_count() - tap_failed(), tap_failed());
	return status;
}
