// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "guests.h"
#include "mrm.h"
#include "tap.h"

#define RUN		16	/* neighbours that stay together */
#define MAX_SAMPLES	8192
#define COMMAND_MS	(4 * MRM_LONG)

/**
 * struct writer - shared with a guest's process
 * @stop: it is to end
 * @phase: enum writer_phase
 * @samples: of each phase
 * @ns: for a page, one number a batch
 */
struct writer {
	volatile bool stop;
	volatile int phase;
	unsigned int samples[PHASES];
	unsigned int ns[PHASES][MAX_SAMPLES];
};

static struct writer *writers;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static size_t static_pages(const struct guests *g)
{
	return g->pages / PARTS * (PARTS - VOLATILE_PARTS);
}

/* The n-th page before they are mixed. */
static uint64_t content(const struct guests *g, unsigned int guest, size_t n)
{
	size_t part = g->pages / PARTS;
	uint64_t own = (uint64_t)(guest + 1) << 24;

	if (n < EQUAL_PARTS * part)
		return 1 + n;
	if (n < (EQUAL_PARTS + DUPLICATE_PARTS) * part)
		return own + (n - EQUAL_PARTS * part) % (DUPLICATE_PARTS * part / DUPLICATES);
	if (n < (EQUAL_PARTS + DUPLICATE_PARTS + ZERO_PARTS) * part)
		return 0;
	return own + g->pages + n;
}

static void deal(struct guests *g, unsigned int guest)
{
	volatile uint64_t *states = g->vm[guest].states;
	size_t n = static_pages(g) / RUN, i, j, k;
	uint64_t seed = guest + 1, swap;

	for (i = 0; i < g->pages; i++)
		states[i] = content(g, guest, i);
	for (i = n - 1; i; i--) {
		j = pattern_random(&seed, i + 1);
		for (k = 0; k < RUN; k++) {
			swap = states[i * RUN + k];
			states[i * RUN + k] = states[j * RUN + k];
			states[j * RUN + k] = swap;
		}
	}
}

/* As QEMU does, whoever is going to look for equal pages. */
static long mark_mergeable(struct vm *vm, void *unused)
{
	(void)unused;
	return madvise(vm->view.ram, vm->config.pages * PAGE_SIZE, MADV_MERGEABLE) ? -errno : 0;
}

/**
 * guests_start() - start the guests and fill their RAM
 * @g: what to fill in
 * @count: how many
 * @pages: guest pages of each
 */
void guests_start(struct guests *g, unsigned int count, size_t pages)
{
	const struct vm_config config = { .pages = pages };
	unsigned int i;

	memset(g, 0, sizeof(*g));
	g->count = count;
	g->pages = pages;
	if (!writers) {
		writers = mmap(NULL, MAX_GUESTS * sizeof(*writers), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (writers == MAP_FAILED)
			tap_bail("no memory");
	}
	for (i = 0; i < count; i++) {
		process_start(&g->vm[i], &config);
		if (process_call(&g->vm[i], mark_mergeable, NULL, 0))
			tap_bail("madvise(MADV_MERGEABLE) failed: is there no KSM?");
		deal(g, i);
		if (process_guest(&g->vm[i], GUEST_FILL, 0, pages))
			tap_bail("a guest cannot fill its RAM");
	}
}

/**
 * guests_stop() - let them end
 * @g: the guests
 */
void guests_stop(struct guests *g)
{
	unsigned int i;

	for (i = 0; i < g->count; i++)
		process_stop(&g->vm[i]);
}

/**
 * guests_total() - what they hold
 * @g: the guests
 * Return: guest pages.
 */
long guests_total(const struct guests *g)
{
	return g->count * g->pages;
}

/**
 * guests_possible() - what can be saved
 * @g: the guests
 * Return: pages.
 */
long guests_possible(const struct guests *g)
{
	long part = g->pages / PARTS, count = g->count;

	return EQUAL_PARTS * part * (count - 1) +
	       DUPLICATE_PARTS * part * count / DUPLICATES * (DUPLICATES - 1) +
	       ZERO_PARTS * part * count - 1;
}

/**
 * guests_shareable() - guest pages of one guest that have an equal
 * @g: the guests
 * Return: guest pages.
 */
long guests_shareable(const struct guests *g)
{
	return g->pages / PARTS * (EQUAL_PARTS + DUPLICATE_PARTS + ZERO_PARTS);
}

/* In the guest's process: write volatile pages until told to stop. */
static long writer(struct vm *vm, void *arg)
{
	struct writer *w = &writers[*(unsigned int *)arg];
	size_t all = vm->config.pages / PARTS * VOLATILE_PARTS, first = vm->config.pages - all;
	struct guest_work work = { .command = GUEST_FILL, .first = first, .count = BATCH };
	long tick = REWRITE_MS * 1000000L / (all / BATCH);
	struct itimerspec every = {
		.it_interval = { tick / 1000000000, tick % 1000000000 },
		.it_value.tv_nsec = 1,
	};
	uint64_t expired, key = 1ULL << 31 | (uint64_t)*(unsigned int *)arg << 24;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), err = 0, phase;
	double begun;
	size_t i;

	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL))
		return -errno;
	while (!w->stop && !err) {
		if (read(timer, &expired, sizeof(expired)) != sizeof(expired))
			continue;
		for (i = 0; i < BATCH; i++)
			vm->view.states[work.first + i] = key++;
		phase = w->phase;
		begun = now_ns();
		err = vm_guest(vm, 0, &work);
		if (w->samples[phase] < MAX_SAMPLES)
			w->ns[phase][w->samples[phase]++] = (now_ns() - begun) / BATCH;
		work.first += BATCH;
		if (work.first >= vm->config.pages)
			work.first = first;
	}
	close(timer);
	return err;
}

/**
 * guests_write() - have the guests begin to write their volatile pages
 * @g: the guests
 */
void guests_write(struct guests *g)
{
	unsigned int i;

	memset(writers, 0, MAX_GUESTS * sizeof(*writers));
	for (i = 0; i < g->count; i++)
		process_send(&g->vm[i], writer, &i, sizeof(i));
}

/**
 * guests_phase() - what is written from now on counts for this phase
 * @g: the guests
 * @phase: the phase
 */
void guests_phase(struct guests *g, enum writer_phase phase)
{
	unsigned int i;

	for (i = 0; i < g->count; i++)
		writers[i].phase = phase;
}

/**
 * guests_write_end() - have them stop
 * @g: the guests
 */
void guests_write_end(struct guests *g)
{
	unsigned int i;

	for (i = 0; i < g->count; i++)
		writers[i].stop = true;
	for (i = 0; i < g->count; i++)
		if (process_receive(&g->vm[i], COMMAND_MS))
			tap_bail("a guest cannot write its RAM");
}

static int by_size(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

/**
 * guests_write_time() - how long writing took
 * @g: the guests
 * @phase: when
 * Return: the time; zeroes if nothing was written.
 */
struct write_time guests_write_time(const struct guests *g, enum writer_phase phase)
{
	static unsigned int all[MAX_GUESTS * MAX_SAMPLES];
	struct write_time time = {};
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < g->count; i++) {
		memcpy(all + n, writers[i].ns[phase], writers[i].samples[phase] * sizeof(*all));
		n += writers[i].samples[phase];
	}
	if (!n)
		return time;
	qsort(all, n, sizeof(*all), by_size);
	time.median = all[n / 2];
	time.p99 = all[n * 99 / 100];
	return time;
}

/**
 * guests_time() - have the first guest do something to all its static pages
 * @g: the guests; none is writing
 * @command: what
 * Return: how long it took, ns.
 */
double guests_time(struct guests *g, enum guest_command command)
{
	double begun = now_ns();

	if (process_guest(&g->vm[0], command, 0, static_pages(g)))
		tap_bail("a guest cannot use its RAM");
	return now_ns() - begun;
}

/**
 * guests_verify() - look whether every guest page holds what was written to it
 * @g: the guests; the result is in @wrong
 */
void guests_verify(struct guests *g)
{
	unsigned int i;

	for (i = 0; i < g->count; i++)
		if (process_guest(&g->vm[i], GUEST_VERIFY, 0, g->pages))
			g->wrong = true;
}
