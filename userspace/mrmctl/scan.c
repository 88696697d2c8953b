// SPDX-License-Identifier: GPL-2.0
/* mrmctl scan - have all VMs scanned once, now. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "json_out.h"
#include "mrmctl.h"

/* A wait is not ended by the module's removal: look again this often. */
#define LOOK_AGAIN_MS 1000

static int start(const struct mrm_root *root)
{
	int error = mrm_write_text(root->fd, "share_scan_now", "1");

	if (error == -EACCES || error == -EPERM)
		complain("share_scan_now: not permitted; be root");
	else if (error == -EAGAIN)
		complain("the scanner is stopped: share_cpu_max is 0; \"mrmctl set share_cpu_max "
			 "20\" lets it run");
	else if (error)
		complain("share_scan_now: %s", strerror(-error));
	return error ? STATUS_FAILED : STATUS_OK;
}

/* Wait until no scan that was asked for is pending; ordinary ones do not count. */
static int wait_for_scan(int watch)
{
	uint64_t pending;
	int error;

	for (;;) {
		error = mrm_watch_value(watch, &pending);
		if (error || !pending)
			return error;
		error = mrm_watch_wait(watch, LOOK_AGAIN_MS);
		if (error < 0)
			return error;
	}
}

static int print_result(const struct options *options, const struct mrm_host *before,
			const struct mrm_host *after, uint64_t ms)
{
	uint64_t scanned, cpu;
	char was[MRM_UNIT_MAX], is[MRM_UNIT_MAX], time[MRM_UNIT_MAX];

	scanned = after->value[MRM_HOST_SCANNED_PAGES] - before->value[MRM_HOST_SCANNED_PAGES];
	cpu = after->value[MRM_HOST_SCAN_CPU_NS] - before->value[MRM_HOST_SCAN_CPU_NS];
	if (options->json) {
		struct json_object *object = json_object_new_object();

		json_add(object, "elapsed_ms", json_object_new_uint64(ms));
		json_add(object, "before", json_from_host(before));
		json_add(object, "after", json_from_host(after));
		return json_finish(object, true);
	}
	printf("scanned %" PRIu64 " pages in %" PRIu64 ".%" PRIu64 " s, %s s of CPU time\n",
	       scanned, ms / 1000, ms % 1000 / 100, mrm_format_seconds(time, sizeof(time), cpu));
	printf("saved %s, %s before\n",
	       mrm_format_value(is, sizeof(is), MRM_PAGES, after->value[MRM_HOST_SAVED_PAGES]),
	       mrm_format_value(was, sizeof(was), MRM_PAGES, before->value[MRM_HOST_SAVED_PAGES]));
	return STATUS_OK;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1000 * (uint64_t)now.tv_sec + now.tv_nsec / 1000000;
}

static int scan_and_wait(const struct options *options, const struct mrm_root *root)
{
	struct mrm_host before, after;
	uint64_t began;
	int watch, error, status;

	watch = mrm_watch_open(root, "share_scan_now");
	if (watch < 0)
		return complain_read("share_scan_now", watch);
	error = mrm_host_read(root, &before);
	if (error) {
		close(watch);
		return complain_read("the counters", error);
	}
	began = now_ms();
	status = start(root);
	if (!status) {
		error = wait_for_scan(watch);
		if (!error)
			error = mrm_host_read(root, &after);
		status = error ? complain_read("share_scan_now", error)
			       : print_result(options, &before, &after, now_ms() - began);
	}
	close(watch);
	return status;
}

static int run(const struct options *options, int argc, char **argv)
{
	struct mrm_root root;
	int status;

	(void)argc;
	(void)argv;
	status = open_root(options, &root);
	if (status)
		return status;
	if (!root.live) {
		complain("%s is a saved copy; there is nothing to scan", options->sysfs);
		status = STATUS_FAILED;
	} else if (options->wait) {
		status = scan_and_wait(options, &root);
	} else {
		status = start(&root);
	}
	mrm_close(&root);
	return status;
}

const struct command command_scan = {
	.name = "scan",
	.arguments = "[--wait]",
	.summary = "scan all VMs once, now",
	.help = "Starts a scan of all VMs, whatever share_scan_time and share_rate_max say.  It\n"
		"keeps to share_cpu_max.  Only root may.\n"
		"\n"
		"  --wait              wait until it is complete, and show what came of it\n",
	.options = "w",
	.run = run,
};
