// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is fragmented on purpose: there is plenty of it, and not 2 MiB in a row.  Guest pages
 * get frames of 4 KiB then, nobody waits for compaction, and they become large ones when there
 * are any again.
 *
 * The rest of the host's memory is reserved for huge pages meanwhile.  A process takes what is
 * left, page by page, and gives every other one back.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PARTS		512L		/* guest pages of a large one */
#define LARGE		96L
#define PAGES		(LARGE * PARTS)
#define LEFT		(800 * MiB)	/* not reserved */
#define HOG		(2 * LEFT)	/* address space */
#define CHUNK		(4 * MiB)
#define STOP_KIB	(40 * 1024)	/* free: with less the host is busy with its own programs */
#define ORDER		9		/* of 2 MiB */
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

/* What the kernel keeps for itself is in large pieces, and one thread of its own makes some. */
static struct {
	const char *file, *in_test;
	char before[64];
} settings[] = {
	{ "/proc/sys/vm/min_free_kbytes", "4096", "" },
	{ "/proc/sys/vm/lowmem_reserve_ratio", "0 0 0 0 0", "" },
	{ "/proc/sys/vm/compaction_proactiveness", "0", "" },
	/* Or hundreds of megabytes that were given back wait for a processor, and are not free. */
	{ "/proc/sys/vm/percpu_pagelist_high_fraction", "1000", "" },
};

#define SETTINGS	(sizeof(settings) / sizeof(settings[0]))

static pid_t test;		/* this process, and none of its children */

static struct vm_process vm;

/* A number after a word at the beginning of a line. */
static long number_of(const char *path, const char *word)
{
	FILE *f = fopen(path, "r");
	long value = -1;
	char line[256];

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, word, strlen(word)))
			value = atol(line + strlen(word));
	if (f)
		fclose(f);
	return value;
}

/* Pieces of 2 MiB and more that are free, but for the few megabytes of the first zone. */
static long large_pieces(void)
{
	FILE *f = fopen("/proc/buddyinfo", "r");
	char line[512], zone[16], *at, *end;
	long pieces = 0;
	int order, skip;

	if (!f)
		tap_bail("no /proc/buddyinfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %*d, zone %15s%n", zone, &skip) != 1 || !strcmp(zone, "DMA"))
			continue;
		at = line + skip;
		for (order = 0;; order++) {
			long n = strtol(at, &end, 10);

			if (end == at)
				break;
			at = end;
			if (order >= ORDER)
				pieces += n << (order - ORDER);
		}
	}
	fclose(f);
	return pieces;
}

static void set_number(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	file_write(path, text);
}

/*
 * In the process: take nearly all pages, small pieces first as the kernel does, then give half
 * back.
 */
static void take_all(int ready)
{
	char *hog = mmap(NULL, HOG, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t taken = 0, i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	file_write("/proc/self/oom_score_adj", "1000");
	if (hog == MAP_FAILED || madvise(hog, HOG, MADV_NOHUGEPAGE))
		_exit(1);
	while (number_of("/proc/meminfo", "MemFree:") > STOP_KIB && taken + CHUNK <= HOG) {
		memset(hog + taken, 1, CHUNK);
		taken += CHUNK;
	}
	for (i = 0; i < taken; i += 2 * PAGE_SIZE)
		madvise(hog + i, PAGE_SIZE, MADV_DONTNEED);
	if (write(ready, &taken, sizeof(taken)) != sizeof(taken))
		_exit(1);
	pause();
}

/* However the test ends. */
static void restore(void)
{
	unsigned int i;

	if (getpid() != test)
		return;
	file_write(HUGE_PAGES, "0");
	for (i = 0; i < SETTINGS; i++)
		file_write(settings[i].file, settings[i].before);
	mrm_set("min_free", "0");
	mrm_set("balance_period", "15");
}

static bool prepare(void)
{
	unsigned int i;

	for (i = 0; i < SETTINGS; i++)
		if (file_read(settings[i].file, settings[i].before,
			      sizeof(settings[i].before)) < 0)
			return false;
	test = getpid();
	atexit(restore);
	for (i = 0; i < SETTINGS; i++)
		file_write(settings[i].file, settings[i].in_test);
	mrm_set("alloc_guest_large_page", "1");
	mrm_set("large_break_pct", "88");
	mrm_set("min_free", "1");
	mrm_set("balance_period", "1");
	return true;
}

/* Nobody waited for compaction, as far as this kernel counts that. */
static void nobody_waited(long stalls)
{
	if (stalls < 0)
		tap_skip("no compact_stall", "nobody waits for compaction");
	else
		tap_equal(number_of("/proc/vmstat", "compact_stall ") - stalls, 0,
			  "nobody waits for compaction");
}

static pid_t start_hog(void)
{
	size_t taken = 0;
	int ready[2];
	pid_t hog;

	if (pipe(ready))
		tap_bail("no pipe");
	hog = fork();
	if (hog < 0)
		tap_bail("cannot fork");
	if (!hog) {
		close(ready[0]);
		take_all(ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &taken, sizeof(taken)) != sizeof(taken))
		tap_bail("who is to take all memory has ended");
	close(ready[0]);
	tap_note("%zu MiB were taken, and half of it given back", taken / MiB);
	return hog;
}

static bool are_large(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return mrm_vm_get(vm.pid, "large_pages") == LARGE;
}

static void test_fragmented(void)
{
	const struct vm_config config = { .pages = PAGES };
	long stalls, pieces, kib = number_of("/proc/meminfo", "MemFree:");
	pid_t hog;

	set_number(HUGE_PAGES, (kib - (long)(LEFT / 1024)) / 2048);
	hog = start_hog();
	pieces = large_pieces();
	tap_between(pieces, 0, LARGE / 2, "less than half of what is to come is in one piece");
	tap_ok(mrm_wait_state("high", MRM_LONG), "but plenty is free: %ld MiB",
	       number_of("/proc/meminfo", "MemFree:") / 1024);
	process_start(&vm, &config);
	/* KVM itself allocates more than a page at a time for a new VM. */
	stalls = number_of("/proc/vmstat", "compact_stall ");
	process_fill(&vm, 0, PAGES, 1);
	nobody_waited(stalls);
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PAGES, "all guest pages have a frame");
	/* Some pieces come free meanwhile, as the kernel gives up what it had cached. */
	tap_note("there were %ld pieces", pieces);
	tap_between(mrm_vm_get(vm.pid, "large_pages"), 0, LARGE / 2, "most are not large");
	tap_equal(mrm_vm_get(vm.pid, "large_pages_failed") + mrm_vm_get(vm.pid, "large_pages"),
		  LARGE, "the others are counted");
	tap_ok(process_verify(&vm), "every byte is right");

	mrm_set("large_rebuild_rate", "1024");
	kill(hog, SIGKILL);
	waitpid(hog, NULL, 0);
	set_number(HUGE_PAGES, 0);
	tap_ok(wait_until(are_large, NULL, 3 * MRM_LONG),
	       "all are when there is memory in one piece");
	nobody_waited(stalls);
	mrm_set("large_rebuild_rate", "0");
	tap_ok(process_verify(&vm), "every byte is right");
	mrm_check("after that");
	process_stop(&vm);
}

int main(void)
{
	mrm_without_large();
	mrm_begin();
	if (number_of("/proc/meminfo", "MemTotal:") < (long)(3 * LEFT / 1024)) {
		tap_skip("this host has too little memory", "fragmented memory");
		return tap_done();
	}
	if (access(HUGE_PAGES, W_OK) || !prepare()) {
		tap_skip("this kernel cannot be told so", "fragmented memory");
		return tap_done();
	}
	test_fragmented();
	mrm_nothing_left("after it");
	return tap_done();
}
