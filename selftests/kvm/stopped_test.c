// SPDX-License-Identifier: GPL-2.0
/*
 * VMs stopped by SIGSTOP at random moments, one in the middle of adoption, one of
 * sharing, one of breaking and one of discarding.  Nobody waits for them: neither
 * the scanner, nor another VM, nor an administrator.  When they go on, all is as
 * if they had never been stopped.
 *
 * MRM_STOP_SECONDS: how long the last stop is (default: 10).  MRM_SEED: to repeat.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "busy.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"

#define TIMES	10
#define SOON	(MRM_LONG / 15)	/* ms: an answer that waits for no process */

static struct vm_process vms[NR_BUSY], other;

static bool stop(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

/* Each file of the VM; returns how many could not be read. */
static long unreadable(pid_t pid)
{
	char dir[64], path[PATH_MAX], text[MRM_TEXT];
	struct dirent *entry;
	long bad = 0, n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), MRM_SYSFS "/vm/%d", pid);
	d = opendir(dir);
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		bad += file_read(path, text, sizeof(text)) < 0;
		n++;
	}
	if (d)
		closedir(d);
	return n > 10 ? bad : -1;
}

/* What an administrator may do to a stopped VM; returns how much went wrong. */
static long administer(pid_t pid)
{
	char text[MRM_TEXT];
	long bad = 0, begun = now_ms(), took;

	bad += !!unreadable(pid);
	bad += !!mrm_vm_set(pid, "share", "0");
	bad += mrm_vm_get(pid, "shared_pages") != 0;
	bad += !!strcmp(mrm_vm_text(pid, "share_state", text), "off");
	bad += !!mrm_vm_set(pid, "share", "1");
	bad += !!mrm_vm_set(pid, "salt", "another");
	bad += !!mrm_vm_set(pid, "salt", "busy");
	took = now_ms() - begun;
	if (bad || took > SOON)
		tap_note("VM %d: %ld wrong, after %ld ms: %s", pid, bad, took, text);
	return bad + (took > SOON);
}

/* All the others go on; returns how much went wrong. */
static long others(void)
{
	long bad = !mrm_full_pass();
	int i;

	for (i = 0; i < NR_BUSY; i++)
		bad += administer(vms[i].pid);
	bad += mrm_get("vms") != NR_BUSY + 1;
	bad += !!process_guest(&other, GUEST_TOUCH, 0, BUSY_PAGES);
	bad += !process_verify(&other);
	return bad;
}

static void test_stopped(long ms, uint64_t *seed, long *stopped, long *bad)
{
	long end = now_ms() + ms;
	int i;

	for (i = 0; i < NR_BUSY; i++) {
		busy_moment(i, seed);
		*stopped += stop(vms[i].pid);
	}
	do {
		*bad += others();
	} while (now_ms() < end);
	for (i = 0; i < NR_BUSY; i++)
		kill(vms[i].pid, SIGCONT);
}

static void start(void)
{
	const struct vm_config config = { .pages = BUSY_PAGES };
	int i;

	process_start(&other, &config);
	busy_fill(&other);
	busy_scan(true);
	for (i = 0; i < NR_BUSY; i++)
		busy_start(&vms[i], i);
}

static void test_go_on(uint64_t *seed)
{
	long stopped = 0, bad = 0, long_ms = 1000 * setting("MRM_STOP_SECONDS", 10), zero;
	int i;

	start();
	for (i = 0; i < TIMES; i++)
		test_stopped(0, seed, &stopped, &bad);
	tap_equal(stopped, TIMES * NR_BUSY, "VMs are stopped %d times", TIMES);
	tap_equal(bad, 0, "nobody waits for them, each time");
	test_stopped(long_ms, seed, &stopped, &bad);
	tap_equal(bad, 0, "nor do they in %ld s", long_ms / 1000);
	busy_stop();
	for (i = 0; i < NR_BUSY; i++) {
		busy_end(&vms[i]);
		tap_ok(process_verify(&vms[i]), "%s: every byte is right", busy_words[i]);
	}
	busy_scan(false);
	tap_ok(mrm_share_all(), "a pass");
	/*
	 * And zeroes, in memory that was plugged in; unless they are in large frames, or were when
	 * these were broken.
	 */
	zero = mrm_get("zero_frames");
	tap_between(zero, mrm_large() ? 0 : 1, 1, "zeroes are shared in one frame");
	tap_equal(mrm_get("shared_frames"), BUSY_KEYS + zero,
		  "in all there is one for each contents");
	tap_ok(process_verify(&other), "the other VM: every byte is right");
	mrm_check("after they went on");
	for (i = 0; i < NR_BUSY; i++)
		process_stop(&vms[i]);
	process_stop(&other);
	mrm_reload("after they have ended");
}

/* Killed while they are stopped. */
static void test_killed(uint64_t *seed)
{
	long stopped = 0, bad = 0;
	int i;

	start();
	for (i = 0; i < NR_BUSY; i++) {
		busy_moment(i, seed);
		stopped += stop(vms[i].pid);
	}
	tap_equal(stopped, NR_BUSY, "VMs are stopped, and stay so");
	for (i = 0; i < NR_BUSY; i++) {
		process_kill(&vms[i]);
		bad += !mrm_wait("vms", NR_BUSY - i, NR_BUSY - i, MRM_LONG);
	}
	tap_equal(bad, 0, "they are killed, and gone");
	busy_scan(false);
	tap_ok(process_verify(&other), "the other VM: every byte is right");
	mrm_check("after they were killed");
	process_stop(&other);
	mrm_reload("after stopped VMs were killed");
}

int main(void)
{
	uint64_t seed;

	mrm_begin();
	busy_begin();
	seed = setting_seed("MRM_SEED");
	test_go_on(&seed);
	test_killed(&seed);
	return tap_done();
}
