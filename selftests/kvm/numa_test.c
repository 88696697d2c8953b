// SPDX-License-Identifier: GPL-2.0
/*
 * A host with two nodes: frames of 4 KiB and of 2 MiB come from the node that the vCPU's memory
 * policy names, whatever they are for; and from where the rest of the guest page was, when who
 * allocates is not the vCPU.
 *
 * scripts/host --nodes 2
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "pagemap.h"
#include "tap.h"
#include "vm_process.h"

#define NODES	2
#define PARTS	512L	/* guest pages of a large one */
#define LARGE	8L
#define PAGES	(LARGE * PARTS)
#define HALF	(PAGES / 2)
#define SPANS	16

/* Frames that a node has in a zone. */
static struct span {
	int node;
	uint64_t first, end;
} spans[SPANS];
static unsigned int nr_spans;

static struct vm_process vm;

/* Return: how many nodes have memory. */
static int find_spans(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	unsigned long first, spanned = 0;
	int node = -1, seen = 0;
	char line[256];

	if (!f)
		tap_bail("no /proc/zoneinfo");
	while (fgets(line, sizeof(line), f)) {
		/* In this order in each zone. */
		if (sscanf(line, "Node %d, zone", &node) == 1 ||
		    sscanf(line, " spanned %lu", &spanned) == 1)
			continue;
		if (sscanf(line, " start_pfn: %lu", &first) != 1 || !spanned || nr_spans == SPANS)
			continue;
		spans[nr_spans++] = (struct span){ node, first, first + spanned };
		seen |= 1 << node;
	}
	fclose(f);
	return __builtin_popcount(seen);
}

static int node_of(uint64_t frame)
{
	unsigned int i;

	for (i = 0; i < nr_spans; i++)
		if (frame >= spans[i].first && frame < spans[i].end)
			return spans[i].node;
	return -1;
}

/* All that is mapped is on a node, and all of it is mapped. */
static void are_on(int node, size_t first, size_t count, const char *what)
{
	static uint64_t frames[PAGES];
	long there = 0;
	size_t i;

	if (pagemap_read(vm.pid, vm.ram + first * PAGE_SIZE, count, frames))
		tap_bail("no pagemap");
	for (i = 0; i < count; i++)
		there += frames[i] && node_of(frames[i]) == node;
	tap_equal(there, count, "%s: all frames are on node %d", what, node);
}

static long bind_to(struct vm *v, void *arg)
{
	unsigned long nodes = 1UL << *(int *)arg;

	(void)v;
	return syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof(nodes)) ? -errno : 0;
}

static void bind_vm(int node)
{
	if (process_call(&vm, bind_to, &node, sizeof(node)))
		tap_bail("no memory policy");
}

/* Without a policy, on a processor of the node. */
static long run_on(struct vm *v, void *arg)
{
	char path[64], text[MRM_TEXT] = "";
	cpu_set_t cpus;

	(void)v;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", *(int *)arg);
	if (file_read(path, text, sizeof(text)) <= 0 || text[0] < '0' || text[0] > '9')
		return -ENOENT;
	CPU_ZERO(&cpus);
	CPU_SET(strtoul(text, NULL, 10), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) ||
	    syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0))
		return -errno;
	return 0;
}

static void start(void)
{
	const struct vm_config config = { .pages = PAGES };

	process_start(&vm, &config);
	if (mrm_vm_get(vm.pid, "adopted_bytes") != PAGES * (long)PAGE_SIZE)
		tap_bail("RAM is not adopted");
}

static void end(const char *when)
{
	tap_ok(process_verify(&vm), "%s: every byte is right", when);
	mrm_check(when);
	process_stop(&vm);
}

static void test_touched(const char *size)
{
	int node;

	start();
	for (node = 0; node < NODES; node++) {
		bind_vm(node);
		process_fill(&vm, node * HALF, HALF, 1 << 20);
		are_on(node, node * HALF, HALF, size);
	}
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PAGES, "%s: all pages have one", size);
}

/* No policy: frames come from where the vCPU runs. */
static void test_local(const char *size)
{
	int node;

	start();
	for (node = 0; node < NODES; node++) {
		if (process_call(&vm, run_on, &node, sizeof(node))) {
			tap_skip("no processor of its own", "node %d", node);
			continue;
		}
		process_fill(&vm, node * HALF, HALF, 1 << 20);
		are_on(node, node * HALF, HALF, size);
	}
	end(size);
}

/* All on one node, and nothing that was there before. */
static void deal_on(int node, uint64_t state)
{
	if (process_discard(&vm, 0, PAGES))
		tap_bail("cannot discard");
	bind_vm(node);
	process_fill(&vm, 0, PAGES, state);
	are_on(node, 0, PAGES, "dealt");
}

/* What is drawn at random is not found at once, nor written. */
static bool took_all(void *counter)
{
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	return mrm_vm_get(vm.pid, counter) == PAGES;
}

/* Taken, and touched by a vCPU that is bound to the other node: it comes back there. */
static void test_taken(char *counter, const char *what)
{
	static uint64_t frames[PAGES];
	long taken = 0;
	size_t i;

	tap_ok(wait_until(took_all, counter, MRM_LONG), "%s: all is taken", what);
	if (pagemap_read(vm.pid, vm.ram, PAGES, frames))
		tap_bail("no pagemap");
	for (i = 0; i < PAGES; i++)
		taken += !frames[i];
	tap_equal(taken, PAGES, "%s: no page has a frame", what);
	bind_vm(1);
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "%s: the guest finds it", what);
	are_on(1, 0, PAGES, what);
}

/* What is copied for a write, unzipped or read from swap is the vCPU's, too. */
static void test_returned(void)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i / 2;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES) || !mrm_full_pass())
		tap_bail("cannot prepare");
	tap_equal(mrm_vm_get(vm.pid, "shared_pages"), PAGES, "all is shared");
	for (i = 0; i < NODES; i++) {
		bind_vm(i);
		process_fill(&vm, i * HALF, HALF, 2 << 20);
		are_on(i, i * HALF, HALF, "copied for a write");
	}
	mrm_vm_set(vm.pid, "share", "0");

	mrm_set("zip_max", "50");
	deal_on(0, (3 << 20) | THIN);
	test_taken("zipped_pages", "zipped");
	mrm_set("zip_max", "0");
	if (!disk_ram() || disk_hand_over(DISK_RAM, vm.pid)) {
		tap_skip("no RAM disk", "swapped");
		return;
	}
	deal_on(0, 4 << 20);
	test_taken("swapped_pages", "swapped");
}

/* A thread of the module's does it: the frame comes from where the parts are. */
static bool are_rebuilt(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return mrm_vm_get(vm.pid, "large_pages") == LARGE;
}

static void test_rebuilt(void)
{
	long i;

	for (i = 0; i < LARGE; i++)
		if (process_discard(&vm, i * PARTS + i, 1))
			tap_bail("cannot discard");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG), "all are broken");
	for (i = 0; i < NODES; i++) {
		bind_vm(i);
		process_fill(&vm, i * HALF, HALF, 2 << 20);
		are_on(i, i * HALF, HALF, "moved out of what was broken");
	}
	mrm_set("large_rebuild_rate", "1024");
	tap_ok(wait_until(are_rebuilt, NULL, MRM_LONG), "they are rebuilt");
	mrm_set("large_rebuild_rate", "0");
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	for (i = 0; i < NODES; i++)
		are_on(i, i * HALF, HALF, "rebuilt");
}

int main(void)
{
	mrm_without_large();
	mrm_begin();
	if (find_spans() < NODES) {
		tap_skip("this host has one node", "frames of two nodes");
		return tap_done();
	}
	test_touched("4 KiB");
	test_returned();
	end("4 KiB");
	mrm_set("alloc_guest_large_page", "1");
	mrm_set("large_break_pct", "88");
	test_local("2 MiB, without a policy");
	test_touched("2 MiB");
	tap_equal(mrm_vm_get(vm.pid, "large_pages"), LARGE, "they are large");
	test_rebuilt();
	end("2 MiB");
	mrm_nothing_left("after them");
	return tap_done();
}
