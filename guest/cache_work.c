// SPDX-License-Identifier: GPL-2.0
/*
 * Work that goes faster with more memory, as a file server's: reads files of 256 KiB
 * of a disk, at random, through the page cache, and computes with each page.  What the
 * cache does not hold is read from the disk.
 *
 *	cache_work DEVICE MIB ROUNDS [all]
 *
 * MIB of DEVICE are such files, and each page is summed up ROUNDS times.  With "all" no file
 * is read again before all have been, each time in another order.  Prints, once a second,
 * "cache_work: N" with the pages worked on so far.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* The next file; @order: of those that are left of this time, NULL: any. */
static unsigned long next_file(unsigned long *order, unsigned long files, uint64_t *seed)
{
	static unsigned long left;
	unsigned long i, file;

	if (!order)
		return pattern_random(seed, files);
	if (!left)
		left = files;
	i = pattern_random(seed, left--);
	file = order[i];
	order[i] = order[left];
	order[left] = file;
	return file;
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
	unsigned long files, rounds, done = 0, *order = NULL, i;
	uint64_t seed = 1;
	double next;
	int fd;

	if (argc < 4 || argc > 5 || (argc == 5 && strcmp(argv[4], "all"))) {
		fprintf(stderr, "usage: cache_work DEVICE MIB ROUNDS [all]\n");
		return 2;
	}
	files = strtoul(argv[2], NULL, 10) * MIB_FILES;
	rounds = strtoul(argv[3], NULL, 10);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || !files) {
		perror(argv[1]);
		return 1;
	}
	if (argc == 5)
		order = malloc(files * sizeof(*order));
	if (argc == 5 && !order)
		return 1;
	for (i = 0; order && i < files; i++)
		order[i] = i;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (next = now() + 1;;) {
		if (pread(fd, file, sizeof(file), next_file(order, files, &seed) * sizeof(file)) !=
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
