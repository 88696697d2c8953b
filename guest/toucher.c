// SPDX-License-Identifier: GPL-2.0
/*
 * Touches so much memory for so long, then another amount: the program of figure 6
 * of the paper (Waldspurger 2002, 5.3).  What it does not touch it keeps.
 *
 *	toucher MIB:SECONDS[:PAUSE]...
 *
 * PAUSE ms after each time over all of it (default: 200).
 * Prints "toucher: touches N MiB" when all of it has been touched once, and goes on with
 * the last amount for ever if its SECONDS are 0.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE		4096
#define MIB_PAGES	256
#define PAUSE_MS	200	/* between one time over all of it and the next */
#define MAX_MIB		65536

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void touch(volatile uint64_t *memory, size_t mib, double seconds, unsigned int ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	double end = now() + seconds;
	size_t i, round = 0;

	do {
		for (i = 0; i < mib * MIB_PAGES; i++)
			memory[i * (PAGE / sizeof(*memory))]++;
		if (!round++)
			printf("toucher: touches %zu MiB\n", mib);
		nanosleep(&pause, NULL);
	} while (seconds == 0 || now() < end);
}

static int phase(const char *text, size_t *mib, double *seconds, unsigned int *ms)
{
	int end = 0, more = 0;

	*ms = PAUSE_MS;
	if (sscanf(text, "%zu:%lf%n", mib, seconds, &end) != 2)
		return 0;
	if (text[end] && sscanf(text + end, ":%u%n", ms, &more) != 1)
		return 0;
	return !text[end + more] && *mib <= MAX_MIB && *seconds >= 0;
}

int main(int argc, char **argv)
{
	size_t mib, most = 1;
	unsigned int ms;
	double seconds;
	void *memory;
	int i;

	for (i = 1; i < argc; i++) {
		if (!phase(argv[i], &mib, &seconds, &ms)) {
			fprintf(stderr, "toucher: \"%s\" is not MIB:SECONDS[:PAUSE]\n", argv[i]);
			return 2;
		}
		if (mib > most)
			most = mib;
	}
	if (argc < 2) {
		fprintf(stderr, "usage: toucher MIB:SECONDS[:PAUSE]...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = mmap(NULL, most << 20, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("toucher: mmap");
		return 1;
	}
	/* As the paper's guests did: in pages of 4 KiB. */
	madvise(memory, most << 20, MADV_NOHUGEPAGE);
	for (i = 1; i < argc; i++) {
		phase(argv[i], &mib, &seconds, &ms);
		touch(memory, mib, seconds, ms);
	}
	return 0;
}
