// SPDX-License-Identifier: GPL-2.0
/*
 * VMs killed at random moments, in the middle of adoption, sharing, breaking and
 * discarding, with a neighbour that shares with them: it keeps every byte, and
 * nothing of the dead stays.  The module is unloaded and loaded again after each
 * of the first kills of a kind, and after the last: not after all, as the neighbour
 * is another one each time, and that takes seconds.
 *
 * MRM_KILLS: how often, each (default: 20).  MRM_SEED: to repeat the moments.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "busy.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"

#define ALONE	3	/* kills of each kind, by themselves between two reloads of the module */

/* One of these, to the process or to one thread: all end the process. */
static const int deadly[] = { SIGKILL, SIGKILL, SIGKILL, SIGTERM, SIGSEGV, SIGABRT };

static void kill_it(struct vm_process *p, uint64_t *seed)
{
	int how = deadly[pattern_random(seed, sizeof(deadly) / sizeof(deadly[0]))];

	if (pattern_random(seed, 2))
		kill(p->pid, how);
	else
		syscall(SYS_tgkill, p->pid, p->pid, how);
	process_kill(p);
}

static void test_killed(enum busy_with what, long times, uint64_t *seed)
{
	const struct vm_config config = { .pages = BUSY_PAGES };
	struct vm_process neighbour, p;
	long i, gone = 0, right = 0;

	process_start(&neighbour, &config);
	busy_fill(&neighbour);
	busy_scan(true);
	for (i = 0; i < times; i++) {
		busy_start(&p, what);
		busy_moment(what, seed);
		kill_it(&p, seed);
		gone += mrm_wait("vms", 1, 1, MRM_LONG);
		right += process_verify(&neighbour);
	}
	busy_scan(false);
	tap_equal(gone, times, "%s: nothing of the killed VM stays, each time", busy_words[what]);
	tap_equal(right, times, "%s: every byte of its neighbour is right", busy_words[what]);
	tap_ok(mrm_share_all(), "a pass over the neighbour");
	tap_equal(mrm_get("shared_pages"), BUSY_PAGES, "all of its pages are shared");
	tap_equal(mrm_get("shared_frames"), BUSY_KEYS, "in as many frames as there are contents");
	tap_equal(mrm_get("private_pages"), 0, "and no other is in use");
	mrm_check("after the kills");
	tap_ok(process_verify(&neighbour), "every byte is right");
	process_stop(&neighbour);
	mrm_reload(busy_words[what]);
}

static void test_all_kills(enum busy_with what, uint64_t *seed)
{
	long left = setting("MRM_KILLS", 20), i;

	for (i = 0; i < ALONE && left; i++, left--)
		test_killed(what, 1, seed);
	if (left)
		test_killed(what, left, seed);
}

int main(void)
{
	enum busy_with what;
	uint64_t seed;

	mrm_begin();
	busy_begin();
	seed = setting_seed("MRM_SEED");
	for (what = 0; what < NR_BUSY; what++)
		test_all_kills(what, &seed);
	return tap_done();
}
