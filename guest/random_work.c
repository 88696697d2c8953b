// SPDX-License-Identifier: GPL-2.0
/*
 * A program that misses the TLB: touches memory once, page by page, and then reads it at
 * random, each read waiting for the one before it.
 *
 *	random_work MIB READS
 *
 * Prints "random_work: N pages in T us", then "random_work: N reads in T us", and ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "pattern.h"

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	unsigned long pages, reads, i;
	volatile uint64_t *memory;
	uint64_t seed = 1, at;
	double begun;

	if (argc != 3) {
		fprintf(stderr, "usage: random_work MIB READS\n");
		return 2;
	}
	pages = strtoul(argv[1], NULL, 10) * (0x100000 / PAGE_SIZE);
	reads = strtoul(argv[2], NULL, 10);
	begun = now_us();
	memory = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("random_work: mmap");
		return 1;
	}
	/* Where the host maps 2 MiB it helps the guest that does so, too. */
	madvise((void *)memory, pages * PAGE_SIZE, MADV_HUGEPAGE);
	for (i = 0; i < pages; i++)
		memory[i * PAGE_WORDS] = 0;
	printf("random_work: %lu pages in %.0f us\n", pages, now_us() - begun);
	fflush(stdout);

	begun = now_us();
	for (i = 0; i < reads; i++) {
		at = pattern_random(&seed, pages) * PAGE_WORDS + seed % PAGE_WORDS;
		/* It holds 0. */
		seed += memory[at];
	}
	printf("random_work: %lu reads in %.0f us\n", reads, now_us() - begun);
	return 0;
}
