// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "large_vm.h"
#include "mrm.h"
#include "tap.h"

/**
 * large_start() - start a VM, all of whose RAM is adopted, or the test ends
 * @vm: it
 * @pages: of RAM
 */
void large_start(struct vm_process *vm, long pages)
{
	const struct vm_config config = { .pages = pages };

	process_start(vm, &config);
	if (mrm_vm_get(vm->pid, "adopted_bytes") != pages * (long)PAGE_SIZE)
		tap_bail("RAM is not adopted");
}

/**
 * large_end() - test that all is as it should be, and end a VM
 * @vm: it
 * @when: after what
 */
void large_end(struct vm_process *vm, const char *when)
{
	tap_ok(process_verify(vm), "every byte is right %s", when);
	mrm_check(when);
	process_stop(vm);
	mrm_nothing_left(when);
}

/**
 * large_are() - test how many large and private pages a VM has
 * @vm: it
 * @large: large ones
 * @private: guest pages with a frame of their own
 * @what: after what
 */
void large_are(struct vm_process *vm, long large, long private, const char *what)
{
	long are, alone = 0;

	tap_equal(mrm_vm_get(vm->pid, "large_pages"), large, "%s: large pages", what);
	are = mrm_vm_get(vm->pid, "private_pages");
	/*
	 * One part in a million is taken for another's equal (large_scan.c), and has a shared
	 * frame for itself when it has moved out: all that is shared then is this one page.
	 */
	if (are == private - 1)
		alone = mrm_vm_get(vm->pid, "shared_pages") == 1;
	if (alone)
		tap_note("%s: one was taken for another's equal", what);
	tap_equal(are + alone, private, "%s: private pages", what);
}

/**
 * large_map_says() - a number of a VM's memory map (smaps)
 * @vm: it
 * @pages: of all mappings that the first so many pages of RAM are in
 * @key: which: "FilePmdMapped" is what is mapped as large pages
 * Return: KiB; -1 if it is not told.
 */
long large_map_says(const struct vm_process *vm, size_t pages, const char *key)
{
	unsigned long from, to, ram = (unsigned long)vm->ram, end = ram + pages * PAGE_SIZE;
	char path[64], line[256];
	bool here = false;
	long value, sum = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", vm->pid);
	f = fopen(path, "re");
	/* What was mapped anew stays apart: a piece for each GiB that it is in. */
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from < end && ram < to;
		else if (here && !strncmp(line, key, strlen(key)) &&
			 sscanf(line + strlen(key), ": %ld", &value) == 1)
			sum = (sum < 0 ? 0 : sum) + value;
	}
	if (f)
		fclose(f);
	return sum;
}
