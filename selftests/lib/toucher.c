// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "toucher.h"

#define NAP	20	/* ms between rounds, so that several VMs do not take all there is */
#define LONG_NAP	500	/* ms, of a VM that does nothing */
#define TOUCHED	1	/* owner of a page that is touched */
#define TRACE	"/sys/kernel/tracing/instances/toucher"

/* In the VM's process. */

static struct {
	struct vm *vm;
	bool touch;
	pthread_t thread;
	volatile bool rest;
	long err;
} loop;

static void *run_loop(void *unused)
{
	struct guest_work work = {
		.command = GUEST_WORK,
		.owner = TOUCHED,
		.pages = loop.vm->config.pages,
		.count = 1,
	};

	(void)unused;
	do {
		loop.err = loop.touch ? vm_guest(loop.vm, 0, &work) : 0;
		if (!loop.err)
			loop.err = vm_nap(loop.vm, 0, loop.touch ? NAP : LONG_NAP);
	} while (!loop.err && !loop.rest);
	return NULL;
}

/**
 * toucher_loop() - have a guest run, in a thread
 * @vm: a VM of this process, with .irqchip; one at a time
 * @touch: it touches pages again and again; else it is halted
 * Return: 0 or a negative errno.
 */
long toucher_loop(struct vm *vm, bool touch)
{
	loop.vm = vm;
	loop.touch = touch;
	loop.rest = false;
	return -pthread_create(&loop.thread, NULL, run_loop, NULL);
}

/**
 * toucher_loop_end() - end it
 * Return: what vm_guest() said in the end.
 */
long toucher_loop_end(void)
{
	loop.rest = true;
	pthread_join(loop.thread, NULL);
	return loop.err;
}

static long begin_loop(struct vm *vm, void *arg)
{
	return toucher_loop(vm, *(bool *)arg);
}

static long end_loop(struct vm *vm, void *arg)
{
	(void)vm;
	(void)arg;
	return toucher_loop_end();
}

/* In the test. */

static void call(struct vm_process *p, process_fn fn, bool touch)
{
	long err = process_call(p, fn, &touch, sizeof(touch));

	if (err)
		tap_bail("VM %d does not touch: %ld", p->pid, err);
}

/**
 * toucher_start() - start a VM that holds something in every page
 * @p: what to fill in
 * @config: how the VM is to be; it gets an irqchip
 */
void toucher_start(struct vm_process *p, const struct vm_config *config)
{
	struct vm_config with_irqchip = *config;
	size_t i;

	with_irqchip.irqchip = true;
	process_start(p, &with_irqchip);
	for (i = 0; i < p->pages; i++)
		p->states[i] = i + 1;
	if (process_guest(p, GUEST_FILL, 0, p->pages))
		tap_bail("cannot fill VM %d", p->pid);
}

/**
 * toucher_set() - choose the pages that are touched, at random
 * @p: the VM, which may be touching
 * @percent: how many of its pages
 * @seed: of the random generator
 * Return: how many pages that are.
 */
size_t toucher_set(struct vm_process *p, unsigned int percent, uint64_t *seed)
{
	size_t want = p->pages * percent / 100, left = want, i;

	/* Of those that are left, as many as are wanted: each is as likely. */
	for (i = 0; i < p->pages; i++) {
		p->owners[i] = pattern_random(seed, p->pages - i) < left ? TOUCHED : 0;
		left -= p->owners[i] == TOUCHED;
	}
	return want;
}

/**
 * toucher_touch() - have the guest touch them, until toucher_rest()
 * @p: the VM
 */
void toucher_touch(struct vm_process *p)
{
	call(p, begin_loop, true);
}

/**
 * toucher_halt() - have the guest be halted, until toucher_rest()
 * @p: the VM
 */
void toucher_halt(struct vm_process *p)
{
	call(p, begin_loop, false);
}

/**
 * toucher_rest() - no vCPU runs
 * @p: a VM that touches, or is halted
 */
void toucher_rest(struct vm_process *p)
{
	call(p, end_loop, false);
}

static void end_watch(void)
{
	rmdir(TRACE);
}

/**
 * toucher_watch() - write down samples from now on, and forget what was
 */
void toucher_watch(void)
{
	FILE *f;

	if (!mkdir(TRACE, 0700))
		atexit(end_watch);
	else if (errno != EEXIST)
		tap_bail("cannot trace: %s", strerror(errno));
	/* To open it for writing empties it. */
	f = fopen(TRACE "/trace", "we");
	if (!f || file_write(TRACE "/events/mrm/mrm_sample/enable", "1"))
		tap_bail("cannot trace samples");
	fclose(f);
}

/**
 * toucher_samples() - samples of a VM since toucher_watch()
 * @pid: its process
 * @samples: where to; NULL: they are only counted
 * @max: room there; the last so many are given
 * Return: how many there were.
 */
unsigned int toucher_samples(pid_t pid, struct toucher_sample *samples, unsigned int max)
{
	FILE *f = fopen(TRACE "/trace", "re");
	struct toucher_sample s;
	unsigned int n = 0;
	char line[512];
	int of;

	while (f && fgets(line, sizeof(line), f)) {
		char *event = strstr(line, "mrm_sample: ");

		if (!event || sscanf(event, "mrm_sample: pid=%d n=%u touched=%u", &of, &s.n,
				     &s.touched) != 3 || of != pid)
			continue;
		if (samples && n >= max)
			memmove(samples, samples + 1, (max - 1) * sizeof(s));
		if (samples && max)
			samples[n < max ? n : max - 1] = s;
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

/**
 * toucher_wait() - wait for periods to be complete
 * @pid: the VM's process
 * @periods: how many, the one that is running now included
 * @ms: how long at the most
 * Return: true; false if they are not.
 */
bool toucher_wait(pid_t pid, unsigned int periods, int ms)
{
	long samples = mrm_vm_get(pid, "samples");

	return mrm_vm_wait(pid, "samples", samples + periods, 1L << 40, ms);
}
