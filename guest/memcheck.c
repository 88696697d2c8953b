// SPDX-License-Identifier: GPL-2.0
/*
 * memcheck - memory with known contents that is verified for ever
 *
 * A part of the pages are zero, a part equal to pages of every guest that runs
 * this, a part equal within this one only, and half are unique.  After every
 * pass some are overwritten, a word or all of it, so that what is shared is
 * broken, and becomes equal to others again.  A line is printed for each pass
 * and for every page that is not what was written last.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define PAGES_PER_MIB	(1UL << 8)
/* What the guest's kernel and shell need while all else is touched. */
#define SPARE_MIB	24

static void explain(void)
{
	fputs("usage: memcheck [-s SEED] [-w PER_MILLE] [-c MIB | -f] [-i MS] [-t] MIB\n"
	      "\n"
	      "Fill MIB MiB with known contents and verify them for ever.\n"
	      "\n"
	      "  -s SEED       what makes this guest's pages its own (default: 1)\n"
	      "  -w PER_MILLE  part of the pages to overwrite in each pass (default: 50)\n"
	      "  -c MIB        besides, allocate, fill, verify and free so much in each pass\n"
	      "  -f            the same with a quarter of what is free, also if it gets more or less\n"
	      "  -i MS         time between two passes (default: 100)\n"
	      "  -t            first touch all memory that is free\n", stderr);
	exit(2);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end)
		explain();
	return n;
}

static void *allocate(unsigned long pages)
{
	void *p = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		printf("memcheck: no memory for %lu pages: %s\n", pages, strerror(errno));
		exit(1);
	}
	/* Overwriting 4 KiB must not cost 2 MiB. */
	madvise(p, pages * PAGE_SIZE, MADV_NOHUGEPAGE);
	return p;
}

static unsigned long free_pages(void)
{
	struct sysinfo info;
	unsigned long pages;

	sysinfo(&info);
	pages = info.freeram / PAGE_SIZE * info.mem_unit;
	return pages > SPARE_MIB * PAGES_PER_MIB ? pages - SPARE_MIB * PAGES_PER_MIB : 0;
}

static void touch_free_memory(void)
{
	unsigned long pages = free_pages();
	void *p;

	if (!pages)
		return;
	p = allocate(pages);
	memset(p, 0x5a, pages * PAGE_SIZE);
	munmap(p, pages * PAGE_SIZE);
	printf("memcheck: touched %lu pages\n", pages);
}

/* The state (see pattern.h) that page @i starts with. */
static uint64_t first_state(unsigned long i, uint32_t seed)
{
	uint32_t own = pattern_mix((uint64_t)seed << 32 | i) | 1;

	switch (i % 8) {
	case 0:
		return 0;
	case 1:
	case 2:
		return 0x1000000 + i / 8;
	case 3:
		return pattern_mix((uint64_t)seed << 32 | i / 64) | 1;
	default:
		return own;
	}
}

static unsigned long verify(const volatile uint64_t *memory, const uint64_t *states,
			    unsigned long pages, const char *what)
{
	unsigned long i, wrong = 0;
	uint32_t word;

	for (i = 0; i < pages; i++) {
		const volatile uint64_t *page = memory + i * PAGE_WORDS;
		struct pattern p;

		word = pattern_check(page, states[i]);
		if (word == PAGE_WORDS)
			continue;
		p = pattern_of(states[i]);
		if (wrong++ < 8)
			printf("memcheck: WRONG at %s page %lu word %u: %#llx, not %#llx\n",
			       what, i, word, (unsigned long long)page[word],
			       (unsigned long long)pattern_word(&p, word));
	}
	return wrong;
}

static void overwrite(volatile uint64_t *memory, uint64_t *states, unsigned long pages,
		      unsigned long n, uint32_t seed, uint64_t *random)
{
	unsigned long i;
	uint32_t word;

	while (n--) {
		volatile uint64_t *page;
		struct pattern p;

		i = pattern_random(random, pages);
		page = memory + i * PAGE_WORDS;
		if (states[i] & POKED) {
			states[i] = first_state(i, seed);
			pattern_fill(page, states[i]);
		} else {
			word = pattern_random(random, PAGE_WORDS);
			states[i] = pattern_poke(states[i], word);
			p = pattern_of(states[i]);
			page[word] = p.poke_value;
		}
	}
}

/* What the balloon driver did, whenever that changed. */
static void report_balloon(void)
{
	static unsigned long long before[3];
	static const char * const names[3] = {
		"balloon_inflate", "balloon_deflate", "balloon_migrate"
	};
	unsigned long long now[3] = { 0 }, value;
	FILE *f = fopen("/proc/vmstat", "r");
	char name[64];
	int i;

	if (!f)
		return;
	while (fscanf(f, "%63s %llu", name, &value) == 2)
		for (i = 0; i < 3; i++)
			if (!strcmp(name, names[i]))
				now[i] = value;
	fclose(f);
	if (!memcmp(now, before, sizeof(now)))
		return;
	memcpy(before, now, sizeof(now));
	printf("memcheck: balloon inflated %llu deflated %llu migrated %llu\n",
	       now[0], now[1], now[2]);
}

static unsigned long churn(unsigned long pages, uint32_t seed)
{
	uint64_t *states = allocate((pages * sizeof(*states) + PAGE_SIZE - 1) / PAGE_SIZE);
	uint64_t *memory = allocate(pages);
	unsigned long i, wrong;

	for (i = 0; i < pages; i++) {
		states[i] = first_state(i, seed);
		pattern_fill(memory + i * PAGE_WORDS, states[i]);
	}
	wrong = verify(memory, states, pages, "churned");
	munmap(memory, pages * PAGE_SIZE);
	munmap(states, pages * sizeof(*states));
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long pages, i, pass, wrong, per_mille = 50, churned = 0, ms = 100;
	uint64_t *memory, *states, random;
	struct timespec pause;
	uint32_t seed = 1;
	int opt, touch = 0, churn_free = 0;

	while ((opt = getopt(argc, argv, "s:w:c:fi:t")) != -1) {
		switch (opt) {
		case 's':
			seed = number(optarg);
			break;
		case 'w':
			per_mille = number(optarg);
			break;
		case 'c':
			churned = number(optarg) * PAGES_PER_MIB;
			break;
		case 'f':
			churn_free = 1;
			break;
		case 'i':
			ms = number(optarg);
			break;
		case 't':
			touch = 1;
			break;
		default:
			explain();
		}
	}
	if (argc - optind != 1)
		explain();
	pages = number(argv[optind]) * PAGES_PER_MIB;
	setvbuf(stdout, NULL, _IOLBF, 0);
	random = seed;
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = ms % 1000 * 1000000;

	if (touch)
		touch_free_memory();
	memory = allocate(pages);
	states = calloc(pages, sizeof(*states));
	if (!states) {
		puts("memcheck: no memory");
		return 1;
	}
	for (i = 0; i < pages; i++) {
		states[i] = first_state(i, seed);
		pattern_fill(memory + i * PAGE_WORDS, states[i]);
	}
	printf("memcheck: filled %lu pages\n", pages);
	for (pass = 1;; pass++) {
		wrong = verify(memory, states, pages, "kept");
		if (churn_free)
			churned = free_pages() / 4;
		if (churned)
			wrong += churn(churned, seed + pass);
		if (wrong) {
			printf("memcheck: WRONG pages in pass %lu: %lu\n", pass, wrong);
			return 1;
		}
		report_balloon();
		printf("memcheck: pass %lu ok\n", pass);
		overwrite(memory, states, pages, pages * per_mille / 1000, seed, &random);
		nanosleep(&pause, NULL);
	}
}
