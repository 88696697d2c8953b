// SPDX-License-Identifier: GPL-2.0
/*
 * Sampling: what guests, and others, touch of known memory is what is estimated.
 *
 * MRM_SAMPLE_PERIODS: over how many periods (default: 40); fewer say less, and are judged
 * less strictly.  What chance puts too far off, once in a thousand runs, has to be near over
 * twice as many.  MRM_SAMPLE_RAM: pages of RAM of the guests whose estimate is judged
 * (default: 1280).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "toucher.h"
#include "vhost.h"

#define N		100	/* pages in a sample */
#define SMALL		512	/* pages of a VM that is sampled as a whole */
#define SIZES		5
#define SPARSE		8L	/* large pages of a VM that touches one page in each */
#define MAX_PERIODS	400
#define ENOUGH		40	/* periods, to judge by them as is meant */
#define FIELD(part, all)	((double)(part) / (all))

static const char * const methods[] = { "by accessed bits", "by dropped mappings" };
static const enum vm_backing backings[] = { VM_ANON, VM_MEMFD };
static const char * const backing_words[] = { "adopted", "a memfd" };
static uint64_t seed;

static void tune(long period, long pages, int method)
{
	if (mrm_set_number("sample_pages", pages) || mrm_set_number("sample_method", method) ||
	    mrm_set_number("sample_period", period))
		tap_bail("cannot set the tunables");
}

static void wait_periods(pid_t pid, unsigned int n, long period)
{
	/* Longer than it takes while others run, too; shorter than for ever. */
	if (!toucher_wait(pid, n, n * period * 10000 + MRM_LONG)) {
		process_show(pid);
		tap_bail("VM %d is not sampled: %ld samples, %ld ns", pid,
			 mrm_vm_get(pid, "samples"), mrm_vm_get(pid, "running_ns"));
	}
}

/*
 * Guests that touch 10, 30, ... 90 per cent, at the same time.
 */

struct judged {
	struct vm_process p;
	unsigned int percent;
	double truth;		/* fraction */
	struct toucher_sample s[2 * MAX_PERIODS];
	double mean;		/* fraction */
	bool near;		/* it is within 3 points */
	unsigned int far;	/* samples further off than 10 points */
};

static void look_at(struct judged *j, unsigned int periods)
{
	unsigned int n = toucher_samples(j->p.pid, j->s, periods), i;
	double sum = 0, f, error;

	if (n < periods)
		tap_bail("%u samples, not %u: the trace is incomplete", n, periods);
	for (i = j->far = 0; i < periods; i++) {
		f = FIELD(j->s[i].touched, j->s[i].n);
		sum += f;
		/* A hair more than 10 points, for 0.1 is no binary fraction. */
		j->far += f - j->truth > 0.1001 || j->truth - f > 0.1001;
	}
	j->mean = sum / periods;
	error = (j->mean - j->truth) / 0.03;
	j->near = error * error * periods < (periods < ENOUGH ? ENOUGH : periods);
}

/* Are the means of so many periods? */
static bool are_near(struct judged *judged, unsigned int periods)
{
	bool near = true;
	unsigned int i;

	for (i = 0; i < SIZES; i++) {
		while (toucher_samples(judged[i].p.pid, NULL, 0) < periods)
			wait_periods(judged[i].p.pid, 1, 1);
		look_at(&judged[i], periods);
		near &= judged[i].near;
	}
	return near;
}

static void judge(struct judged *j, const char *what, unsigned int periods)
{
	unsigned int i;

	if (!tap_ok(j->near, "%s, %u %%: the mean is within 3 points", what, j->percent))
		for (i = 0; i < periods; i++)
			tap_note("%u of %u", j->s[i].touched, j->s[i].n);
	tap_note("%s, %u %%: mean %.2f %%, %u of %u further off than 10 points, estimate %.2f %%",
		 what, j->percent, 100 * j->mean, j->far, periods,
		 100 * FIELD(mrm_vm_get(j->p.pid, "active_bytes"),
			     mrm_vm_get(j->p.pid, "size_bytes")));
}

static void test_estimate(int method, unsigned int b, unsigned int periods)
{
	const struct vm_config config = {
		.pages = setting("MRM_SAMPLE_RAM", 1280),
		.backing = backings[b],
	};
	static struct judged judged[SIZES];
	unsigned int i, off = 0;
	long cpu, faults = 0, samples = 0;
	char what[64];

	for (i = 0; i < SIZES; i++) {
		struct judged *j = &judged[i];

		j->percent = 10 + 20 * i;
		toucher_start(&j->p, &config);
		j->truth = FIELD(toucher_set(&j->p, j->percent, &seed), j->p.pages);
		toucher_touch(&j->p);
	}
	tune(1, N, method);
	for (i = 0; i < SIZES; i++)
		wait_periods(judged[i].p.pid, 2, 1);
	toucher_watch();
	cpu = mrm_get("sample_cpu_ns");
	for (i = 0; i < SIZES; i++) {
		samples -= mrm_vm_get(judged[i].p.pid, "samples");
		faults -= mrm_vm_get(judged[i].p.pid, "sample_faults");
	}
	if (!are_near(judged, periods)) {
		tap_note("one is too far off: judged by %u periods", 2 * periods);
		periods *= 2;
		are_near(judged, periods);
	}
	for (i = 0; i < SIZES; i++) {
		samples += mrm_vm_get(judged[i].p.pid, "samples");
		faults += mrm_vm_get(judged[i].p.pid, "sample_faults");
	}
	cpu = mrm_get("sample_cpu_ns") - cpu;
	snprintf(what, sizeof(what), "%s, %s", methods[method], backing_words[b]);
	for (i = 0; i < SIZES; i++) {
		judge(&judged[i], what, periods);
		off += judged[i].far;
	}
	tap_ok(off * (periods < ENOUGH ? 10 : 20) <= SIZES * periods,
	       "%s: 95 %% of %u samples are within 10 points (%u are not)", what, SIZES * periods,
	       off);
	tap_note("%s: a period of %d pages costs %.1f faults and %.0f us", what, N,
		 FIELD(faults, samples), FIELD(cpu, samples) / 1000);
	tune(0, N, 0);
	for (i = 0; i < SIZES; i++) {
		toucher_rest(&judged[i].p);
		tap_ok(process_verify(&judged[i].p), "every byte is right");
		process_stop(&judged[i].p);
	}
}

/*
 * All pages of a VM are in the sample: what is seen is exactly what was touched.
 */

/* Sample all of a VM, and after some periods expect three that see just what is touched. */
static void expect_exact(pid_t pid, int method, int after, long pages, long touched,
			 const char *where)
{
	struct toucher_sample s[3] = {};
	int i;

	tune(1, 10000, method);
	wait_periods(pid, after, 1);
	toucher_watch();
	wait_periods(pid, 3, 1);
	toucher_samples(pid, s, 3);
	for (i = 0; i < 3; i++) {
		tap_equal(s[i].n, pages, "%s, %s: all pages are looked at", methods[method], where);
		tap_equal(s[i].touched, touched, "and those are found that were touched");
	}
}

static void test_exact(int method, unsigned int b)
{
	const struct vm_config config = { .pages = SMALL, .backing = backings[b] };
	struct vm_process p;
	size_t want;

	toucher_start(&p, &config);
	want = toucher_set(&p, 30, &seed);
	toucher_touch(&p);
	expect_exact(p.pid, method, 1, SMALL, want, backing_words[b]);
	if (method)
		tap_ok(mrm_vm_get(p.pid, "sample_faults") >= (long)want * 3,
		       "to touch them has cost faults");
	tune(0, N, 0);
	tap_equal(mrm_vm_get(p.pid, "size_bytes"), SMALL * PAGE_SIZE, "size_bytes is its RAM");
	tap_ok(mrm_vm_wait(p.pid, "active_bytes", SMALL * PAGE_SIZE, SMALL * PAGE_SIZE, MRM_LONG),
	       "when sampling is stopped all of it counts as active");
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
}

/*
 * A halted guest runs, and others touch its memory.
 */

/* What the processor remembers of this process's page tables would hide touches. */
static void flush_tlb(void)
{
	size_t bytes = 256 * PAGE_SIZE;
	void *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (m != MAP_FAILED)
		munmap(m, bytes);
}

static long touch_as_process(struct vm *vm, void *arg)
{
	flush_tlb();
	return vm_user(vm, arg);
}

/* Pages travel to a device that finds them without their address being used. */
static long direct_write(struct vm *vm, void *arg)
{
	const struct guest_work *work = arg;
	ssize_t bytes = work->count * PAGE_SIZE;
	int fd = open(DISK_RAM, O_RDWR | O_DIRECT | O_CLOEXEC);
	long err = 0;

	if (fd < 0 || pwrite(fd, vm_page(vm, work->first), bytes, 0) != bytes)
		err = -errno;
	close(fd);
	return err;
}

static long read_from_outside(struct vm_process *p, size_t first, size_t count)
{
	static uint8_t copy[SMALL * PAGE_SIZE];
	struct iovec from = { p->ram + first * PAGE_SIZE, count * PAGE_SIZE };
	struct iovec to = { copy, count * PAGE_SIZE };

	return process_vm_readv(p->pid, &to, 1, &from, 1, 0) != (ssize_t)(count * PAGE_SIZE);
}

/*
 * @by_frame: who touches them leaves its mark in the frames, not in the process's page tables.  Of
 * a large frame the tables tell that something of it was touched, and the frame tells nothing.
 */
static void seen(struct vm_process *p, long want, bool by_frame, const char *who, int method,
		 unsigned int b)
{
	struct toucher_sample s = {};
	long bytes;

	if (mrm_vm_get(p->pid, "large_pages"))
		want = by_frame ? 0 : SMALL;
	bytes = want * (long)PAGE_SIZE;
	/* The period had just begun, and pages are looked at four times in it. */
	tap_ok(mrm_vm_wait(p->pid, "touched_bytes", bytes, bytes, MRM_LONG),
	       "%s, %s: pages touched by %s are found", methods[method], backing_words[b], who);
	wait_periods(p->pid, 1, 1);
	toucher_samples(p->pid, &s, 1);
	tap_equal(s.touched, want, "and no others in all of the period");
}

static void test_others(int method, unsigned int b)
{
	const struct vm_config config = { .pages = SMALL, .backing = backings[b] };
	struct guest_work work = { .command = GUEST_TOUCH };
	/* They may have to be loaded, and a period is to have just begun below. */
	bool disk = disk_ram(), vhost = vhost_here();
	struct vm_process p;
	long running;

	toucher_start(&p, &config);
	toucher_halt(&p);
	tune(1, 10000, method);
	wait_periods(p.pid, 2, 1);
	running = mrm_vm_get(p.pid, "running_ns");
	wait_periods(p.pid, 1, 1);
	tap_ok(mrm_vm_get(p.pid, "running_ns") > running, "a halted guest runs");
	tap_equal(mrm_vm_get(p.pid, "active_fast_bytes"), 0, "%s, %s: and touches nothing",
		  methods[method], backing_words[b]);
	toucher_watch();

	work.first = 10;
	work.count = 100;
	if (process_call(&p, touch_as_process, &work, sizeof(work)))
		tap_bail("the process does not touch");
	seen(&p, 100, false, "the process", method, b);
	work.first = 400;
	work.count = VHOST_MOST;
	if (vhost) {
		tap_equal(process_call(&p, vhost_send, &work, sizeof(work)), 0, "vhost");
		seen(&p, VHOST_MOST, false, "vhost", method, b);
	} else {
		tap_skip("no vhost_net", "vhost");
	}
	if (b == 0) {
		tap_equal(read_from_outside(&p, 100, 50), 0, "process_vm_readv()");
		/* Through the kernel's own mapping: a read leaves no trace in a PMD on x86. */
		seen(&p, 50, true, "process_vm_readv()", method, b);
		work.first = 300;
		work.count = 64;
		if (disk) {
			tap_equal(process_call(&p, direct_write, &work, sizeof(work)), 0,
				  "O_DIRECT");
			seen(&p, 64, true, "O_DIRECT", method, b);
		} else {
			tap_skip("no block device in RAM (brd)", "O_DIRECT");
		}
	}
	tune(0, N, 0);
	toucher_rest(&p);
	process_stop(&p);
}

/*
 * A guest that grows and shrinks, is stopped, or whose tunables change.
 */

/*
 * In the first period after slots were set the first guest page that is picked is not yet told
 * from the others of its large frame: method 1 unmaps them all, and all of them count.  So there
 * is a period that does not.
 */
static void forget_first_period(struct vm_process *p, int method)
{
	if (!mrm_vm_get(p->pid, "large_pages"))
		return;
	tune(1, 10000, method);
	wait_periods(p->pid, 1, 1);
	tune(0, N, 0);
	if (!mrm_vm_wait(p->pid, "active_slow_bytes", 0, 0, MRM_LONG))
		tap_bail("sampling does not stop");
}

static void test_changes(int method)
{
	const struct vm_config config = { .pages = SMALL };
	long all = SMALL * PAGE_SIZE, running, active, last, samples, falls = 0;
	/* s: in a period fits what the guest does in one, on a slow machine too. */
	long period = (setting("MRM_PATIENCE", 1) + 1) / 2;
	struct toucher_sample s[2];
	struct vm_process p;
	int status, i;

	toucher_start(&p, &config);
	tap_equal(mrm_vm_get(p.pid, "active_bytes"), all,
		  "%s: all is active until something is known", methods[method]);
	toucher_set(&p, 10, &seed);
	toucher_touch(&p);
	forget_first_period(&p, method);
	tune(period, 10000, method);
	wait_periods(p.pid, 3, period);
	tap_between(mrm_vm_get(p.pid, "active_bytes"), all * 8 / 100, all * 15 / 100,
		    "10 %% are active");
	running = mrm_vm_get(p.pid, "running_ns");
	toucher_set(&p, 80, &seed);
	tap_ok(mrm_vm_wait(p.pid, "active_bytes", all * 70 / 100, all, MRM_LONG),
	       "a guest that grows is noticed");
	running = mrm_vm_get(p.pid, "running_ns") - running;
	/* What is said at a tick was seen at the last look before it. */
	tap_between(running, 0, period * 1300000000, "within one period");
	wait_periods(p.pid, 8, period);
	toucher_set(&p, 10, &seed);
	/* The period in which it shrank belongs to both. */
	wait_periods(p.pid, 2, period);
	last = mrm_vm_get(p.pid, "active_bytes");
	tap_between(last, all * 45 / 100, all * 75 / 100,
		    "one that shrinks keeps more for a while");
	tap_between(mrm_vm_get(p.pid, "active_fast_bytes"), 0, all * 25 / 100,
		    "though the fast average has followed");
	for (i = 0; i < 16; i++) {
		wait_periods(p.pid, 1, period);
		active = mrm_vm_get(p.pid, "active_bytes");
		falls += active < last;
		last = active;
	}
	tap_ok(falls >= 12, "but less with each period");
	tap_between(last, all * 9 / 100, all * 25 / 100, "until it is nearly what it touches");

	/* Stopped. */
	kill(p.pid, SIGSTOP);
	waitpid(p.pid, &status, WUNTRACED);
	/* The tick that saw it running may be under way. */
	usleep(500000);
	running = mrm_vm_get(p.pid, "running_ns");
	active = mrm_vm_get(p.pid, "active_bytes");
	samples = mrm_vm_get(p.pid, "samples");
	usleep(period * 3000000);
	tap_equal(mrm_vm_get(p.pid, "running_ns"), running, "a stopped VM does not run");
	tap_equal(mrm_vm_get(p.pid, "active_bytes"), active, "and keeps its estimate");
	tap_equal(mrm_vm_get(p.pid, "samples"), samples, "no period of it ends");
	kill(p.pid, SIGCONT);
	wait_periods(p.pid, 2, period);
	tap_ok(mrm_vm_get(p.pid, "running_ns") > running, "then it goes on");
	toucher_rest(&p);
	usleep(500000);
	running = mrm_vm_get(p.pid, "running_ns");
	usleep(1000000);
	tap_equal(mrm_vm_get(p.pid, "running_ns"), running,
		  "nor does one run whose vCPUs are not in KVM_RUN");
	toucher_touch(&p);

	/* Changed in the middle. */
	tune(4, 10000, method);
	wait_periods(p.pid, 1, 4);
	toucher_watch();
	if (!mrm_vm_wait(p.pid, "touched_bytes", 1, all, MRM_LONG))
		tap_bail("nothing is touched");
	running = mrm_vm_get(p.pid, "running_ns");
	tune(4, 64, method);
	wait_periods(p.pid, 1, 4);
	running = mrm_vm_get(p.pid, "running_ns") - running;
	tap_between(running, 4000000000, 5500000000,
		    "the period begins anew when sample_pages changes");
	tap_equal(toucher_samples(p.pid, s, 1), 1, "one sample was taken");
	tap_equal(s[0].n, 64, "with as many pages as were set");
	if (!mrm_vm_wait(p.pid, "touched_bytes", 1, all, MRM_LONG))
		tap_bail("nothing is touched");
	running = mrm_vm_get(p.pid, "running_ns");
	tune(4, 64, !method);
	wait_periods(p.pid, 1, 4);
	tap_between(mrm_vm_get(p.pid, "running_ns") - running, 4000000000, 5500000000,
		    "and when sample_method does");
	if (!mrm_vm_wait(p.pid, "touched_bytes", 1, all, MRM_LONG))
		tap_bail("nothing is touched");
	running = mrm_vm_get(p.pid, "running_ns");
	tune(2, 64, !method);
	wait_periods(p.pid, 1, 2);
	tap_between(mrm_vm_get(p.pid, "running_ns") - running, 2000000000, 3500000000,
		    "and when sample_period does");
	tune(0, N, 0);
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
}

/*
 * One page of each 2 MiB is touched, of large pages: these are not active as a whole.
 */
static void test_sparse(int method)
{
	const struct vm_config config = { .pages = SPARSE * SMALL };
	struct vm_process p;
	long was = mrm_get("alloc_guest_large_page");
	int i;

	mrm_set("alloc_guest_large_page", "1");
	toucher_start(&p, &config);
	tap_equal(mrm_vm_get(p.pid, "large_pages"), SPARSE, "%s: all is in large pages",
		  methods[method]);
	toucher_set(&p, 0, &seed);
	for (i = 0; i < SPARSE; i++)
		p.owners[i * SMALL + 37 * i] = 1;
	toucher_touch(&p);
	expect_exact(p.pid, method, 2, SPARSE * SMALL, SPARSE, "one of each 2 MiB");
	/* The slow average remembers when all was filled. */
	tap_ok(mrm_vm_wait(p.pid, "active_bytes", 1, 2 * SPARSE * PAGE_SIZE, 2 * MRM_LONG),
	       "the estimate becomes as small");
	tap_equal(mrm_vm_get(p.pid, "large_pages"), SPARSE, "and they stay large");
	tune(0, N, 0);
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_set_number("alloc_guest_large_page", was);
}

static bool all_mapped(void *before)
{
	return kvm_large_mappings() - *(long *)before == SPARSE;
}

/* Memory slots change while guest pages are looked at: afterwards nothing is left in 4 KiB. */
static void test_slots(void)
{
	const struct vm_config config = { .pages = SPARSE * SMALL };
	long was = mrm_get("alloc_guest_large_page"), before = kvm_large_mappings(), err = 0;
	struct vm_process p;
	bool on = false;
	int i;

	if (before < 0) {
		tap_skip("KVM does not count them", "large mappings");
		return;
	}
	mrm_set("alloc_guest_large_page", "1");
	toucher_start(&p, &config);
	toucher_set(&p, 100, &seed);
	toucher_touch(&p);
	tap_ok(wait_until(all_mapped, &before, MRM_LONG), "all is mapped by 2 MiB");
	toucher_watch();
	tune(1, N, 0);
	for (i = 0; i < 6; i++) {
		wait_periods(p.pid, 1, 1);
		on = !on;
		err |= process_call(&p, vm_log_dirty, &on, sizeof(on));
	}
	tap_equal(err, 0, "its slot changes in each of six periods");
	tune(0, N, 0);
	tap_ok(wait_until(all_mapped, &before, MRM_LONG), "then all is mapped by 2 MiB again");
	tap_note("%ld of %ld", kvm_large_mappings() - before, SPARSE);
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_set_number("alloc_guest_large_page", was);
}

int main(void)
{
	unsigned int periods = setting("MRM_SAMPLE_PERIODS", 40), b;
	int method;

	if (!periods || periods > MAX_PERIODS)
		tap_bail("MRM_SAMPLE_PERIODS is 1 to %d", MAX_PERIODS);
	mrm_begin();
	seed = setting_seed("MRM_SEED");
	for (method = 0; method < 2; method++) {
		for (b = 0; b < 2; b++) {
			test_exact(method, b);
			test_others(method, b);
			test_estimate(method, b, periods);
		}
		test_changes(method);
		test_sparse(method);
	}
	test_slots();
	mrm_nothing_left("at the end");
	return tap_done();
}
