// SPDX-License-Identifier: GPL-2.0
/*
 * What the guests of "make demo" do: a small service.  It loads a table that
 * is the same in all of them (as guests of one kind run the same program on
 * the same data), keeps a working set that is its own, and serves requests at
 * a steady rate, each reading from the table and writing to the working set.
 * Every few seconds it prints how many requests it served and how long they
 * took; a page that does not hold what was written to it ends it.
 *
 *	demo_work TABLE_MIB OWN_MIB SEED
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define RATE		20	/* requests a second */
#define TOUCHED		32	/* pages of the working set that each one writes */
#define REPORT		100	/* requests a report */

static uint64_t *map(size_t pages)
{
	uint64_t *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void fill(uint64_t *page, uint64_t seed)
{
	size_t i;

	for (i = 0; i < PAGE_WORDS; i++)
		page[i] = pattern_mix(seed + i);
}

static void check(const uint64_t *page, uint64_t seed, const char *what, size_t n)
{
	size_t i;

	for (i = 0; i < PAGE_WORDS; i += 61) {
		if (page[i] != pattern_mix(seed + i)) {
			printf("demo_work: WRONG in %s page %zu\n", what, n);
			exit(1);
		}
	}
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	size_t table_pages, own_pages, i;
	struct itimerspec tick = { .it_interval.tv_nsec = 1000000000 / RATE };
	uint64_t *table, *own, *version, seed, random, expirations;
	uint64_t served = 0;
	double begun, spent = 0;
	int timer;

	if (argc != 4) {
		fprintf(stderr, "usage: demo_work TABLE_MIB OWN_MIB SEED\n");
		return 2;
	}
	table_pages = strtoul(argv[1], NULL, 10) * 256;
	own_pages = strtoul(argv[2], NULL, 10) * 256;
	seed = pattern_mix(strtoull(argv[3], NULL, 10) + 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	table = map(table_pages);
	own = map(own_pages);
	version = calloc(own_pages, sizeof(*version));
	if (!version)
		return 1;
	for (i = 0; i < table_pages; i++)
		fill(table + i * PAGE_WORDS, pattern_mix(i));
	for (i = 0; i < own_pages; i++)
		fill(own + i * PAGE_WORDS, seed ^ pattern_mix(i));
	printf("demo_work: loaded\n");

	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	tick.it_value = tick.it_interval;
	if (timer < 0 || timerfd_settime(timer, 0, &tick, NULL)) {
		perror("timerfd");
		return 1;
	}
	random = seed;
	while (read(timer, &expirations, sizeof(expirations)) == sizeof(expirations)) {
		begun = now_us();
		for (i = 0; i < TOUCHED; i++) {
			size_t t = (random = pattern_mix(random + i)) % table_pages;
			size_t o = (random >> 32) % own_pages;

			check(table + t * PAGE_WORDS, pattern_mix(t), "table", t);
			check(own + o * PAGE_WORDS, (seed ^ pattern_mix(o)) + version[o], "own", o);
			version[o]++;
			fill(own + o * PAGE_WORDS, (seed ^ pattern_mix(o)) + version[o]);
		}
		spent += now_us() - begun;
		if (++served % REPORT == 0) {
			printf("demo_work: served %llu request_us %.0f\n",
			       (unsigned long long)served, spent / REPORT);
			spent = 0;
		}
	}
	perror("read");
	return 1;
}
