// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profile.h"

#define PERIOD_NS	1000000
#define RING_PAGES	1024UL
#define RING_BYTES	(RING_PAGES * 4096)
#define MAX_DEPTH	127
#define SHOWN		34

/**
 * struct symbol - a function of the kernel
 * @address: where it begins
 * @name: its name
 * @self: samples in it
 * @total: samples in it or in what it called
 * @seen: the last sample that was counted in @total
 */
struct symbol {
	uint64_t address;
	char name[64];
	unsigned long self, total, seen;
};

static struct symbol *symbols;
static size_t nr_symbols;
static int event = -1;
static struct perf_event_mmap_page *ring;
static unsigned long samples, lost;

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static int by_self(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->self < y->self) - (x->self > y->self);
}

static int by_total(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->total < y->total) - (x->total > y->total);
}

static void read_symbols(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t room = 0;
	char line[512], type;
	struct symbol s = {};

	nr_symbols = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %c %63s", &s.address, &type, s.name) != 3 ||
		    !strchr("tTwW", type))
			continue;
		if (nr_symbols == room) {
			room = room ? 2 * room : 1 << 16;
			symbols = realloc(symbols, room * sizeof(*symbols));
			if (!symbols)
				abort();
		}
		symbols[nr_symbols++] = s;
	}
	if (f)
		fclose(f);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_address);
}

static struct symbol *find(uint64_t address)
{
	size_t low = 0, high = nr_symbols;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (symbols[mid].address <= address)
			low = mid;
		else
			high = mid;
	}
	return nr_symbols ? &symbols[low] : NULL;
}

/**
 * profile_start() - begin to sample
 * @thread: a kernel thread
 */
void profile_start(pid_t thread)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_CALLCHAIN,
		.exclude_callchain_user = 1,
	};

	read_symbols();
	samples = 0;
	lost = 0;
	event = syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event >= 0) {
		ring = mmap(NULL, RING_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
		if (ring != MAP_FAILED)
			return;
		close(event);
		event = -1;
	}
	fprintf(stderr, "no profile: %s\n", strerror(errno));
}

static void copy(void *to, uint64_t at, size_t bytes)
{
	const char *data = (const char *)ring + 4096;
	size_t i;

	for (i = 0; i < bytes; i++)
		((char *)to)[i] = data[(at + i) % RING_BYTES];
}

static void count(const uint64_t *chain, uint64_t depth)
{
	bool innermost = true;
	struct symbol *s;
	uint64_t i;

	samples++;
	for (i = 0; i < depth; i++) {
		/* Not an address, but where it was: in the kernel, in user space. */
		if (chain[i] >= (uint64_t)PERF_CONTEXT_MAX)
			continue;
		s = find(chain[i]);
		if (!s)
			return;
		s->self += innermost;
		innermost = false;
		if (s->seen != samples)
			s->total++;
		s->seen = samples;
	}
}

/**
 * profile_collect() - take what has been sampled so far; now and then
 */
void profile_collect(void)
{
	struct perf_event_header header;
	uint64_t head, tail, depth, chain[MAX_DEPTH];

	if (event < 0)
		return;
	head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	for (tail = ring->data_tail; tail < head; tail += header.size) {
		copy(&header, tail, sizeof(header));
		if (header.type == PERF_RECORD_LOST)
			lost++;
		if (header.type != PERF_RECORD_SAMPLE)
			continue;
		copy(&depth, tail + sizeof(header), sizeof(depth));
		if (depth > MAX_DEPTH)
			continue;
		copy(chain, tail + sizeof(header) + sizeof(depth), depth * sizeof(chain[0]));
		count(chain, depth);
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
}

/**
 * profile_stop() - end, and print the functions that took most
 * @title: whose they are
 */
void profile_stop(const char *title)
{
	char self[SHOWN][100];
	size_t i;

	if (event < 0)
		return;
	ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
	profile_collect();
	munmap(ring, RING_BYTES + 4096);
	close(event);
	event = -1;
	printf("\nprofile of %s: %lu samples of %d us%s\n", title, samples, PERIOD_NS / 1000,
	       lost ? ", some were lost" : "");
	if (!samples || nr_symbols < SHOWN)
		return;
	printf("  %-42s  %s\n", "in the function itself, %", "in it and what it called, %");
	qsort(symbols, nr_symbols, sizeof(*symbols), by_self);
	for (i = 0; i < SHOWN; i++)
		snprintf(self[i], sizeof(self[i]), "%5.1f  %s", 100.0 * symbols[i].self / samples,
			 symbols[i].name);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_total);
	for (i = 0; i < SHOWN; i++)
		printf("  %-42s  %5.1f  %s\n", self[i], 100.0 * symbols[i].total / samples,
		       symbols[i].name);
}
