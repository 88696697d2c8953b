// SPDX-License-Identifier: GPL-2.0
/*
 * The state low: a vCPU of the VM above its target waits, a VM below its target does not, and
 * the first goes on when there is memory, loses nothing, and can be stopped and killed at any
 * time.  If nothing can be taken from it, it goes on slowly; if something can, when that has
 * been; if its balloon gives, it may take what that gave.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "tap.h"
#include "trace.h"
#include "vm_process.h"

#define PAGES	(96 * MiB / PAGE_SIZE)
#define HALF	(PAGES / 2)
#define SMALL	(8 * MiB / PAGE_SIZE)
#define LIMIT	(80 * MiB)
#define BLOCK	"mrm/mrm_block", "hist:keys=pid"

static struct vm_process large, small;

/* What is written to a VM's pages next: nothing of it can be taken without swap. */
static void set_states(struct vm_process *p, size_t page, size_t count, uint32_t first)
{
	size_t i;

	for (i = page; i < page + count; i++)
		p->states[i] = first + i;
}

static void start(struct vm_process *p, size_t pages, uint32_t first)
{
	const struct vm_config config = { .pages = pages };

	process_start(p, &config);
	set_states(p, 0, pages, first);
}

/* The guest begins to fill RAM, and is not waited for. */
static void begin_fill(struct vm_process *p, size_t first, size_t count)
{
	const struct guest_work work = {
		.command = GUEST_FILL, .first = first, .count = count,
	};

	process_begin_guest(p, &work);
}

static void grow_until_blocked(void)
{
	tap_equal(process_guest(&large, GUEST_FILL, 0, HALF), 0, "half of a VM is filled");
	tap_equal(mrm_set_number("limit_bytes", LIMIT), 0, "there is less than it may take");
	tap_equal(mrm_vm_get(large.pid, "blocked_vcpus"), 0, "it is not blocked");
	begin_fill(&large, HALF, HALF);
	tap_ok(mrm_vm_wait(large.pid, "blocked_vcpus", 1, 1, MRM_LONG),
	       "it takes more, and is blocked");
	tap_ok(mrm_state_is("low"), "the state is low");
	tap_between(mrm_vm_get(large.pid, "consumed_bytes"),
		    mrm_vm_get(large.pid, "target_bytes"), LIMIT + 12 * MiB,
		    "it is above its target, and not far");
}

static void go_on(const char *what)
{
	tap_equal(mrm_set("limit_bytes", "0"), 0, "%s: there is memory again", what);
	tap_equal(process_receive(&large, MRM_LONG), 0, "%s: it goes on by itself", what);
	tap_equal(mrm_vm_get(large.pid, "blocked_vcpus"), 0, "%s: and is not blocked", what);
	tap_ok(process_verify(&large), "%s: every byte is right", what);
}

/* Without a balloon its min is its own: it has less than its target. */
static void test_other(void)
{
	bool is_traced = trace_begin(BLOCK);
	long blocks;

	start(&small, SMALL, 1 << 24);
	tap_equal(mrm_vm_set(small.pid, "min_bytes", "8388608"), 0, "another has a min");
	grow_until_blocked();
	tap_equal(process_guest(&small, GUEST_FILL, 0, SMALL), 0, "and takes it meanwhile");
	tap_equal(mrm_vm_get(small.pid, "blocks"), 0, "it never was blocked");
	blocks = mrm_vm_get(large.pid, "blocks");
	tap_ok(mrm_vm_wait(large.pid, "blocks", blocks + 2, LONG_MAX, MRM_LONG),
	       "the first one is, again and again: it does not stand still");
	tap_ok(mrm_vm_wait(large.pid, "blocked_vcpus", 1, 1, MRM_LONG), "and waits for memory");
	go_on("both");
	tap_ok(process_verify(&small), "and of the other");
	tap_equal(mrm_vm_get(small.pid, "reclaimed_bytes"), 0, "from which nothing was taken");
	blocks = mrm_vm_get(large.pid, "blocks");
	trace_tells(is_traced, BLOCK, 2 * blocks, "begin and end of a block");
	process_stop(&small);
}

static bool has_state(void *letter)
{
	char path[64], text[1024];
	char *state;

	snprintf(path, sizeof(path), "/proc/%d/status", large.pid);
	if (file_read(path, text, sizeof(text)) < 0)
		return false;
	state = strstr(text, "State:\t");
	return state && state[strlen("State:\t")] == *(char *)letter;
}

/* Stopped and continued, it waits again as soon as it takes more. */
static void test_signals(void)
{
	grow_until_blocked();
	kill(large.pid, SIGSTOP);
	tap_ok(wait_until(has_state, "T", MRM_LONG), "a blocked VM can be stopped");
	kill(large.pid, SIGCONT);
	tap_ok(mrm_vm_wait(large.pid, "blocked_vcpus", 1, 1, MRM_LONG), "it goes on to be blocked");
	go_on("stopped");
	process_stop(&large);
}

/*
 * As a balloon driver takes pages before it gives them: so many at a time, which are discarded
 * together.  It is blocked until it is known that there is nothing to take from it, not for each.
 */
static void test_gives(void)
{
	const size_t filled = LIMIT / PAGE_SIZE, batch = 128, batches = 32;
	long blocks;
	size_t i;

	start(&large, PAGES, 1);
	tap_equal(process_discard(&large, filled, PAGES - filled), 0, "a part of a VM is free");
	/* With zeroes, as what was discarded is, all would be taken. */
	set_states(&large, filled, PAGES - filled, 1);
	tap_equal(process_guest(&large, GUEST_FILL, 0, filled), 0, "the rest is filled");
	tap_equal(mrm_vm_set(large.pid, "balloon_state", "ok\n"), 0, "its balloon is driven");
	tap_equal(mrm_set_number("limit_bytes", LIMIT), 0, "there is no more than that");
	tap_ok(mrm_wait_state("low", MRM_LONG), "the state is low");
	for (i = 0; i < batches; i++) {
		if (process_guest(&large, GUEST_FILL, filled + i * batch, batch) ||
		    process_discard(&large, filled + i * batch, batch))
			break;
	}
	set_states(&large, filled, 4 * batch, 1);
	tap_equal(i, batches, "pages are taken and given");
	blocks = mrm_vm_get(large.pid, "blocks");
	tap_between(blocks, 0, batches * batch / 8, "it was hardly blocked for them");
	tap_equal(process_guest(&large, GUEST_FILL, filled, 4 * batch), 0, "pages are taken");
	tap_between(mrm_vm_get(large.pid, "blocks") - blocks, batch, 5 * batch,
		    "for those that are kept it is");
	tap_equal(mrm_set("limit_bytes", "0"), 0, "there is memory again");
	tap_ok(process_verify(&large), "every byte is right");
	process_stop(&large);
	mrm_nothing_left("after one that gave");
}

/* There is swap: it waits no longer than it takes to write. */
static void test_taken(void)
{
	if (!disk_ram()) {
		tap_skip("no RAM disk", "with swap");
		return;
	}
	start(&large, PAGES, 1);
	tap_equal(disk_hand_over(DISK_RAM, large.pid), 0, "a VM has a swap file");
	tap_equal(mrm_set_number("limit_bytes", LIMIT), 0, "there is less than it will take");
	tap_equal(process_guest(&large, GUEST_FILL, 0, PAGES), 0, "it takes all it wants");
	tap_between(mrm_vm_get(large.pid, "swapped_pages"), PAGES - LIMIT / PAGE_SIZE - 64, PAGES,
		    "what it had before is in swap");
	tap_ok(process_verify(&large), "every byte is right");
	tap_equal(mrm_set("limit_bytes", "0"), 0, "there is memory again");
	process_stop(&large);
	mrm_nothing_left("after one with swap");
}

int main(void)
{
	mrm_begin();
	mrm_set("zip_max", "0");
	start(&large, PAGES, 1);
	test_other();
	process_stop(&large);
	mrm_nothing_left("after both");

	start(&large, PAGES, 1);
	test_signals();
	mrm_nothing_left("after one that was stopped");

	start(&large, PAGES, 1);
	grow_until_blocked();
	process_kill(&large);
	mrm_set("limit_bytes", "0");
	mrm_nothing_left("after a blocked one was killed");
	test_gives();
	test_taken();
	return tap_done();
}
