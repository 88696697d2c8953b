// SPDX-License-Identifier: GPL-2.0
/*
 * Work as a compiler's on a tree of sources: for each unit a new process reads sources from a
 * disk, through the page cache, builds tables from them in memory of its own, looks up in
 * these at random, writes an object to a file and ends.
 *
 *	build_work DEVICE MIB UNITS
 *
 * MIB of DEVICE are sources.  Prints "build_work: UNITS units in T us", and ends.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define SOURCE_BYTES	0x10000UL
#define SOURCE_WORDS	(SOURCE_BYTES / sizeof(uint64_t))
#define MIB_SOURCES	16
#define READS		24		/* sources of a unit, half of them headers */
#define HEADERS		32		/* sources that all units read */
#define TABLE_WORDS	(2 * SOURCE_WORDS)
#define LOOK_UPS	20000
#define OBJECT_SOURCES	4		/* an object is so many times as large as a source */
#define OBJECTS		256		/* kept; then the first is written anew */

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* One source into a table that is twice as large. */
static uint64_t *parse(const uint64_t *source)
{
	uint64_t *table = malloc(TABLE_WORDS * sizeof(*table)), s = 0;
	size_t i;

	if (!table)
		fail("build_work: malloc");
	for (i = 0; i < TABLE_WORDS; i++) {
		s = s * 31 + source[i % SOURCE_WORDS];
		table[i] = s;
	}
	return table;
}

/* A process of its own, which has run nothing before. */
static int compile(const char *device, unsigned long sources, unsigned long unit)
{
	static uint64_t source[SOURCE_WORDS], *tables[READS];
	uint64_t seed = unit, found = 0;
	char object[64];
	int fd, i;

	fd = open(device, O_RDONLY);
	if (fd < 0)
		fail(device);
	for (i = 0; i < READS; i++) {
		unsigned long n = pattern_random(&seed, i < READS / 2 ? sources : HEADERS);

		if (pread(fd, source, SOURCE_BYTES, n * SOURCE_BYTES) != (ssize_t)SOURCE_BYTES)
			fail("build_work: pread");
		tables[i] = parse(source);
	}
	close(fd);
	for (i = 0; i < LOOK_UPS; i++) {
		uint64_t *table = tables[pattern_random(&seed, READS)];

		found += table[pattern_random(&seed, TABLE_WORDS)]++;
	}
	source[0] = found;
	snprintf(object, sizeof(object), "/tmp/%lu.o", unit % OBJECTS);
	fd = open(object, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		fail(object);
	for (i = 0; i < OBJECT_SOURCES; i++)
		if (write(fd, source, SOURCE_BYTES) != (ssize_t)SOURCE_BYTES)
			fail(object);
	return 0;
}

static void start(char **argv, unsigned long unit)
{
	char number[32];
	pid_t pid = fork();
	int status;

	if (pid < 0)
		fail("build_work: fork");
	if (!pid) {
		snprintf(number, sizeof(number), "%lu", unit);
		execl("/proc/self/exe", argv[0], "-c", argv[1], argv[2], number, NULL);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "build_work: unit %lu ended with status %#x\n", unit, status);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned long units, i;
	double begun;

	if (argc == 5 && !strcmp(argv[1], "-c"))
		return compile(argv[2], strtoul(argv[3], NULL, 10) * MIB_SOURCES,
			       strtoul(argv[4], NULL, 10));
	if (argc != 4) {
		fprintf(stderr, "usage: build_work DEVICE MIB UNITS\n");
		return 2;
	}
	units = strtoul(argv[3], NULL, 10);
	begun = now_us();
	for (i = 0; i < units; i++)
		start(argv, i);
	printf("build_work: %lu units in %.0f us\n", units, now_us() - begun);
	return 0;
}
