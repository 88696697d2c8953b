// SPDX-License-Identifier: GPL-2.0
/* The counters of the whole host. */
#include <errno.h>
#include <string.h>

#include "host.h"

const struct mrm_counter mrm_host_counters[MRM_HOST_NR] = {
	[MRM_HOST_VMS] = { "vms", MRM_COUNT, "VMs" },
	[MRM_HOST_ADOPTED_BYTES] = { "adopted_bytes", MRM_BYTES, "Guest memory adopted" },
	[MRM_HOST_RESIDENT_PAGES] = { "resident_pages", MRM_PAGES, "Resident in guests" },
	[MRM_HOST_PRIVATE_PAGES] = { "private_pages", MRM_PAGES, "Private" },
	[MRM_HOST_SHARED_PAGES] = { "shared_pages", MRM_PAGES, "Shared, zero pages too" },
	[MRM_HOST_SHARED_FRAMES] = { "shared_frames", MRM_PAGES, "Frames behind shared pages" },
	[MRM_HOST_ZERO_PAGES] = { "zero_pages", MRM_PAGES, "Zero pages" },
	[MRM_HOST_ZERO_FRAMES] = { "zero_frames", MRM_PAGES, "Frames behind zero pages" },
	[MRM_HOST_SAVED_PAGES] = { "saved_pages", MRM_PAGES, "Saved by sharing" },
	[MRM_HOST_HINTED_PAGES] = { "hinted_pages", MRM_PAGES, "Hinted, not shared so far" },
	[MRM_HOST_INELIGIBLE_PAGES] = { "ineligible_pages", MRM_PAGES, "Ineligible for sharing" },
	[MRM_HOST_SCANNED_PAGES] = { "scanned_pages", MRM_COUNT, "Pages scanned", true },
	[MRM_HOST_BROKEN_PAGES] = { "broken_pages", MRM_COUNT, "Copy-on-write breaks", true },
	[MRM_HOST_OWNED_PAGES] = { "owned_pages", MRM_COUNT, "Shared by name alone, made own",
				   true },
	[MRM_HOST_DISCARDED_PAGES] = { "discarded_pages", MRM_COUNT, "Pages discarded", true },
	[MRM_HOST_FULL_SCANS] = { "full_scans", MRM_COUNT, "Full scans", true },
	[MRM_HOST_SCAN_CPU_NS] = { "scan_cpu_ns", MRM_NS, "CPU time of the scanner", true },
	[MRM_HOST_OVERHEAD_BYTES] = { "overhead_bytes", MRM_BYTES, "Overhead of kvm_mrm" },
	[MRM_HOST_BUDGET_BYTES] = { "budget_bytes", MRM_BYTES, "Memory for guests" },
	[MRM_HOST_FREE_BYTES] = { "free_bytes", MRM_BYTES, "Free" },
	[MRM_HOST_MIN_FREE_BYTES] = { "min_free_bytes", MRM_BYTES, "Free that there should be" },
	[MRM_HOST_UNRESERVED_BYTES] = { "unreserved_bytes", MRM_BYTES, "Not promised to VMs" },
	[MRM_HOST_OVERCOMMIT_PERCENT] = { "overcommit_percent", MRM_PERCENT, "Overcommitted" },
	[MRM_HOST_BALANCES] = { "balances", MRM_COUNT, "Rebalances", true },
	[MRM_HOST_SAMPLE_CPU_NS] = { "sample_cpu_ns", MRM_NS, "CPU time of sampling", true },
	[MRM_HOST_ZIPPED_PAGES] = { "zipped_pages", MRM_PAGES, "Zipped" },
	[MRM_HOST_ZIPPED_BYTES] = { "zip_bytes", MRM_BYTES, "Memory for what is zipped" },
	[MRM_HOST_ZIP_FRAMES] = { "zip_frames", MRM_PAGES, "Frames that it is in" },
	[MRM_HOST_ZIPS] = { "zips", MRM_COUNT, "Pages zipped", true },
	[MRM_HOST_UNZIPS] = { "unzips", MRM_COUNT, "Pages unzipped", true },
	[MRM_HOST_ZIP_MISFITS] = { "zip_misfits", MRM_COUNT, "Pages that did not fit", true },
	[MRM_HOST_SWAPPED_PAGES] = { "swapped_pages", MRM_PAGES, "Swapped" },
	[MRM_HOST_SWAP_CACHED_PAGES] = { "swap_cached_pages", MRM_PAGES, "In swap and in memory" },
	[MRM_HOST_SWAP_OUTS] = { "swap_outs", MRM_COUNT, "Pages written to swap", true },
	[MRM_HOST_SWAP_KEPT] = { "swap_kept", MRM_COUNT, "Swapped without a write", true },
	[MRM_HOST_SWAP_INS] = { "swap_ins", MRM_COUNT, "Pages read from swap", true },
	[MRM_HOST_READ_ERRORS] = { "read_errors", MRM_COUNT, "Pages lost", true },
	[MRM_HOST_SWAP_AHEADS] = { "swap_aheads", MRM_COUNT, "Pages read ahead", true },
	[MRM_HOST_RECLAIMED_BYTES] = { "reclaimed_bytes", MRM_BYTES, "Taken by the host", true },
	[MRM_HOST_LARGE_PAGES] = { "large_pages", MRM_LARGE_PAGES, "In large pages" },
	[MRM_HOST_LARGE_HELD] = { "large_held_bytes", MRM_BYTES, "Held by broken large pages" },
	[MRM_HOST_LARGE_UNTOUCHED] = { "large_untouched_bytes", MRM_BYTES, "Zero in large pages" },
	[MRM_HOST_LARGE_BROKEN] = { "large_pages_broken", MRM_COUNT, "Large pages broken", true },
	[MRM_HOST_LARGE_REBUILT] = { "large_pages_rebuilt", MRM_COUNT, "Large pages rebuilt",
				     true },
	[MRM_HOST_LARGE_FAILED] = { "large_pages_failed", MRM_COUNT, "Large pages not had", true },
	[MRM_HOST_IO_BOUNCES] = { "io_bounces", MRM_COUNT, "Copies for devices", true },
	[MRM_HOST_IO_BOUNCED_BYTES] = { "io_bounced_bytes", MRM_BYTES, "Copied for devices", true },
	[MRM_HOST_IO_REMAPPED] = { "io_remapped_pages", MRM_COUNT, "Pages moved for devices",
				   true },
	[MRM_HOST_IO_RETURNED] = { "io_returned_pages", MRM_COUNT, "Pages moved back", true },
	[MRM_HOST_IO_LOW_BYTES] = { "io_low_bytes", MRM_BYTES, "Kept for devices" },
	[MRM_HOST_IO_BUSY] = { "io_busy", MRM_COUNT, "Moves put off, page in use", true },
	[MRM_HOST_IO_REFUSED] = { "io_refused", MRM_COUNT, "Moves refused", true },
	[MRM_HOST_IO_LEFT] = { "io_left", MRM_COUNT, "Pages left where they are", true },
	[MRM_HOST_IO_MISSED] = { "io_missed", MRM_COUNT, "Copies not counted by page", true },
};

/**
 * mrm_host_read() - read all counters of the host
 * @root: the open tree
 * @host: filled in; a counter that cannot be read is only marked so
 *
 * Return: 0, or the error when not one of them could be read: -ENODEV or
 * -ENOENT when the module has gone, -EACCES when not permitted.
 */
int mrm_host_read(const struct mrm_root *root, struct mrm_host *host)
{
	int error, first = -ENOENT;
	bool any = false;
	int i;

	memset(host, 0, sizeof(*host));
	for (i = 0; i < MRM_HOST_NR; i++) {
		error = mrm_read_u64(root->fd, mrm_host_counters[i].name, &host->value[i]);
		host->have[i] = !error;
		any |= !error;
		if (i == 0)
			first = error;
	}
	if (mrm_read_text(root->fd, "state", host->state, sizeof(host->state)))
		*host->state = '\0';
	return any ? 0 : first;
}
