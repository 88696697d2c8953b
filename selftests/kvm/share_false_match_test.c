// SPDX-License-Identifier: GPL-2.0
/*
 * False matches, forced by a hash of few bits: pages that differ meet under one
 * hash all the time, and still only equal ones are shared.
 */
#include <stdio.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define EQUAL	256
#define ZERO	64
#define PAGES	1024

static struct vm_process vm[2];

static void test_bits(int bits)
{
	const struct vm_config config = { .pages = PAGES };
	long shared, frames;
	char text[16];
	int i;
	size_t j;

	snprintf(text, sizeof(text), "%d", bits);
	if (mrm_debug_write("hash_bits", text))
		tap_bail("cannot set hash_bits");
	for (i = 0; i < 2; i++) {
		process_start(&vm[i], &config);
		if (mrm_vm_set(vm[i].pid, "salt", "false match"))
			tap_bail("cannot set the salt");
		for (j = 0; j < PAGES; j++) {
			if (j < EQUAL)
				vm[i].states[j] = 1 + j;
			else
				vm[i].states[j] = j < EQUAL + ZERO ? 0 : (i + 1) << 20 | j;
		}
		if (process_guest(&vm[i], GUEST_FILL, 0, PAGES))
			tap_bail("cannot fill RAM");
	}
	tap_ok(mrm_full_pass() && process_share_all(vm, 2, 0, PAGES), "%d bits: two passes",
	       bits);
	shared = mrm_get("shared_pages");
	frames = mrm_get("shared_frames");
	tap_ok(mrm_get("ineligible_pages") > 0, "%d bits: there were false matches", bits);
	tap_between(shared, 2 * ZERO, 2 * (EQUAL + ZERO), "%d bits: nothing else is shared", bits);
	tap_between(mrm_get("saved_pages"), 2 * ZERO - 1, EQUAL + 2 * ZERO - 1,
		    "%d bits: nothing else is saved", bits);
	tap_note("%d bits: %ld pages ineligible, %ld shared guest pages in %ld frames", bits,
		 mrm_get("ineligible_pages"), shared, frames);
	mrm_check("after false matches");
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vm[i]), "%d bits: VM %d: every byte is right", bits, i);

	/* New contents, with a hash that tells them apart: all is as ever. */
	if (mrm_debug_write("hash_bits", "64"))
		tap_bail("cannot set hash_bits");
	for (i = 0; i < 2; i++) {
		tap_equal(process_discard(&vm[i], 0, PAGES), 0, "%d bits: VM %d: discarded", bits,
			  i);
		for (j = 0; j < PAGES; j++)
			vm[i].states[j] = 1 + j % EQUAL;
	}
	tap_equal(mrm_get("ineligible_pages"), 0, "%d bits: no page is ineligible any more", bits);
	for (i = 0; i < 2; i++)
		tap_equal(process_guest(&vm[i], GUEST_FILL, 0, PAGES), 0,
			  "%d bits: VM %d: filled again", bits, i);
	tap_ok(mrm_share_all(), "%d bits: a pass with all bits", bits);
	tap_equal(mrm_get("shared_pages"), 2 * PAGES, "%d bits: then everything is shared", bits);
	tap_equal(mrm_get("shared_frames"), EQUAL, "%d bits: in as many frames as contents", bits);
	for (i = 0; i < 2; i++) {
		tap_ok(process_verify(&vm[i]), "%d bits: VM %d: every byte is right", bits, i);
		process_stop(&vm[i]);
	}
	mrm_nothing_left("after false matches");
}

int main(void)
{
	static const int bits[] = { 1, 3, 5, 8 };
	unsigned int i;

	mrm_begin();
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		test_bits(bits[i]);
	return tap_done();
}
