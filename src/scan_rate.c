// SPDX-License-Identifier: GPL-2.0
/*
 * How fast a VM is scanned.  Pure arithmetic: compiled into the user-space
 * tests as well.
 */
#include "scan_rate.h"

/**
 * mrm_scan_rate() - guest pages a second
 * @resident: resident guest pages of the VM
 * @scan_time: seconds a pass may take, 0 = do not scan
 * @rate_max: guest pages a second at the most, 0 = do not scan
 * @backoff: times the rate is halved
 *
 * ESX's Mem.ShareScanTime and Mem.ShareRateMax.
 *
 * Return: thousandths of a guest page a second.
 */
u64 mrm_scan_rate(u64 resident, u64 scan_time, u64 rate_max, unsigned int backoff)
{
	u64 rate;

	if (!scan_time || !rate_max)
		return 0;
	rate = resident * 1000 / scan_time;
	if (rate > rate_max * 1000)
		rate = rate_max * 1000;
	return rate >> backoff;
}

/**
 * mrm_scan_backoff() - how much slower the next pass should be
 * @backoff: halvings of the rate during the pass that has ended
 * @scanned: guest pages scanned in it
 * @shared: guest pages it shared
 * @resident: resident guest pages now
 * @resident_before: resident guest pages when the pass before it ended
 *
 * A pass that shares less than one page in 100 halves the rate of the next,
 * as KSM's smart scan does for single pages.  One that finds more, or a VM that
 * has grown by a sixteenth, gets the full rate back at once.
 *
 * Return: halvings of the rate for the next pass, 0 to MRM_BACKOFF_MAX.
 */
unsigned int mrm_scan_backoff(unsigned int backoff, u64 scanned, u64 shared, u64 resident,
			      u64 resident_before)
{
	if (shared * 100 >= scanned || resident > resident_before + resident_before / 16)
		return 0;
	return backoff < MRM_BACKOFF_MAX ? backoff + 1 : MRM_BACKOFF_MAX;
}
