// SPDX-License-Identifier: GPL-2.0
/*
 * Work that goes faster with more memory, as a file server's: reads files of 256 KiB
 * of a disk, at random, through the page cache, and computes with each page.  What the
 * cache does not hold is read from the disk.
 *
 *	cache_work DEVICE MIB ROUNDS
 *
 * MIB of DEVICE are such files, and each page is summed up ROUNDS times.  Prints, once
 * a second, "cache_work: N" with the pages worked on so far.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define FILE_PAGES	64
#define MIB_FILES	4

static volatile uint64_t sum;

static void work(const uint64_t *file, unsigned long rounds)
{
	uint64_t s = 0;
	size_t i;

	while (rounds--)
		for (i = 0; i < FILE_PAGES * PAGE_WORDS; i++)
			s = s * 31 + file[i];
	sum = s;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static uint64_t file[FILE_PAGES * PAGE_WORDS] __attribute__((aligned(PAGE_SIZE)));
	unsigned long files, rounds, done = 0;
	uint64_t seed = 1;
	double next;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: cache_work DEVICE MIB ROUNDS\n");
		return 2;
	}
	files = strtoul(argv[2], NULL, 10) * MIB_FILES;
	rounds = strtoul(argv[3], NULL, 10);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || !files) {
		perror(argv[1]);
		return 1;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (next = now() + 1;;) {
		if (pread(fd, file, sizeof(file), pattern_random(&seed, files) * sizeof(file)) !=
		    sizeof(file)) {
			perror("cache_work: pread");
			return 1;
		}
		work(file, rounds);
		done += FILE_PAGES;
		if (now() < next)
			continue;
		printf("cache_work: %lu\n", done);
		next += 1;
	}
}
