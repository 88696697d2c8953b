// SPDX-License-Identifier: GPL-2.0
/*
 * A guest touches all of its memory for the first time, and then reads it at random: on
 * kvm-mrm's large and small frames, on anonymous memory with and without THP, and on
 * hugetlbfs, on one kernel, in turns.  Reports, and asserts nothing.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"
#define KVM_STATS	"/sys/kernel/debug/kvm"
#define MAX_REPEATS	20
#define PAGES_PER_MIB	(MiB / PAGE_SIZE)
#define LARGE_PAGES	(HUGE_SIZE / PAGE_SIZE)
#define RANDOM_CODE	512	/* bytes that guest_random() fits into */
#define ROUNDS		5	/* of reads; the fastest counts: others found the machine busy */
#define SPIN		2000000	/* steps of the loop that tells how busy it is */

enum system { MRM_LARGE, MRM_SMALL, ANON_THP, ANON, HUGETLB, SYSTEMS };

static const char *const system_name[SYSTEMS] = {
	"kvm-mrm, 2 MiB", "kvm-mrm, 4 KiB", "THP", "without THP", "hugetlbfs",
};

/**
 * enum metric - what is measured in each run
 */
enum metric {
	TOUCH_RATE, TOUCH_CPU, TOUCH_FAULTS, TOUCH_EXITS, RANDOM_RATE, RANDOM_CPU, RANDOM_FAULTS,
	RANDOM_EXITS, MAPPED, METRICS,
};

static const struct {
	const char *words, *ratio;
} metrics[METRICS] = {
	[TOUCH_RATE] = { "first touch, pages a second", "first_touch_speedup" },
	[TOUCH_CPU] = { "  the same for each CPU second", "first_touch_per_cpu_s" },
	[TOUCH_FAULTS] = { "  nested page faults", "first_touch_violations" },
	[TOUCH_EXITS] = { "  exits of the guest", NULL },
	[RANDOM_RATE] = { "random reads a second", "random_speedup" },
	[RANDOM_CPU] = { "  the same for each CPU second", "random_per_cpu_s" },
	[RANDOM_FAULTS] = { "  nested page faults", NULL },
	[RANDOM_EXITS] = { "  exits of the guest", NULL },
	[MAPPED] = { "mapped by 2 MiB in the end, %", NULL },
};

/**
 * struct cost - of what a guest did; shared with the VM's process
 * @s: time
 * @cpu_s: processor time of the VM's process, the guest's among it
 */
struct cost {
	double s, cpu_s;
};

/**
 * struct stats - what KVM has counted for a VM
 * @faults: nested page faults
 * @exits: from the guest
 * @large: mappings of 2 MiB that there are now
 */
struct stats {
	long faults, exits, large;
};

static unsigned int repeats = 5;
static size_t pages = 128 * PAGES_PER_MIB;
static unsigned long reads = 400000;
static double results[SYSTEMS][METRICS][MAX_REPEATS];
static double spins[SYSTEMS * MAX_REPEATS];
static unsigned int nr_spins;
static struct cost *cost;
static struct vm_process vm;
static double began;

static double clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void progress(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%4.0f s  ", clock_s(CLOCK_MONOTONIC) - began);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The same work each time: it takes longer while the machine has other work. */
static void spin(void)
{
	double s = clock_s(CLOCK_MONOTONIC);
	volatile uint64_t sink;
	uint64_t x = 0;
	int i;

	for (i = 0; i < SPIN; i++)
		x = pattern_mix(x + i);
	sink = x;
	(void)sink;
	spins[nr_spins++] = clock_s(CLOCK_MONOTONIC) - s;
}

static void must(bool done, const char *what)
{
	if (!done)
		tap_bail("%s", what);
}

/*
 * Runs in the guest, instead of guest_main(), and is copied there: it must call nothing.  Each
 * read waits for the one before it, so that a processor cannot have their page walks at once.
 */
__attribute__((noinline, noreturn))
static void guest_random(struct guest_area *area)
{
	for (;;) {
		uint64_t i, page, seed;

		__asm__ volatile("outb %%al, %0" : : "i"(GUEST_PORT), "a"(0) : "memory");
		seed = area->work.seed;
		for (i = 0; i < area->work.count; i++) {
			seed = seed * 6364136223846793005UL + 1442695040888963407UL;
			page = (seed >> 32) * area->work.pages >> 32;
			/* It holds 0. */
			seed += *(volatile uint64_t *)(GUEST_RAM + page * PAGE_SIZE +
						       page % PAGE_WORDS * sizeof(uint64_t));
		}
	}
}

/* In the VM's process. */
static long timed(struct vm *v, const struct guest_work *work)
{
	double s = clock_s(CLOCK_MONOTONIC), cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	long err = vm_guest(v, 0, work);

	cost->cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
	cost->s = clock_s(CLOCK_MONOTONIC) - s;
	return err;
}

static long touch_all(struct vm *v, void *unused)
{
	struct guest_work work = { .command = GUEST_TOUCH, .count = v->config.pages };

	(void)unused;
	return timed(v, &work);
}

static long read_at_random(struct vm *v, void *count)
{
	struct guest_work work = {
		.count = *(unsigned long *)count, .pages = v->config.pages, .seed = 1,
	};
	struct cost best = {};
	long err;
	int i;

	memcpy(v->control + GUEST_CODE, (const void *)guest_random, RANDOM_CODE);
	err = vm_reset_vcpu(v, 0);
	for (i = 0; i < ROUNDS && !err; i++) {
		err = timed(v, &work);
		if (!i || cost->s < best.s)
			best = *cost;
	}
	*cost = best;
	return err;
}

static long stat_of(const char *dir, const char *name)
{
	char path[300], text[MRM_TEXT];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return file_read(path, text, sizeof(text)) > 0 ? atol(text) : 0;
}

static struct stats stats_now(void)
{
	struct stats s = {};
	char pattern[64];
	glob_t found;

	/* The process, and the file descriptor of its VM. */
	snprintf(pattern, sizeof(pattern), KVM_STATS "/%d-*", vm.pid);
	must(!glob(pattern, 0, NULL, &found), "KVM has no statistics in debugfs");
	s.faults = stat_of(found.gl_pathv[0], "pf_taken");
	s.exits = stat_of(found.gl_pathv[0], "exits");
	s.large = stat_of(found.gl_pathv[0], "pages_2m");
	globfree(&found);
	return s;
}

static void set_huge_pages(size_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", n);
	must(!file_write(HUGE_PAGES, text) && file_read(HUGE_PAGES, text, sizeof(text)) > 0 &&
	     strtoul(text, NULL, 10) == n, "the host has not so many huge pages");
}

static void prepare(enum system s)
{
	must(!file_write(THP, s == MRM_LARGE || s == ANON_THP ? "always" : "never"),
	     "no THP setting");
	switch (s) {
	case MRM_LARGE:
	case MRM_SMALL:
		must(!mrm_load(), "the module is not loaded");
		mrm_tune();
		must(!mrm_set_number("alloc_guest_large_page", s == MRM_LARGE),
		     "no alloc_guest_large_page");
		break;
	case HUGETLB:
		set_huge_pages(pages / LARGE_PAGES);
		break;
	default:
		break;
	}
}

static void finish(enum system s)
{
	if (s == MRM_LARGE || s == MRM_SMALL)
		must(mrm_unload_wait(MRM_LONG), "the module is not unloaded");
	if (s == HUGETLB)
		set_huge_pages(0);
}

static void run(enum system s, unsigned int n)
{
	const struct vm_config config = {
		.pages = pages, .backing = s == HUGETLB ? VM_HUGETLB : VM_ANON,
	};
	struct stats start, touched, end;
	double out[METRICS];
	unsigned int i;

	spin();
	prepare(s);
	process_start(&vm, &config);
	start = stats_now();
	must(!process_call(&vm, touch_all, NULL, 0), "the guest does not touch its memory");
	touched = stats_now();
	out[TOUCH_RATE] = pages / cost->s;
	out[TOUCH_CPU] = pages / cost->cpu_s;
	must(!process_call(&vm, read_at_random, &reads, sizeof(reads)), "the guest does not read");
	end = stats_now();
	out[RANDOM_RATE] = reads / cost->s;
	out[RANDOM_CPU] = reads / cost->cpu_s;
	out[TOUCH_FAULTS] = touched.faults - start.faults;
	out[TOUCH_EXITS] = touched.exits - start.exits;
	out[RANDOM_FAULTS] = end.faults - touched.faults;
	out[RANDOM_EXITS] = end.exits - touched.exits;
	out[MAPPED] = 100.0 * end.large * LARGE_PAGES / pages;
	process_stop(&vm);
	finish(s);
	for (i = 0; i < METRICS; i++)
		results[s][i][n] = out[i];
	progress("%s, %u of %u: %.0f pages/s touched, %.0f faults; %.0f reads/s", system_name[s],
		 n + 1, repeats, out[TOUCH_RATE], out[TOUCH_FAULTS], out[RANDOM_RATE]);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread {
	double median, min, max;
};

static struct spread spread(const double values[MAX_REPEATS])
{
	double all[MAX_REPEATS];

	memcpy(all, values, sizeof(all));
	qsort(all, repeats, sizeof(all[0]), by_value);
	return (struct spread){
		(all[(repeats - 1) / 2] + all[repeats / 2]) / 2, all[0], all[repeats - 1]
	};
}

static void print_table(void)
{
	int s, m;

	printf("\n%-34s", "median (min-max)");
	for (s = 0; s < SYSTEMS; s++)
		printf("  %28s", system_name[s]);
	putchar('\n');
	for (m = 0; m < METRICS; m++) {
		printf("%-34s", metrics[m].words);
		for (s = 0; s < SYSTEMS; s++) {
			struct spread v = spread(results[s][m]);
			char text[64];

			snprintf(text, sizeof(text), "%.0f (%.0f-%.0f)", v.median, v.min, v.max);
			printf("  %28s", text);
		}
		putchar('\n');
	}
}

/* Ours over theirs, and the spread of that over the turns. */
static void compare(const char *name, enum system ours, enum system theirs, enum metric m)
{
	double ratio[MAX_REPEATS] = {};
	struct spread of_turns;
	unsigned int i;

	for (i = 0; i < repeats; i++)
		ratio[i] = results[ours][m][i] / results[theirs][m][i];
	of_turns = spread(ratio);
	printf("ratio %s_%s %.3f (%.3f-%.3f)\n", name, metrics[m].ratio,
	       spread(results[ours][m]).median / spread(results[theirs][m]).median, of_turns.min,
	       of_turns.max);
}

static void print_ratios(void)
{
	static const struct {
		const char *name;
		enum system ours, theirs;
	} pairs[] = {
		{ "large_vs_thp", MRM_LARGE, ANON_THP },
		{ "large_vs_hugetlb", MRM_LARGE, HUGETLB },
		{ "large_vs_small", MRM_LARGE, MRM_SMALL },
		{ "small_vs_anon", MRM_SMALL, ANON },
	};
	size_t i;
	int m;

	putchar('\n');
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (m = 0; m < METRICS; m++)
			if (metrics[m].ratio)
				compare(pairs[i].name, pairs[i].ours, pairs[i].theirs, m);
}

static void print_noise(void)
{
	double slow;

	qsort(spins, nr_spins, sizeof(spins[0]), by_value);
	slow = spins[nr_spins / 2] / spins[0];
	printf("the same loop, timed before each run, took %.2f times its best (median)%s\n", slow,
	       slow < 1.2 ? "" : ":\nthe machine had other work, do not trust the times");
}

static void describe(void)
{
	struct utsname u;

	uname(&u);
	printf("kernel %s, %ld processors%s\n", u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       vm_emulated() ? ", emulated (TCG): times are no machine's, ratios may shift" : "");
	printf("a guest of %zu MiB writes a word of each page, in order, and then reads %lu words\n"
	       "at random, one after the other; the fastest of %d such rounds counts.  Its own page\n"
	       "tables map 2 MiB.  Sharing and sampling are off; CPU time is that of the VM's process\n",
	       pages / PAGES_PER_MIB, reads, ROUNDS);
	fflush(stdout);
}

static void print_help(FILE *to)
{
	fprintf(to,
		"usage: large_bench [OPTION]...\n"
		"\n"
		"The same guest on kvm-mrm's frames of 2 MiB and of 4 KiB, on anonymous memory\n"
		"with and without THP and on hugetlbfs, in turns; ends with lines\n"
		"\"ratio NAME VALUE\", ours over theirs.  MRM_KO names the module.\n"
		"\n"
		"  --repeat N   repetitions (default: 5)\n"
		"  --mib N      RAM of the guest, even, up to 256 (default: 128)\n"
		"  --reads N    words to read at random in a round (default: 400000)\n");
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "repeat", required_argument, NULL, 'n' },
		{ "mib", required_argument, NULL, 'm' },
		{ "reads", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case 'n':
			repeats = setting_option(optarg, 1, MAX_REPEATS);
			break;
		case 'm':
			pages = setting_option(optarg, 2, GUEST_MAX_PAGES / PAGES_PER_MIB) *
				PAGES_PER_MIB;
			if (pages % LARGE_PAGES) {
				print_help(stderr);
				exit(2);
			}
			break;
		case 'r':
			reads = setting_option(optarg, 1, 1000000000);
			break;
		case 'h':
			print_help(stdout);
			exit(0);
		default:
			print_help(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		print_help(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned int n;
	int i;

	parse(argc, argv);
	began = clock_s(CLOCK_MONOTONIC);
	cost = mmap(NULL, sizeof(*cost), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(cost != MAP_FAILED, "no memory");
	describe();
	/* Who goes first changes. */
	for (n = 0; n < repeats; n++)
		for (i = 0; i < SYSTEMS; i++)
			run(n % 2 ? SYSTEMS - 1 - i : i, n);
	print_table();
	print_noise();
	print_ratios();
	return 0;
}
