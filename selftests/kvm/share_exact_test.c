// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing with a known answer: two VMs of one salt, each with 8,192 pages equal
 * between them, 2,048 zero pages, and 6,144 pages like no other.  After one
 * full pass exactly what can be shared is; after a rewrite of every shared page
 * nothing is, and every byte is what was written.
 */
#include <stdlib.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define EQUAL	8192
#define ZERO	2048
#define UNIQUE	6144
#define PAGES	(EQUAL + ZERO + UNIQUE)

/* Of what is possible, how much is asked for. */
static long least(long n)
{
	return n - n / 100;
}

static struct vm_process vm[2];

/* Spread over RAM, in another place in each VM. */
static void deal(struct vm_process *p, uint64_t seed)
{
	static uint64_t state[PAGES];
	uint64_t swap, id = seed << 20;
	size_t i, j;

	for (i = 0; i < PAGES; i++) {
		if (i < EQUAL)
			state[i] = 1 + i;
		else
			state[i] = i < EQUAL + ZERO ? 0 : id + i;
	}
	for (i = PAGES - 1; i; i--) {
		j = pattern_random(&seed, i + 1);
		swap = state[i];
		state[i] = state[j];
		state[j] = swap;
	}
	for (i = 0; i < PAGES; i++)
		p->states[i] = state[i];
}

/* @passes: with large frames it takes more than one */
static void after_one_pass(long passes)
{
	long frames = mrm_get("shared_frames"), saved = mrm_get("saved_pages");
	int i;

	tap_between(frames, least(EQUAL), EQUAL + 1, "shared frames");
	tap_between(mrm_get("zero_frames"), 1, 1, "one zero frame");
	tap_between(mrm_get("zero_pages"), least(2 * ZERO), 2 * ZERO, "zero pages");
	tap_between(mrm_get("shared_pages"), least(2 * (EQUAL + ZERO)), 2 * (EQUAL + ZERO),
		    "shared guest pages");
	tap_between(saved, least(EQUAL + 2 * ZERO - 1), EQUAL + 2 * ZERO - 1, "saved pages");
	tap_equal(saved, mrm_get("shared_pages") - frames,
		  "saved is shared guest pages less shared frames");
	tap_equal(mrm_get("resident_pages"), 2 * PAGES, "all guest pages are resident");
	tap_equal(mrm_get("ineligible_pages"), 0, "no false match");
	for (i = 0; i < 2; i++) {
		tap_between(mrm_vm_get(vm[i].pid, "saved_pages"), least(EQUAL / 2 + ZERO),
			    EQUAL / 2 + ZERO, "VM %d: saved pages", i);
		tap_between(mrm_vm_get(vm[i].pid, "saved_within_pages"), least(ZERO - 1), ZERO - 1,
			    "VM %d: saved if it were alone", i);
		tap_equal(mrm_vm_get(vm[i].pid, "resident_pages"), PAGES,
			  "VM %d: resident pages", i);
		tap_equal(mrm_vm_get(vm[i].pid, "full_scans"), passes, "VM %d: one pass", i);
	}
	tap_note("%ld shared frames for %ld guest pages, %ld saved of %d possible", frames,
		 mrm_get("shared_pages"), saved, EQUAL + 2 * ZERO - 1);
}

typedef long (*command_fn)(struct vm_process *p, enum guest_command command, size_t first,
			   size_t count);

/*
 * Every page that is shared gets something new: first one word in half of
 * them, so that the rest of the page must have come along, then the others all.
 */
static void rewrite(struct vm_process *p, command_fn command, uint64_t id)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		if (p->states[i] <= EQUAL && i % 2)
			p->states[i] = pattern_poke(p->states[i], i % PAGE_WORDS);
	tap_equal(command(p, GUEST_POKE, 0, PAGES), 0, "half the shared pages are poked");
	tap_ok(process_verify(p), "every byte is right");
	for (i = 0; i < PAGES; i++)
		if (p->states[i] <= EQUAL)
			p->states[i] = id + i;
	tap_equal(command(p, GUEST_FILL, 0, PAGES), 0, "all of them are written");
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };
	long before, broken, passes;
	int i;

	mrm_begin();
	for (i = 0; i < 2; i++) {
		process_start(&vm[i], &config);
		tap_equal(mrm_vm_get(vm[i].pid, "adopted_bytes"), PAGES * PAGE_SIZE,
			  "VM %d: all RAM is adopted", i);
		tap_equal(mrm_vm_set(vm[i].pid, "salt", "exact"), 0, "VM %d: salt is set", i);
		deal(&vm[i], i + 1);
		tap_equal(process_guest(&vm[i], GUEST_FILL, 0, PAGES), 0, "VM %d: RAM is filled",
			  i);
	}
	tap_equal(mrm_get("private_pages"), 2 * PAGES, "all pages are private");
	before = mrm_get("broken_pages");

	passes = process_share_all(vm, 2, 0, PAGES);
	tap_ok(passes, "one full pass");
	after_one_pass(passes);
	mrm_check("after it");
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vm[i]), "VM %d: every byte is right", i);
	tap_equal(mrm_get("broken_pages"), before, "reading breaks nothing");

	broken = mrm_get("shared_pages");
	rewrite(&vm[0], process_guest, 100 << 20);
	rewrite(&vm[1], process_user, 101 << 20);
	tap_equal(mrm_get("shared_pages"), 0, "nothing is shared after a rewrite");
	tap_equal(mrm_get("shared_frames"), 0, "nor is there a shared frame");
	tap_equal(mrm_get("saved_pages"), 0, "nor anything saved");
	tap_equal(mrm_get("broken_pages") - before, broken, "each shared page was broken once");
	tap_equal(mrm_get("private_pages"), 2 * PAGES, "all pages are private again");
	mrm_check("after the rewrite");
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vm[i]), "VM %d: every byte is right", i);

	for (i = 0; i < 2; i++)
		process_stop(&vm[i]);
	mrm_nothing_left("after both have ended");
	return tap_done();
}
