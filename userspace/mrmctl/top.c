// SPDX-License-Identifier: GPL-2.0
/* mrmctl top - the host and its VMs, as they change. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

/**
 * top_refresh() - read everything again, and sort
 * @top: what it shows now becomes what it showed before
 *
 * Return: 0, or an error as from sample_read().
 */
int top_refresh(struct top *top)
{
	struct sample fresh;
	int error;

	error = sample_read(&top->root, &fresh);
	if (error) {
		sample_free(&fresh);
		return error;
	}
	free(top->rows);
	sample_replace(&top->before, &top->now);
	top->now = fresh;
	top->rows = sample_rows(&top->now, &top->before);
	if (!top->rows)
		return -ENOMEM;
	vm_sort(top->rows, top->now.vms.count, top->key, top->reverse);
	return 0;
}

static const char *pages(const struct top *top, enum mrm_host_counter counter, char *text)
{
	return mrm_format_mib(text, MRM_UNIT_MAX, mrm_pages_to_bytes(top->now.host.value[counter]));
}

static const char *bytes(const struct top *top, enum mrm_host_counter counter, char *text)
{
	return mrm_format_mib(text, MRM_UNIT_MAX, top->now.host.value[counter]);
}

static void summary_head(const struct top *top, char *text, size_t size)
{
	const uint64_t *value = top->now.host.value;
	time_t now = time(NULL);
	char clock[16] = "";
	struct tm local;

	if (localtime_r(&now, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	snprintf(text, size, "mrmctl top %s, %zu VM%s, sizes in MiB, %" PRIu64 " full scans", clock,
		 top->now.vms.count, top->now.vms.count == 1 ? "" : "s",
		 value[MRM_HOST_FULL_SCANS]);
}

static void summary_scan(const struct top *top, char *text, size_t size)
{
	double scanned, broken, cpu;

	sample_host_rate(&top->now, &top->before, MRM_HOST_SCANNED_PAGES, &scanned);
	sample_host_rate(&top->now, &top->before, MRM_HOST_BROKEN_PAGES, &broken);
	if (!sample_host_rate(&top->now, &top->before, MRM_HOST_SCAN_CPU_NS, &cpu))
		snprintf(text, size, "SCAN:    rates follow");
	else
		snprintf(text, size,
			 "SCAN:    %.0f pages/s scanned, %.0f pages/s broken, %.1f %% of a CPU",
			 scanned, broken, cpu / 1e7);
}

/* What balloons hold, and should. */
static void summary_balloons(const struct top *top, char *text, size_t size)
{
	char a[MRM_UNIT_MAX], b[MRM_UNIT_MAX];
	uint64_t held = 0, target = 0;
	size_t i;

	for (i = 0; i < top->now.vms.count; i++) {
		held += top->now.vms.vm[i].value[MRM_VM_BALLOON_BYTES];
		target += top->now.vms.vm[i].value[MRM_VM_BALLOON_TARGET_BYTES];
	}
	snprintf(text, size, "MEMCTL:  %s held by balloons, %s should be",
		 mrm_format_mib(a, sizeof(a), held), mrm_format_mib(b, sizeof(b), target));
}

/* ", N WORD/s": how fast a counter grows, when that is known. */
static void add_rate(const struct top *top, enum mrm_host_counter counter, const char *word,
		     char *text, size_t size)
{
	size_t length = strlen(text);
	double rate;

	if (sample_host_rate(&top->now, &top->before, counter, &rate))
		snprintf(text + length, size - length, ", %.0f %s/s", rate, word);
}

/**
 * top_summary() - a line about the host
 * @top: what is shown
 * @line: from 0 to SUMMARY_LINES - 1
 * @text: receives the line, without a newline
 * @size: bytes at @text
 */
void top_summary(const struct top *top, unsigned int line, char *text, size_t size)
{
	const uint64_t *value = top->now.host.value;
	char a[MRM_UNIT_MAX], b[MRM_UNIT_MAX], c[MRM_UNIT_MAX], d[MRM_UNIT_MAX], e[MRM_UNIT_MAX];

	switch (line) {
	case 0:
		summary_head(top, text, size);
		break;
	case 1:
		snprintf(text, size,
			 "STATE:   %s, %s budget, %s free, %s min free, %s unreserved, %" PRIu64
			 " %% overcommit",
			 *top->now.host.state ? top->now.host.state : "-",
			 bytes(top, MRM_HOST_BUDGET_BYTES, a), bytes(top, MRM_HOST_FREE_BYTES, b),
			 bytes(top, MRM_HOST_MIN_FREE_BYTES, c),
			 bytes(top, MRM_HOST_UNRESERVED_BYTES, d),
			 value[MRM_HOST_OVERCOMMIT_PERCENT]);
		break;
	case 2:
		snprintf(text, size, "MEM:     %s adopted, %s resident, %s private, %s overhead",
			 bytes(top, MRM_HOST_ADOPTED_BYTES, a),
			 pages(top, MRM_HOST_RESIDENT_PAGES, b),
			 pages(top, MRM_HOST_PRIVATE_PAGES, c),
			 bytes(top, MRM_HOST_OVERHEAD_BYTES, d));
		break;
	case 3:
		snprintf(text, size, "PSHARE:  %s shared, %s common, %s saving (%s), %s zero",
			 pages(top, MRM_HOST_SHARED_PAGES, a),
			 pages(top, MRM_HOST_SHARED_FRAMES, b), pages(top, MRM_HOST_SAVED_PAGES, c),
			 mrm_format_percent(e, sizeof(e), value[MRM_HOST_SAVED_PAGES],
					    value[MRM_HOST_RESIDENT_PAGES]),
			 pages(top, MRM_HOST_ZERO_PAGES, d));
		break;
	case 4:
		summary_balloons(top, text, size);
		break;
	case 5:
		snprintf(text, size, "ZIP:     %s zipped, %s needed for it",
			 pages(top, MRM_HOST_ZIPPED_PAGES, a),
			 bytes(top, MRM_HOST_ZIPPED_BYTES, b));
		add_rate(top, MRM_HOST_ZIPS, "zipped", text, size);
		add_rate(top, MRM_HOST_UNZIPS, "unzipped", text, size);
		add_rate(top, MRM_HOST_ZIP_MISFITS, "did not fit", text, size);
		break;
	case 6:
		snprintf(text, size, "SWAP:    %s swapped, %s in memory, too, %" PRIu64 " lost",
			 pages(top, MRM_HOST_SWAPPED_PAGES, a),
			 pages(top, MRM_HOST_SWAP_CACHED_PAGES, b), value[MRM_HOST_READ_ERRORS]);
		add_rate(top, MRM_HOST_SWAP_OUTS, "written", text, size);
		add_rate(top, MRM_HOST_SWAP_KEPT, "kept", text, size);
		add_rate(top, MRM_HOST_SWAP_INS, "read", text, size);
		add_rate(top, MRM_HOST_SWAP_AHEADS, "ahead", text, size);
		break;
	case 7:
		snprintf(text, size,
			 "LARGE:   %s, %s untouched, %s held by broken ones, %" PRIu64
			 " broken, %" PRIu64 " rebuilt, %" PRIu64 " not had",
			 mrm_format_mib(a, sizeof(a), value[MRM_HOST_LARGE_PAGES] << 21),
			 bytes(top, MRM_HOST_LARGE_UNTOUCHED, b),
			 bytes(top, MRM_HOST_LARGE_HELD, c), value[MRM_HOST_LARGE_BROKEN],
			 value[MRM_HOST_LARGE_REBUILT], value[MRM_HOST_LARGE_FAILED]);
		break;
	default:
		summary_scan(top, text, size);
		break;
	}
}

static int run(const struct options *options, int argc, char **argv)
{
	struct top top = {
		.options = options,
		.key = VM_KEY_SAVED,
		.reverse = options->reverse,
		.delay_ms = options->delay_ms,
	};
	bool batch = options->batch || options->json;
	int status;

	(void)argc;
	(void)argv;
	vm_view_init(&top.view, VM_TABLE_TOP, TOP_NAME_MAX);
	status = vm_sort_option(&top.view, options->sort, &top.key);
	if (status)
		return status;
	if (!batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
		complain("this is not a terminal; \"mrmctl top -b\" does without one");
		return STATUS_FAILED;
	}
	status = open_root(options, &top.root);
	if (status)
		return status;
	status = batch ? top_batch(&top) : top_screen(&top);
	free(top.rows);
	sample_free(&top.now);
	sample_free(&top.before);
	mrm_close(&top.root);
	return status;
}

const struct command command_top = {
	.name = "top",
	.arguments = "[-b] [-n N] [-d SECS] [-o COLUMN] [-r]",
	.summary = "watch the host and its VMs",
	.help = "Shows the host above and its VMs below, and follows them.  Keys:\n"
		"\n"
		"  q                   quit\n"
		"  h, ?                list the keys\n"
		"  s, d                set the delay between two refreshes\n"
		"  <, >                sort by the column to the left, to the right\n"
		"  r, R                turn the order round\n"
		"  up, down, Page Up, Page Down, Home, End\n"
		"                      move through the VMs\n"
		"  left, right         move through the columns, when the terminal is too narrow\n"
		"  space               refresh now\n"
		"  Ctrl-L              draw everything again\n"
		"\n"
		"  -b, --batch         no terminal: print the table again and again\n"
		"  -n, --iterations N  end after N refreshes\n"
		"  -d, --delay SECS    between two refreshes, such as 0.5 (default 2)\n"
		"  -o, --sort COLUMN   sort by a column: saved (default), name, pid, size, granted,\n"
		"                      consumed, target, active, balloon, balloon-target, shared, large,\n"
		"                      held, untouched, zipped, zip-used, swapped, swap-cached, swap-free,\n"
		"                      scan, break, zip, unzip, misfit, swap-out, swap-kept, swap-in,\n"
		"                      swap-ahead, taken, block, bad, lost, overhead, active-slow,\n"
		"                      active-fast, shares, min, max, state; what esxtop calls them is\n"
		"                      understood, too\n"
		"  -r, --reverse       turn the order round\n"
		"\n"
		"With --json, it prints one object in a line for every refresh, as with -b.\n",
	.options = "bndor",
	.run = run,
};
