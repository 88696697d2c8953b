// SPDX-License-Identifier: GPL-2.0
/*
 * The same guests with the same contents under KSM and under kvm-mrm, on one
 * kernel, in turns.  Reports, and asserts nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "guests.h"
#include "mrm.h"
#include "profile.h"
#include "scanner.h"
#include "setting.h"
#include "tap.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define POLL_MS		10	/* between looks at the counters */
#define HOLD_MS		500	/* between looks at the rate */
#define PROGRESS_MS	5000
#define SETTLE_MS	2000	/* the guests write, nobody scans */
#define RUN_MS		90000	/* a run is given up */
#define PASSES		10	/* as well */
#define MAX_REPEATS	20
#define FLAT_RUNS	3	/* in each repetition: they are short */
#define SPIN		2000000	/* steps of the loop that tells how busy the machine is */
#define SYSTEMS		3

static const struct scanner *const scanners[SYSTEMS] = { &ksm, &mrm, &ksm_zero };

enum { KSM, MRM, KSM_ZERO };

static const char * const mode_name[MODES] = { "limited", "flat" };

/**
 * enum metric - what is measured in each run
 */
enum metric {
	TIME_90,
	TIME_99,
	CPU_90,
	CPU_END,
	SCANNED_90,
	RATE,
	BUSY,
	END,
	PASSES_END,
	SAVED,
	METADATA,
	WRITE_BEFORE,
	WRITE,
	WRITE_P99,
	READ,
	BREAK,
	METRICS,
};

static const char * const metric_words[METRICS] = {
	[TIME_90] = "time to 90 % of the possible saving, s",
	[TIME_99] = "time to 99 %, s",
	[CPU_90] = "CPU time per saved page at 90 %, us",
	[CPU_END] = "CPU time per saved page at the end, us",
	[SCANNED_90] = "pages scanned until 90 %, per guest page",
	[RATE] = "pages scanned a second, until 90 %",
	[BUSY] = "of a processor used until 90 %, %",
	[END] = "the end: a pass that found nothing new, s",
	[PASSES_END] = "passes until the end",
	[SAVED] = "saved at the end, % of what is possible",
	[METADATA] = "metadata, bytes per scanned page",
	[WRITE_BEFORE] = "guest writes a page, nobody scans, us",
	[WRITE] = "guest writes a page meanwhile, us",
	[WRITE_P99] = "guest writes a page meanwhile, p99, us",
	[READ] = "guest first reads a merged page, us",
	[BREAK] = "guest first writes to a merged page, us",
};

/**
 * struct options - from the command line
 */
static struct options {
	unsigned int guests, repeats;
	size_t pages;
	long rate;
	const char *thp;
	int only;
	bool profile;
} opt = {
	.guests = 4,
	.repeats = 3,
	.pages = 8192,
	.rate = 4000,
	.thp = "never",
	.only = MODES,
};

static double results[MODES][SYSTEMS][METRICS][MAX_REPEATS * FLAT_RUNS];
static unsigned int runs[MODES][SYSTEMS];
static double began;
static double spins[MODES * SYSTEMS * MAX_REPEATS * FLAT_RUNS];
static unsigned int nr_spins;
static bool wrong;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The same work each time: it takes longer while the machine has other work. */
static void spin(void)
{
	volatile uint64_t sink;
	double begun = now_s();
	uint64_t x = 0;
	int i;

	for (i = 0; i < SPIN; i++)
		x = pattern_mix(x + i);
	sink = x;
	(void)sink;
	spins[nr_spins++] = now_s() - begun;
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

/* Sleeps until the next of a series of moments. */
static void wait_tick(int timer)
{
	uint64_t expired;

	while (read(timer, &expired, sizeof(expired)) != sizeof(expired))
		;
}

static int ticks(int ms)
{
	struct itimerspec every = {
		.it_interval.tv_nsec = ms * 1000000L,
		.it_value.tv_nsec = ms * 1000000L,
	};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL))
		tap_bail("no timer: %s", strerror(errno));
	return timer;
}

/**
 * struct pass - what to know about the last pass
 * @number: passes so far
 * @saved: pages saved when it ended
 */
struct pass {
	long number, saved;
};

/* The end: a pass has added less than 1 in 100 of what is possible. */
static bool settled(const struct scanner *s, struct pass *last, const struct scan_counters *c,
		    double t, long possible)
{
	bool end;

	if (c->passes == last->number)
		return false;
	progress("  %s: pass %ld ended after %.2f s, %.1f %% saved", s->name, c->passes, t,
		 100.0 * c->saved / possible);
	s->again();
	end = c->saved * 10 >= possible * 9 && (c->saved - last->saved) * 100 < possible;
	last->number = c->passes;
	last->saved = c->saved;
	return end;
}

static void watch_scanner(const struct scanner *s, struct guests *g, double *out)
{
	struct scan_counters first, c;
	long possible = guests_possible(g);
	int timer = ticks(POLL_MS), n;
	double start, t = 0, held = 0;
	struct pass pass = {};
	long held_scanned = 0;
	bool end = false;

	s->read(&first);
	start = now_s();
	s->start();
	for (n = 1; !end && t * 1000 < RUN_MS && pass.number < PASSES; n++) {
		wait_tick(timer);
		s->read(&c);
		t = now_s() - start;
		c.scanned -= first.scanned;
		c.passes -= first.passes;
		c.cpu_ns -= first.cpu_ns;
		if (isnan(out[TIME_90]) && c.saved * 10 >= possible * 9) {
			out[TIME_90] = t;
			out[CPU_90] = c.cpu_ns / 1000 / c.saved;
			out[SCANNED_90] = (double)c.scanned / guests_total(g);
			out[RATE] = c.scanned / t;
			out[BUSY] = c.cpu_ns / t / 1e9 * 100;
		}
		if (isnan(out[TIME_99]) && c.saved * 100 >= possible * 99)
			out[TIME_99] = t;
		if (n % (HOLD_MS / POLL_MS) == 0) {
			s->hold(t - held, c.scanned - held_scanned);
			held = t;
			held_scanned = c.scanned;
			profile_collect();
		}
		if (n % (PROGRESS_MS / POLL_MS) == 0)
			progress("  %s: %.0f s, %.0f %% saved", s->name, t,
				 100.0 * c.saved / possible);
		end = settled(s, &pass, &c, t, possible);
	}
	close(timer);
	out[END] = end ? t : NAN;
	out[PASSES_END] = c.passes;
	out[SAVED] = 100.0 * c.saved / possible;
	out[CPU_END] = c.saved ? c.cpu_ns / 1000 / c.saved : NAN;
}

/* What it costs the guest that pages were merged; nobody scans or writes. */
static void use_merged(struct guests *g, double read_before, double write_before, double *out)
{
	long merged = guests_shareable(g);

	out[READ] = (guests_time(g, GUEST_READ) - read_before) / merged / 1000;
	out[BREAK] = (guests_time(g, GUEST_TOUCH) - write_before) / merged / 1000;
}

static unsigned int runs_of(enum scan_mode mode)
{
	return mode == FLAT ? opt.repeats * FLAT_RUNS : opt.repeats;
}

static void run(enum scan_mode mode, int system)
{
	const struct scanner *s = scanners[system];
	double out[METRICS], read_before, write_before;
	unsigned int i, n = runs[mode][system];
	struct write_time before, during;
	struct guests g;

	for (i = 0; i < METRICS; i++)
		out[i] = NAN;
	spin();
	s->prepare();
	guests_start(&g, opt.guests, opt.pages);
	s->set(&g, mode, opt.rate);
	read_before = guests_time(&g, GUEST_READ);
	write_before = guests_time(&g, GUEST_TOUCH);
	guests_write(&g);
	usleep(SETTLE_MS * 1000);
	if (opt.profile)
		profile_start(s->thread());
	guests_phase(&g, DURING);
	watch_scanner(s, &g, out);
	out[METADATA] = s->metadata(&g);
	s->stop();
	guests_write_end(&g);
	if (opt.profile) {
		char title[64];

		snprintf(title, sizeof(title), "%s, %s", s->name, mode_name[mode]);
		profile_stop(title);
	}
	before = guests_write_time(&g, BEFORE);
	during = guests_write_time(&g, DURING);
	out[WRITE_BEFORE] = before.median / 1000;
	out[WRITE] = during.median / 1000;
	out[WRITE_P99] = during.p99 / 1000;
	use_merged(&g, read_before, write_before, out);
	guests_verify(&g);
	wrong |= g.wrong;
	guests_stop(&g);
	s->finish();
	for (i = 0; i < METRICS; i++)
		results[mode][system][i][n] = out[i];
	runs[mode][system]++;
	progress("%s, %s, %u of %u: 90 %% in %.2f s, %.1f us of CPU a saved page; %.1f %% saved%s",
		 s->name, mode_name[mode], n + 1, runs_of(mode), out[TIME_90], out[CPU_90],
		 out[SAVED], g.wrong ? ", WRONG CONTENTS" : "");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/**
 * struct spread - of the runs that have a figure
 */
struct spread {
	double median, min, max;
};

static struct spread spread(enum scan_mode mode, int system, enum metric metric)
{
	struct spread s = { NAN, NAN, NAN };
	double all[MAX_REPEATS * FLAT_RUNS];
	unsigned int i, n = 0;

	for (i = 0; i < runs[mode][system]; i++)
		if (!isnan(results[mode][system][metric][i]))
			all[n++] = results[mode][system][metric][i];
	if (!n)
		return s;
	qsort(all, n, sizeof(all[0]), by_value);
	s.median = (all[(n - 1) / 2] + all[n / 2]) / 2;
	s.min = all[0];
	s.max = all[n - 1];
	return s;
}

static void print_spread(struct spread s)
{
	int digits = fabs(s.max) < 10 ? 2 : fabs(s.max) < 1000 ? 1 : 0;
	char text[64];

	if (isnan(s.median))
		snprintf(text, sizeof(text), "-");
	else
		snprintf(text, sizeof(text), "%.*f (%.*f-%.*f)", digits, s.median, digits, s.min,
			 digits, s.max);
	printf("  %22s", text);
}

static void print_table(enum scan_mode mode)
{
	unsigned int metric;
	int system;

	if (mode == LIMITED)
		printf("\nlimited: %ld pages a second for each, no limit of CPU time, %u runs\n",
		       opt.rate, runs_of(mode));
	else
		printf("\nflat: each as fast as it can, %u runs\n", runs_of(mode));
	printf("%-42s", "median (min-max)");
	for (system = 0; system < SYSTEMS; system++)
		if (runs[mode][system])
			printf("  %22s", scanners[system]->name);
	putchar('\n');
	for (metric = 0; metric < METRICS; metric++) {
		printf("%-42s", metric_words[metric]);
		for (system = 0; system < SYSTEMS; system++)
			if (runs[mode][system])
				print_spread(spread(mode, system, metric));
		putchar('\n');
	}
}

static void compare(const char *name, enum scan_mode mode, int other, enum metric metric)
{
	double ours = spread(mode, MRM, metric).median;
	double theirs = spread(mode, other, metric).median;

	if (!isnan(ours) && theirs > 0)
		printf("ratio %s_%s%s %.3f\n", name, mode_name[mode],
		       other == KSM_ZERO ? "_vs_use_zero_pages" : "", ours / theirs);
}

static void print_ratios(void)
{
	int mode;

	putchar('\n');
	for (mode = 0; mode < MODES; mode++) {
		compare("share_cpu_per_saved_page", mode, KSM, CPU_90);
		compare("share_cpu_per_saved_page_at_end", mode, KSM, CPU_END);
		compare("share_time_to_90", mode, KSM, TIME_90);
		compare("share_time_to_99", mode, KSM, TIME_99);
		compare("share_scanned_to_90", mode, KSM, SCANNED_90);
		compare("share_guest_write", mode, KSM, WRITE);
		compare("share_first_read", mode, KSM, READ);
		compare("share_first_write", mode, KSM, BREAK);
	}
	compare("share_cpu_per_saved_page", FLAT, KSM_ZERO, CPU_90);
	compare("share_time_to_90", FLAT, KSM_ZERO, TIME_90);
	mode = opt.only == LIMITED ? LIMITED : FLAT;
	printf("ratio share_metadata_bytes_per_page %.3f\n",
	       spread(mode, MRM, METADATA).median / spread(mode, KSM, METADATA).median);
}

static void describe(void)
{
	struct guests g = { .count = opt.guests, .pages = opt.pages };
	char cpuinfo[MRM_TEXT * 16] = "", *model;
	struct utsname u;

	uname(&u);
	file_read("/proc/cpuinfo", cpuinfo, sizeof(cpuinfo));
	model = strstr(cpuinfo, "model name");
	model = model ? strchr(model, ':') : NULL;
	if (model)
		model[strcspn(model, "\n")] = '\0';
	printf("kernel %s, %ld processors%s\n", u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       model ? model : "");
	printf("%u guests of %zu MiB: %d/32 equal, %d/32 duplicates, %d/32 zero, %d/32 unique,\n"
	       "%d/32 rewritten every %d ms; %ld of %ld pages can be saved\n", opt.guests,
	       opt.pages / 256, EQUAL_PARTS, DUPLICATE_PARTS, ZERO_PARTS,
	       PARTS - EQUAL_PARTS - DUPLICATE_PARTS - ZERO_PARTS - VOLATILE_PARTS, VOLATILE_PARTS,
	       REWRITE_MS, guests_possible(&g), guests_total(&g));
	printf("transparent huge pages: %s; counters read every %d ms; %u repetitions, in turns\n",
	       opt.thp, POLL_MS, opt.repeats);
	if (opt.profile)
		printf("with profiles, whose sampling costs CPU time\n");
	ksm_describe();
	if (strstr(cpuinfo, "TCG"))
		printf("The processor is emulated (TCG): times are no machine's.  Loops over\n"
		       "memory (hash, compare), walks of page tables, faults and TLB flushes cost other\n"
		       "parts of the whole on a real one, so ratios of CPU time, of flat-out time\n"
		       "and of what guests pay may shift.  Pages scanned and metadata do not.\n");
	fflush(stdout);
}

static void print_help(FILE *to)
{
	fprintf(to,
		"usage: share_bench [OPTION]...\n"
		"\n"
		"KSM and kvm-mrm over the same guests, in turns; ends with lines\n"
		"\"ratio NAME VALUE\", ours over KSM's.  MRM_KO names the module.\n"
		"\n"
		"  --quick      one repetition, smaller guests (3 minutes)\n"
		"  --repeat N   repetitions (default: 3)\n"
		"  --guests N   guests, 2 to %d (default: 4)\n"
		"  --mib N      RAM of each, a multiple of 4 up to 256 (default: 32)\n"
		"  --rate N     pages a second where both are limited (default: 4000)\n"
		"  --thp MODE   transparent huge pages: always, madvise, never (default)\n"
		"  --mode MODE  only limited, or only flat\n"
		"  --profile    sample where the scanners spend their time; costs some\n",
		MAX_GUESTS);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "repeat", required_argument, NULL, 'n' },
		{ "guests", required_argument, NULL, 'g' },
		{ "mib", required_argument, NULL, 'm' },
		{ "rate", required_argument, NULL, 'r' },
		{ "thp", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'o' },
		{ "profile", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case 'q':
			opt.repeats = 1;
			opt.pages = 4096;
			break;
		case 'n':
			opt.repeats = setting_option(optarg, 1, MAX_REPEATS);
			break;
		case 'g':
			opt.guests = setting_option(optarg, 2, MAX_GUESTS);
			break;
		case 'm':
			opt.pages = setting_option(optarg, 4, 256) / 4 * 1024;
			break;
		case 'r':
			opt.rate = setting_option(optarg, 100, 1000000);
			break;
		case 't':
			opt.thp = optarg;
			break;
		case 'o':
			for (opt.only = 0; opt.only < MODES; opt.only++)
				if (!strcmp(optarg, mode_name[opt.only]))
					break;
			if (opt.only == MODES) {
				print_help(stderr);
				exit(2);
			}
			break;
		case 'p':
			opt.profile = true;
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

static void print_load(void)
{
	double slow;

	qsort(spins, nr_spins, sizeof(spins[0]), by_value);
	slow = spins[nr_spins / 2] / spins[0];
	printf("the same loop, timed before each run, took %.2f times its best (median)%s\n", slow,
	       slow < 1.2 ? "" : ":\nthe machine had other work, do not trust the times");
}

/* One run of each; who goes first changes. */
static void turn(enum scan_mode mode, bool backwards)
{
	int i, system;

	for (i = 0; i < SYSTEMS; i++) {
		system = backwards ? SYSTEMS - 1 - i : i;
		if (mode == FLAT || system != KSM_ZERO)
			run(mode, system);
	}
}

int main(int argc, char **argv)
{
	unsigned int n, i;
	int mode;

	parse(argc, argv);
	if (file_write(THP, opt.thp))
		tap_bail("transparent huge pages cannot be set to \"%s\"", opt.thp);
	began = now_s();
	describe();
	for (n = 0; n < opt.repeats; n++) {
		if (opt.only != FLAT)
			turn(LIMITED, n % 2);
		for (i = 0; opt.only != LIMITED && i < FLAT_RUNS; i++)
			turn(FLAT, (n + i) % 2);
	}
	for (mode = 0; mode < MODES; mode++)
		if (runs[mode][MRM])
			print_table(mode);
	printf("\nKSM's metadata: %s\n", ksm_metadata_source());
	print_load();
	printf("%s\n", wrong ? "WRONG: a guest found pages that are not what it wrote" :
			       "all pages of all guests held what was written");
	print_ratios();
	return wrong;
}
