// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's memory is taken, and it touches all of it again: by the module, zipped and
 * swapped, and by the kernel, with zram, zswap and swap, on one kernel and one disk, in
 * turns.  Reports, and asserts nothing but that no byte is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define CGROUP		"/sys/fs/cgroup/mrm-bench"
#define ZSWAP		"/sys/module/zswap/parameters/"
#define ZRAM		"/sys/block/zram0/"
#define PAGE_CLUSTER	"/proc/sys/vm/page-cluster"
#define SCRATCH		"/dev/disk/by-id/virtio-scratch"
#define MAX_REPEATS	20
#define ENOUGH		95	/* per cent of the guest: then all was taken */
#define TAKE_MS		120000
#define SETTLE_MS	20	/* of which nothing is taken in, then it is all done */

enum system { MRM_ZIP, ZRAM_SWAP, ZSWAP_SWAP, MRM_SWAP, KERNEL_SWAP, KERNEL_SINGLE, SYSTEMS };

static const char *const system_name[SYSTEMS] = {
	"kvm-mrm zip", "zram", "zswap", "kvm-mrm swap", "kernel's swap", "no read-ahead",
};

/**
 * enum metric - what is measured in each run
 */
enum metric {
	TAKEN, TAKE_S, PER_CPU_S, USER_MEDIAN, USER_P99, USER_MEAN, GUEST_MEDIAN, GUEST_P99,
	GUEST_MEAN, METRICS,
};

static const char *const metric_words[METRICS] = {
	[TAKEN] = "taken, % of the guest",
	[TAKE_S] = "in s",
	[PER_CPU_S] = "pages taken per CPU second",
	[USER_MEDIAN] = "user space reads a page, median, us",
	[USER_P99] = "the same, 99th percentile, us",
	[USER_MEAN] = "the same, mean, us",
	[GUEST_MEDIAN] = "the guest reads a page, median, us",
	[GUEST_P99] = "the same, 99th percentile, us",
	[GUEST_MEAN] = "the same, mean, us",
};

static unsigned int repeats = 5;
static size_t pages = 16384;
static const char *algorithm = "lz4";
static double results[SYSTEMS][METRICS][MAX_REPEATS];
static uint32_t *latency;		/* ns of each page, shared with the VM */
static struct vm_process vm;
static bool wrong;
static double began;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void progress(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%4.0f s  ", now_s() - began);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void must(bool done, const char *what)
{
	if (!done)
		tap_bail("%s", what);
}

static bool is_ours(enum system s)
{
	return s == MRM_ZIP || s == MRM_SWAP;
}

/* What a guest holds can be compressed where that is what is compared. */
static bool is_zipped(enum system s)
{
	return s < MRM_SWAP;
}

/* Seconds for which all processors were idle, together. */
static double idle_s(void)
{
	char text[MRM_TEXT];
	double idle = NAN;

	if (file_read("/proc/uptime", text, sizeof(text)) > 0)
		sscanf(text, "%*f %lf", &idle);
	return idle;
}

/* The number in a file, behind a word if there is one. */
static long number_in(const char *path, const char *word)
{
	static char text[1 << 16];
	char *at = text;

	if (file_read(path, text, sizeof(text)) < 0)
		return 0;
	if (word)
		at = strstr(text, word);
	return at ? atol(at + (word ? strlen(word) : 0)) : 0;
}

/* Pages in swap, and not in memory as well. */
static long swapped_by_kernel(void)
{
	return (number_in(CGROUP "/memory.swap.current", NULL) -
		number_in(CGROUP "/memory.stat", "\nswapcached ")) / (long)PAGE_SIZE;
}

static long taken(enum system s)
{
	return is_ours(s) ? mrm_vm_get(vm.pid, "zipped_pages") +
			    mrm_vm_get(vm.pid, "swapped_pages") : swapped_by_kernel();
}

static void take_some(enum system s, long left)
{
	char text[32];

	if (is_ours(s)) {
		mrm_vm_reclaim(vm.pid, left * PAGE_SIZE);
		return;
	}
	snprintf(text, sizeof(text), "%lu", left * PAGE_SIZE);
	/* -EAGAIN: not all of it. */
	file_write(CGROUP "/memory.reclaim", text);
}

/* What is being written ends. */
static void settle(enum system s)
{
	long before;

	do {
		before = is_ours(s) ? taken(s) : 0;
		usleep(SETTLE_MS * 1000);
	} while ((is_ours(s) ? taken(s) : number_in("/proc/vmstat", "\nnr_writeback ")) != before);
}

/* Take all there is, as far as that goes. */
static void take(enum system s, double out[METRICS])
{
	long enough = pages * ENOUGH / 100, end = now_ms() + TAKE_MS, had = 0;
	double start = now_s(), idle = idle_s(), busy;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	while (had < enough && now_ms() < end) {
		take_some(s, pages - had);
		settle(s);
		had = taken(s);
	}
	out[TAKE_S] = now_s() - start;
	busy = out[TAKE_S] * processors - (idle_s() - idle);
	out[TAKEN] = 100.0 * had / pages;
	out[PER_CPU_S] = had / busy;
}

/* In the VM's process: read each page once, in an order that is nobody's. */
static long read_all(struct vm *v, void *arg)
{
	bool by_guest = *(bool *)arg;
	size_t i, page, stride = 1597;	/* odd: it comes by every page of a power of two */
	struct timespec a, b;
	long err = 0;

	for (i = 0; i < v->config.pages && !err; i++) {
		struct guest_work work = { .command = GUEST_READ, .count = 1 };

		page = i * stride % v->config.pages;
		work.first = page;
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (by_guest)
			err = vm_guest(v, 0, &work);
		else
			*(volatile uint8_t *)vm_page(v, page);
		clock_gettime(CLOCK_MONOTONIC, &b);
		latency[i] = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
	}
	return err;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void touch(bool by_guest, double out[METRICS])
{
	enum metric median = by_guest ? GUEST_MEDIAN : USER_MEDIAN;
	double sum = 0;
	size_t i;

	must(!process_call(&vm, read_all, &by_guest, sizeof(by_guest)), "the guest does not read");
	for (i = 0; i < pages; i++)
		sum += latency[i];
	qsort(latency, pages, sizeof(*latency), by_number);
	out[median] = latency[pages / 2] / 1e3;
	out[median + 1] = latency[pages * 99 / 100] / 1e3;
	out[median + 2] = sum / pages / 1e3;
}

static void run_command(const char *command)
{
	if (system(command))
		tap_bail("%s", command);
}

static void set_zswap(bool on)
{
	if (access(ZSWAP "enabled", F_OK)) {
		must(!on, "this kernel has no zswap");
		return;
	}
	if (on)
		must(!file_write(ZSWAP "compressor", algorithm), "zswap: no such algorithm");
	must(!file_write(ZSWAP "enabled", on ? "Y" : "N"), "zswap is not switched");
}

static void prepare(enum system s)
{
	char text[64];

	switch (s) {
	case MRM_ZIP:
	case MRM_SWAP:
		must(!mrm_load(), "the module is not loaded");
		mrm_tune();
		mrm_set("zip_max", s == MRM_ZIP ? "50" : "0");
		mrm_set("zip_algorithm", algorithm);
		break;
	case ZRAM_SWAP:
		run_command("modprobe zram num_devices=1");
		must(!file_write(ZRAM "comp_algorithm", algorithm), "zram: no such algorithm");
		snprintf(text, sizeof(text), "%zu", 2 * pages * PAGE_SIZE);
		must(!file_write(ZRAM "disksize", text), "zram has no size");
		run_command("mkswap /dev/zram0 >/dev/null && swapon /dev/zram0");
		break;
	default:
		set_zswap(s == ZSWAP_SWAP);
		/* One page at a time, as we do while neighbours do not pay off. */
		must(!file_write(PAGE_CLUSTER, s == KERNEL_SINGLE ? "0" : "3"), "no page-cluster");
		run_command("mkswap -f " SCRATCH " >/dev/null 2>&1 && swapon " SCRATCH);
	}
}

static void finish(enum system s)
{
	switch (s) {
	case MRM_ZIP:
	case MRM_SWAP:
		must(mrm_unload_wait(MRM_LONG), "the module is not unloaded");
		break;
	case ZRAM_SWAP:
		run_command("swapoff /dev/zram0");
		file_write(ZRAM "reset", "1");
		run_command("rmmod zram");
		break;
	default:
		run_command("swapoff " SCRATCH);
		set_zswap(false);
	}
}

/* The guest in a cgroup, full of pages that are like no others. */
static void start(enum system s)
{
	const struct vm_config config = { .pages = pages };
	char text[32];
	size_t i;

	process_start(&vm, &config);
	snprintf(text, sizeof(text), "%d", vm.pid);
	must(!file_write(CGROUP "/cgroup.procs", text), "it cannot be put into a cgroup");
	if (is_ours(s))
		mrm_vm_set(vm.pid, "share", "0");
	if (s == MRM_SWAP)
		must(!disk_hand_over(SCRATCH, vm.pid), "no swap file");
	for (i = 0; i < pages; i++)
		vm.states[i] = is_zipped(s) ? (1 + i) | THIN : 1 + i;
	must(!process_guest(&vm, GUEST_FILL, 0, pages), "the guest cannot fill its memory");
}

static void run(enum system s, unsigned int n)
{
	double out[METRICS], again[METRICS];
	unsigned int i;

	for (i = 0; i < METRICS; i++)
		out[i] = NAN;
	prepare(s);
	start(s);
	take(s, out);
	touch(false, out);
	take(s, again);
	touch(true, out);
	out[PER_CPU_S] = (out[PER_CPU_S] + again[PER_CPU_S]) / 2;
	if (!process_verify(&vm)) {
		wrong = true;
		progress("%s: WRONG CONTENTS", system_name[s]);
	}
	process_stop(&vm);
	finish(s);
	for (i = 0; i < METRICS; i++)
		results[s][i][n] = out[i];
	progress("%s, %u of %u: %.0f %% taken in %.2f s, %.0f pages/CPU s; read in %.1f us",
		 system_name[s], n + 1, repeats, out[TAKEN], out[TAKE_S], out[PER_CPU_S],
		 out[USER_MEDIAN]);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread {
	double median, min, max;
};

static struct spread spread(enum system s, enum metric m)
{
	double all[MAX_REPEATS];

	memcpy(all, results[s][m], sizeof(all));
	qsort(all, repeats, sizeof(all[0]), by_value);
	return (struct spread){
		(all[(repeats - 1) / 2] + all[repeats / 2]) / 2, all[0], all[repeats - 1]
	};
}

static void print_table(void)
{
	int s, m;

	printf("\n%-38s", "median (min-max)");
	for (s = 0; s < SYSTEMS; s++)
		printf("  %22s", system_name[s]);
	putchar('\n');
	for (m = 0; m < METRICS; m++) {
		printf("%-38s", metric_words[m]);
		for (s = 0; s < SYSTEMS; s++) {
			struct spread v = spread(s, m);
			int digits = v.max < 10 ? 2 : v.max < 1000 ? 1 : 0;
			char text[64];

			snprintf(text, sizeof(text), "%.*f (%.*f-%.*f)", digits, v.median, digits,
				 v.min, digits, v.max);
			printf("  %22s", text);
		}
		putchar('\n');
	}
}

/* Ours over theirs, and the spread of that over the turns. */
static void compare(const char *name, enum system ours, enum system theirs, enum metric m)
{
	double ratio[MAX_REPEATS];
	unsigned int i;

	for (i = 0; i < repeats; i++)
		ratio[i] = results[ours][m][i] / results[theirs][m][i];
	qsort(ratio, repeats, sizeof(ratio[0]), by_value);
	printf("ratio %s %.3f (%.3f-%.3f)\n", name,
	       spread(ours, m).median / spread(theirs, m).median, ratio[0], ratio[repeats - 1]);
}

static void print_ratios(void)
{
	static const struct {
		const char *name;
		enum system ours, theirs;
	} pairs[] = {
		{ "zip_vs_zram", MRM_ZIP, ZRAM_SWAP },
		{ "zip_vs_zswap", MRM_ZIP, ZSWAP_SWAP },
		{ "swap_vs_kernel", MRM_SWAP, KERNEL_SWAP },
		{ "swap_vs_kernel_single", MRM_SWAP, KERNEL_SINGLE },
	};
	char name[64];
	size_t i;
	int m;

	putchar('\n');
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		for (m = PER_CPU_S; m < METRICS; m++) {
			static const char *const of[METRICS] = {
				[PER_CPU_S] = "pages_per_cpu_s", [USER_MEDIAN] = "user_median",
				[USER_P99] = "user_p99", [USER_MEAN] = "user_mean",
				[GUEST_MEDIAN] = "guest_median", [GUEST_P99] = "guest_p99",
				[GUEST_MEAN] = "guest_mean",
			};

			snprintf(name, sizeof(name), "%s_%s", pairs[i].name, of[m]);
			compare(name, pairs[i].ours, pairs[i].theirs, m);
		}
	}
}

static void describe(void)
{
	struct utsname u;

	uname(&u);
	printf("kernel %s, %ld processors%s\n", u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       vm_emulated() ? ", emulated (TCG): times are no machine's, ratios may shift" : "");
	printf("a guest of %zu MiB; where it is compressed, by %s, three quarters of each page\n"
	       "are zero, elsewhere nothing is; read in an order without neighbours; the kernel's\n"
	       "page-cluster is 3, without read-ahead 0\n", pages / 256, algorithm);
	printf("taken by memory.reclaim of its cgroup, and by reclaim in the module's debugfs;\n"
	       "CPU time is that of the whole host, which does nothing else\n");
	fflush(stdout);
}

static void print_help(FILE *to)
{
	fprintf(to,
		"usage: reclaim_bench [OPTION]...\n"
		"\n"
		"The same guest on zram, zswap, the kernel's swap and kvm-mrm, in turns; ends with\n"
		"lines \"ratio NAME VALUE\", ours over theirs.  MRM_KO names the module; swap is on\n"
		SCRATCH ".\n"
		"\n"
		"  --repeat N      repetitions (default: 5)\n"
		"  --mib N         RAM of the guest: 16, 32, 64, 128 or 256 (default: 64)\n"
		"  --algorithm A   lz4 (default) or zstd\n");
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "repeat", required_argument, NULL, 'n' },
		{ "mib", required_argument, NULL, 'm' },
		{ "algorithm", required_argument, NULL, 'a' },
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
			pages = setting_option(optarg, 16, 256) * 256;
			if (pages & (pages - 1)) {
				print_help(stderr);
				exit(2);
			}
			break;
		case 'a':
			algorithm = optarg;
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
	began = now_s();
	latency = mmap(NULL, pages * sizeof(*latency), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(latency != MAP_FAILED, "no memory");
	must(!file_write("/sys/kernel/mm/transparent_hugepage/enabled", "never"), "no THP setting");
	must(!file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory"), "no memory cgroups");
	must(!mkdir(CGROUP, 0755) || errno == EEXIST, "no cgroup");
	describe();
	/* Who goes first changes. */
	for (n = 0; n < repeats; n++)
		for (i = 0; i < SYSTEMS; i++)
			run(n % 2 ? SYSTEMS - 1 - i : i, n);
	rmdir(CGROUP);
	print_table();
	printf("%s\n", wrong ? "WRONG: a guest found pages that are not what it wrote" :
			       "all pages held what was written");
	print_ratios();
	return wrong;
}
