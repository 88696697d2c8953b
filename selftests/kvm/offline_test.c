// SPDX-License-Identifier: GPL-2.0
/*
 * The host's memory is taken offline, block by block, as before a DIMM is pulled:
 * blocks with frames of ours stay, for a frame cannot be moved; and not one byte
 * is lost.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mrm.h"
#include "pagemap.h"
#include "tap.h"
#include "vm_process.h"

#define MEMORY		"/sys/devices/system/memory"
#define PAGES		16384
#define MAX_BLOCKS	4096
#define TRY		6	/* blocks of each kind */

static uint8_t has_frames[MAX_BLOCKS];

static unsigned long block_bytes(void)
{
	char text[MRM_TEXT];

	if (file_read(MEMORY "/block_size_bytes", text, sizeof(text)) < 0)
		return 0;
	return strtoul(text, NULL, 16);
}

/* Which blocks the VM's frames are in. */
static long find_frames(const struct vm_process *p, unsigned long bytes)
{
	static uint64_t frames[PAGES];
	uint64_t block;
	long found = 0;
	size_t i;

	memset(has_frames, 0, sizeof(has_frames));
	if (pagemap_read(p->pid, p->ram, PAGES, frames))
		return 0;
	for (i = 0; i < PAGES; i++) {
		block = frames[i] * PAGE_SIZE / bytes;
		if (!block || block >= MAX_BLOCKS)
			continue;
		has_frames[block] = 1;
		found++;
	}
	return found;
}

static int set_state(unsigned int block, const char *state)
{
	char path[128];

	snprintf(path, sizeof(path), MEMORY "/memory%u/state", block);
	return file_write(path, state);
}

static bool there(unsigned int block)
{
	char path[128];

	snprintf(path, sizeof(path), MEMORY "/memory%u/state", block);
	return !access(path, W_OK);
}

/* From the top, where the host has least of its own; counts what was refused. */
static void try_blocks(bool with_frames, long *tried, long *refused)
{
	unsigned int block;
	int err;

	for (block = MAX_BLOCKS - 1; block && *tried < TRY; block--) {
		if (has_frames[block] != with_frames || !there(block))
			continue;
		++*tried;
		err = set_state(block, "offline");
		if (err)
			++*refused;
		else if (set_state(block, "online"))
			tap_bail("block %u does not come back", block);
	}
}

static void test_blocks(struct vm_process *p, const char *when)
{
	long tried = 0, refused = 0, found = find_frames(p, block_bytes());

	tap_ok(found > 0, "%s: the VM has frames", when);
	try_blocks(true, &tried, &refused);
	tap_ok(tried > 0, "%s: they are in blocks of memory", when);
	tap_equal(refused, tried, "%s: none of those can be taken offline", when);
	tried = 0;
	refused = 0;
	try_blocks(false, &tried, &refused);
	tap_note("%s: of %ld blocks without frames %ld were taken offline, and came back", when,
		 tried, tried - refused);
	tap_ok(process_verify(p), "%s: every byte is right", when);
	mrm_check(when);
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	size_t i;

	mrm_begin();
	if (!block_bytes()) {
		tap_skip("the kernel takes no memory offline", "blocks with frames");
		return tap_done();
	}
	process_start(&p, &config);
	for (i = 0; i < PAGES; i++)
		p.states[i] = 1 + i % (PAGES / 2);
	tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES), 0, "a guest writes");
	test_blocks(&p, "private");
	tap_ok(mrm_share_all(), "a pass");
	tap_equal(mrm_get("shared_pages"), PAGES, "all pages are shared");
	/* Mapped again, so that they are seen. */
	tap_ok(process_verify(&p), "every byte is right");
	test_blocks(&p, "shared");
	tap_equal(process_guest(&p, GUEST_TOUCH, 0, PAGES), 0, "the guest writes again");
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after memory was taken offline");
	return tap_done();
}
