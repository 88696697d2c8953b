// SPDX-License-Identifier: GPL-2.0
/*
 * The files an administrator reads and writes: modes, edges of what is
 * accepted, and that anything else changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

static const char * const junk[] = {
	"", "\n", " ", "abc", "1x", "x1", "1 2", "-1", "-0x1", "0x10", "1.5", "1e3", "one", "1\n2",
	"\001", "%s%s%n", "18446744073709551615", "18446744073709551616",
	"99999999999999999999999999999999999999999999999999999999999999999999999999999999",
};

static const struct {
	const char *file;
	long min, max;
} tunables[] = {
	{ "share_scan_time", 0, 604800 },
	{ "share_rate_max", 0, 10000000 },
	{ "share_cpu_max", 0, 100 },
	{ "share_force_salting", 0, 2 },
	{ "sample_period", 0, 3600 },
	{ "sample_pages", 1, 10000 },
	{ "sample_method", 0, 1 },
	{ "idle_tax", 0, 99 },
	{ "balance_period", 1, 3600 },
	{ "min_free", 0, 50 },
	{ "balloon_max", 0, 99 },
};

static const char * const host_counters[] = {
	"vms", "adopted_bytes", "resident_pages", "private_pages", "shared_pages", "shared_frames",
	"zero_pages", "zero_frames", "saved_pages", "scanned_pages", "hinted_pages", "broken_pages",
	"owned_pages", "ineligible_pages", "discarded_pages", "full_scans", "scan_cpu_ns",
	"overhead_bytes", "sample_cpu_ns",
	"free_bytes", "min_free_bytes", "budget_bytes", "unreserved_bytes", "balances",
	"overcommit_percent",
};

static const char * const vm_counters[] = {
	"pid", "adopted_bytes", "not_adopted_bytes", "resident_pages", "private_pages",
	"shared_pages", "zero_pages", "saved_pages", "saved_within_pages", "scanned_pages",
	"hinted_pages", "broken_pages", "owned_pages", "ineligible_pages", "discarded_pages",
	"full_scans", "scan_cpu_ns", "overhead_bytes", "size_bytes", "active_bytes",
	"active_slow_bytes",
	"active_fast_bytes", "touched_bytes", "samples", "sample_faults", "running_ns",
	"granted_bytes", "consumed_bytes", "target_bytes", "balloon_target_bytes",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void mode_is(const char *file, unsigned int mode)
{
	struct stat st = {};
	char path[256];

	snprintf(path, sizeof(path), MRM_SYSFS "/%s", file);
	if (stat(path, &st))
		st.st_mode = 0;
	tap_ok((st.st_mode & 07777) == mode, "%s has mode %o", file, mode);
	if ((st.st_mode & 07777) != mode)
		tap_note("it has mode %o", st.st_mode & 07777);
}

static void test_tunable(const char *file, long min, long max)
{
	long before, wrong = 0;
	unsigned int i;

	mode_is(file, 0644);
	tap_equal(mrm_set_number(file, min), 0, "%s: %ld is accepted", file, min);
	tap_equal(mrm_get(file), min, "%s: and is %ld", file, min);
	if (min)
		tap_equal(mrm_set_number(file, min - 1), -EINVAL, "%s: %ld is refused", file,
			  min - 1);
	tap_equal(mrm_set_number(file, max), 0, "%s: %ld is accepted", file, max);
	tap_equal(mrm_get(file), max, "%s: and is %ld", file, max);
	tap_equal(mrm_set_number(file, max + 1), -EINVAL, "%s: %ld is refused", file, max + 1);
	tap_equal(mrm_set(file, "1"), 0, "%s: without a newline", file);
	before = mrm_get(file);
	tap_equal(before, 1, "%s: it is 1", file);
	for (i = 0; i < COUNT(junk); i++) {
		/* sysfs itself drops a write of nothing. */
		if (!*junk[i])
			continue;
		if (mrm_set(file, junk[i]) != -EINVAL || mrm_get(file) != before) {
			tap_note("%s took \"%s\"", file, junk[i]);
			wrong++;
		}
	}
	tap_equal(wrong, 0, "%s: junk is refused and changes nothing", file);
}

static void test_scan_now(void)
{
	unsigned int i, wrong = 0;
	long before;

	mode_is("share_scan_now", 0644);
	mrm_begin();
	before = mrm_get("full_scans");
	for (i = 0; i < COUNT(junk); i++)
		wrong += *junk[i] && mrm_set("share_scan_now", junk[i]) != -EINVAL;
	tap_equal(wrong, 0, "share_scan_now: junk is refused");
	tap_equal(mrm_set("share_scan_now", "0"), -EINVAL, "share_scan_now: 0 is refused");
	tap_equal(mrm_set("share_scan_now", "2"), -EINVAL, "share_scan_now: 2 is refused");
	tap_equal(mrm_get("full_scans"), before, "and nothing was scanned");
	mrm_set_number("share_cpu_max", 0);
	tap_equal(mrm_set("share_scan_now", "1"), -EAGAIN,
		  "share_scan_now: not while share_cpu_max is 0");
	mrm_set_number("share_cpu_max", 100);
	tap_ok(mrm_full_pass(), "share_scan_now: 1 is a round, even over no VM");
}

/* Set limits hold: 0 of anything is no scanning at all. */
static void test_stopped(struct vm_process *vm)
{
	static const char * const stops[] = {
		"share_scan_time", "share_rate_max", "share_cpu_max",
	};
	long scanned;
	unsigned int i;

	for (i = 0; i < COUNT(stops); i++) {
		mrm_set_number("share_scan_time", 1);
		mrm_set_number("share_rate_max", 10000000);
		mrm_set_number("share_cpu_max", 100);
		scanned = mrm_vm_get(vm->pid, "scanned_pages");
		tap_ok(mrm_vm_wait(vm->pid, "scanned_pages", scanned + 1, 1L << 40, MRM_LONG),
		       "pages are scanned unasked");
		mrm_set_number(stops[i], 0);
		/* The window that was under way comes to its end. */
		usleep(300000);
		scanned = mrm_vm_get(vm->pid, "scanned_pages");
		tap_ok(!mrm_vm_wait(vm->pid, "scanned_pages", scanned + 1, 1L << 40, 500),
		       "%s 0 stops that", stops[i]);
	}
	mrm_tune();
}

/* share_rate_max is pages a second. */
static void test_rate(struct vm_process *vm)
{
	long scanned, seen;

	mrm_set_number("share_scan_time", 1);
	mrm_set_number("share_rate_max", 100);
	/* What was saved up before is used up. */
	usleep(2000000);
	scanned = mrm_vm_get(vm->pid, "scanned_pages");
	usleep(4000000);
	seen = mrm_vm_get(vm->pid, "scanned_pages") - scanned;
	/* A block is 64 pages; and the scanner backs off when it finds nothing. */
	tap_between(seen, 1, 400 + 2 * 64, "4 s at 100 pages/s");
	mrm_set_number("share_scan_time", 0);
}

static void test_vm(void)
{
	const struct vm_config config = { .pages = 512 };
	struct vm_process vm;
	char file[64], text[MRM_TEXT];
	unsigned int i, wrong = 0;
	size_t j;

	process_start(&vm, &config);
	for (i = 0; i < COUNT(vm_counters); i++) {
		snprintf(file, sizeof(file), "vm/%d/%s", vm.pid, vm_counters[i]);
		mode_is(file, 0444);
		tap_ok(mrm_get(file) >= 0, "%s is a number", file);
	}
	snprintf(file, sizeof(file), "vm/%d/share", vm.pid);
	mode_is(file, 0644);
	snprintf(file, sizeof(file), "vm/%d/salt", vm.pid);
	mode_is(file, 0600);
	tap_equal(mrm_vm_get(vm.pid, "pid"), vm.pid, "pid");
	tap_text(mrm_vm_text(vm.pid, "share_state", text), "waiting", "share_state before a scan");
	tap_equal(mrm_vm_get(vm.pid, "share"), 1, "a VM shares by default");
	for (i = 0; i < COUNT(junk); i++) {
		if (*junk[i] && (mrm_vm_set(vm.pid, "share", junk[i]) != -EINVAL ||
				 mrm_vm_get(vm.pid, "share") != 1))
			wrong++;
	}
	tap_equal(wrong, 0, "share: junk is refused and changes nothing");
	tap_equal(mrm_vm_set(vm.pid, "share", "2"), -EINVAL, "share: 2 is refused");

	for (j = 0; j < vm.pages; j++)
		vm.states[j] = j + 1;
	if (process_guest(&vm, GUEST_FILL, 0, vm.pages))
		tap_bail("cannot fill");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), vm.pages, "private_pages counts");
	tap_ok(mrm_vm_get(vm.pid, "overhead_bytes") > 0, "overhead_bytes counts");
	tap_equal(mrm_vm_get(vm.pid, "hinted_pages"), 0, "no hints before a scan");
	tap_ok(mrm_full_pass(), "a pass");
	tap_equal(mrm_vm_get(vm.pid, "scanned_pages"), vm.pages, "scanned_pages counts");
	/* Parts of large frames that are unlike all others stay there, and are no hints. */
	tap_equal(mrm_vm_get(vm.pid, "hinted_pages"), mrm_large() ? 0 : vm.pages,
		  "hinted_pages counts");
	tap_ok(mrm_vm_get(vm.pid, "scan_cpu_ns") > 0, "scan_cpu_ns counts");
	tap_text(mrm_vm_text(vm.pid, "share_state", text), "on", "share_state after a scan");
	test_stopped(&vm);
	test_rate(&vm);
	snprintf(file, sizeof(file), "vm/%d/pid", vm.pid);
	process_stop(&vm);
	tap_ok(mrm_wait("vms", 0, 0, MRM_LONG), "the VM goes");
	tap_equal(mrm_get(file), -ENOENT, "and its directory");
}

int main(void)
{
	unsigned int i;

	mrm_begin();
	for (i = 0; i < COUNT(tunables); i++)
		test_tunable(tunables[i].file, tunables[i].min, tunables[i].max);
	for (i = 0; i < COUNT(host_counters); i++) {
		mode_is(host_counters[i], 0444);
		tap_ok(mrm_get(host_counters[i]) >= 0, "%s is a number", host_counters[i]);
	}
	test_scan_now();
	test_vm();
	mrm_nothing_left("at the end");
	return tap_done();
}
