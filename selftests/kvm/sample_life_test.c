// SPDX-License-Identifier: GPL-2.0
/*
 * Sampling of VMs that change under it, end in the middle of it, or would harm it if
 * they could.  Others are sampled as ever.
 *
 * MRM_KILLS: how many VMs are killed.  MRM_SAMPLE_VMS: how many there are at once
 * (default: 64).  MRM_SEED: to repeat.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "toucher.h"

#define PAGES		1024
#define HALF		(PAGES / 2)
#define LARGE		8192	/* pages that take long to look at */
#define ALL		10000	/* pages in a sample: all of a VM */
#define MANY_KVMS	70	/* more than are looked at */
#define MAX_VMS		1000
#define IDLE_MS		5000

static const char * const methods[] = { "by accessed bits", "by dropped mappings" };
static uint64_t seed;

static void tune(long period, int method)
{
	if (mrm_set_number("sample_pages", ALL) || mrm_set_number("sample_method", method) ||
	    mrm_set_number("sample_period", period))
		tap_bail("cannot set the tunables");
}

static void wait_periods(pid_t pid, unsigned int n)
{
	if (!toucher_wait(pid, n, 2 * MRM_LONG)) {
		process_show(pid);
		tap_bail("VM %d is not sampled", pid);
	}
}

/* What the next whole period says. */
static struct toucher_sample next_sample(pid_t pid)
{
	struct toucher_sample s = {};

	/*
	 * With large frames the first that begins after slots were changed says too much: the
	 * guest page that is picked first is not yet told from the others of its frame.
	 */
	wait_periods(pid, mrm_large() ? 2 : 1);
	toucher_watch();
	wait_periods(pid, 1);
	toucher_samples(pid, &s, 1);
	return s;
}

static void sample_is(pid_t pid, unsigned int n, unsigned int touched, const char *when)
{
	struct toucher_sample s = next_sample(pid);

	tap_equal(s.n, n, "%s: all RAM is sampled", when);
	tap_equal(s.touched, touched, "%s: what is touched is found", when);
}

/*
 * Two struct kvm that have the same memory; one ends.
 */

static struct vm second;

static long second_touches(struct vm *vm, void *arg)
{
	int err = vm_create_twin(&second, vm);

	(void)arg;
	return err ?: toucher_loop(&second, true);
}

static long second_ends(struct vm *vm, void *arg)
{
	(void)vm;
	(void)arg;
	return toucher_loop_end() ?: vm_end(&second);
}

static void test_two(int method)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	size_t want;

	toucher_start(&p, &config);
	want = toucher_set(&p, 40, &seed);
	tune(1, method);
	tap_equal(process_call(&p, second_touches, NULL, 0), 0,
		  "%s: a second struct kvm has the same memory", methods[method]);
	tap_equal(mrm_vm_get(p.pid, "size_bytes"), PAGES * PAGE_SIZE, "it counts once");
	sample_is(p.pid, PAGES, want, "by the second");
	tap_equal(process_call(&p, second_ends, NULL, 0), 0, "the second ends");
	want = toucher_set(&p, 20, &seed);
	toucher_touch(&p);
	sample_is(p.pid, PAGES, want, "by the first");
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
}

/*
 * Half of the memory goes, in the middle of a period.
 */

static long set_slot(struct vm *vm, void *arg)
{
	size_t bytes = *(size_t *)arg;

	return vm_set_slot(vm, 1, GUEST_RAM + HALF * PAGE_SIZE, vm_page(vm, HALF), bytes);
}

/*
 * With kvm.tdp_mmu=0 KVM, when it builds its tables anew after slots were changed, looks up
 * the neighbours of what is touched as a device would, and they count in that period: those
 * that the process has mapped, so only by accessed bits.
 */
static bool looks_up_neighbours(int method)
{
	char tdp_mmu[MRM_TEXT] = "";

	file_read("/sys/module/kvm/parameters/tdp_mmu", tdp_mmu, sizeof(tdp_mmu));
	return method == 0 && *tdp_mmu == 'N';
}

static void test_unplug(int method)
{
	const struct vm_config config = { .pages = PAGES, .slots = 2 };
	size_t bytes = 0, want = 0, i;
	struct toucher_sample s = {};
	struct vm_process p;

	toucher_start(&p, &config);
	toucher_set(&p, 50, &seed);
	for (i = 0; i < PAGES; i++) {
		if (i >= HALF)
			p.owners[i] = 0;
		want += p.owners[i];
	}
	toucher_touch(&p);
	tune(2, method);
	wait_periods(p.pid, 1);
	toucher_watch();
	tap_equal(process_call(&p, set_slot, &bytes, sizeof(bytes)), 0,
		  "%s: half of the memory is unplugged", methods[method]);
	wait_periods(p.pid, 1);
	tap_equal(mrm_vm_get(p.pid, "size_bytes"), HALF * PAGE_SIZE, "size_bytes is the rest");
	toucher_samples(p.pid, &s, 1);
	tap_equal(s.n, HALF, "what is gone does not count");
	tap_between(s.touched, want, looks_up_neighbours(method) ? HALF : want,
		    "what is there does");
	bytes = HALF * PAGE_SIZE;
	tap_equal(process_call(&p, set_slot, &bytes, sizeof(bytes)), 0, "it is plugged in again");
	sample_is(p.pid, PAGES, want, "then");
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
}

/*
 * A VM that ran before the module was loaded is not adopted, but sampled.
 */

static void test_late(void)
{
	/* Anonymous memory would be in huge pages, which are touched as a whole. */
	const struct vm_config config = { .pages = PAGES, .backing = VM_MEMFD };
	char text[MRM_TEXT];
	struct vm_process p;
	size_t want;
	int method;

	if (!mrm_unload_wait(MRM_LONG))
		tap_bail("the module does not unload");
	toucher_start(&p, &config);
	if (mrm_load())
		tap_bail("the module does not load");
	mrm_tune();
	tap_text(mrm_vm_text(p.pid, "not_adopted_reason", text), "started before the module",
		 "a VM is older than the module");
	want = toucher_set(&p, 30, &seed);
	toucher_touch(&p);
	for (method = 0; method < 2; method++) {
		tune(1, method);
		sample_is(p.pid, PAGES, want, methods[method]);
	}
	toucher_rest(&p);
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after a VM that was not adopted");
}

/*
 * Many VMs at once, all halted: what it costs.
 */

static void test_cost(void)
{
	const struct vm_config config = { .pages = HALF };
	static struct vm_process vms[MAX_VMS];
	long n = setting("MRM_SAMPLE_VMS", 64), i, ticks, cpu, samples = 0;

	if (n < 1 || n > MAX_VMS)
		tap_bail("MRM_SAMPLE_VMS is 1 to %d", MAX_VMS);
	for (i = 0; i < n; i++) {
		toucher_start(&vms[i], &config);
		toucher_halt(&vms[i]);
	}
	mrm_set_number("sample_pages", 100);
	mrm_set_number("sample_period", 3600);
	/* Periods have begun; from then on there are ticks and no looks. */
	usleep(2000000);
	ticks = mrm_get("sample_cpu_ns");
	usleep(IDLE_MS * 1000);
	ticks = mrm_get("sample_cpu_ns") - ticks;
	mrm_set_number("sample_period", 2);
	wait_periods(vms[n - 1].pid, 1);
	cpu = mrm_get("sample_cpu_ns");
	for (i = 0; i < n; i++)
		samples -= mrm_vm_get(vms[i].pid, "samples");
	wait_periods(vms[n - 1].pid, 4);
	for (i = 0; i < n; i++)
		samples += mrm_vm_get(vms[i].pid, "samples");
	cpu = mrm_get("sample_cpu_ns") - cpu;
	tap_between(samples, 3 * n, 6 * n, "%ld VMs at once are sampled", n);
	ticks /= n * (IDLE_MS / 1000);
	cpu /= samples;
	tap_note("a tick costs %ld ns of processor time for a VM, a period %ld us", ticks,
		 cpu / 1000);
	tap_note("1,000 VMs, sampled once a minute, take %.2f %% of this processor",
		 (ticks + cpu / 60) / 1e4);
	mrm_set_number("sample_period", 0);
	for (i = 0; i < n; i++) {
		toucher_rest(&vms[i]);
		process_stop(&vms[i]);
	}
}

/*
 * VMs that are killed while they are looked at.
 */

static void test_killed(int method)
{
	const struct vm_config config = { .pages = LARGE, .irqchip = true };
	long n = setting("MRM_KILLS", 20), i, bad = 0;
	struct vm_process p;

	tune(1, method);
	for (i = 0; i < n; i++) {
		process_start(&p, &config);
		toucher_set(&p, 100, &seed);
		toucher_touch(&p);
		/* Begin, looks, end: within a second. */
		usleep(pattern_random(&seed, 1200000));
		process_kill(&p);
		bad += !mrm_wait("vms", 0, 0, MRM_LONG);
	}
	tap_equal(bad, 0, "%s: %ld VMs are killed and gone", methods[method], n);
}

/*
 * A process that does to its memory, and to KVM, what it should not.
 */

struct harm {
	uint64_t seed;
	long ms;
};

static volatile bool harm_ends;

/* Keeps the mmap lock for writing, as often as it can. */
static void *hold_mmap_lock(void *unused)
{
	void *m = mmap(NULL, 64 * MiB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	while (!harm_ends && m != MAP_FAILED) {
		mprotect(m, 32 * MiB, PROT_NONE);
		mprotect(m, 64 * MiB, PROT_READ);
	}
	return NULL;
}

/* Slots that name what is no memory, and what no process can have. */
static long strange_slots(struct vm *vm)
{
	static uint8_t * const where[] = {
		(uint8_t *)0x7ffffffff000, (uint8_t *)0x800000000000, (uint8_t *)0xffff00000000000,
		(uint8_t *)0x7ffffffffff00000, (uint8_t *)0x10000,
	};
	unsigned int i;
	long taken = 0;

	for (i = 0; i < sizeof(where) / sizeof(where[0]); i++)
		taken += !vm_set_slot(vm, 10 + i, 0x100000000 * (i + 1), where[i], 64 * MiB);
	return taken;
}

/* What is under a memory slot becomes something else. */
static void change_mapping(uint8_t *page, uint64_t *seed)
{
	int prot = pattern_random(seed, 2) ? PROT_READ | PROT_WRITE : PROT_NONE;
	int flags = MAP_FIXED | MAP_NORESERVE | MAP_ANONYMOUS;
	size_t bytes = HUGE_SIZE;

	page -= (unsigned long)page % HUGE_SIZE;
	switch (pattern_random(seed, 6)) {
	case 0:
		munmap(page, bytes);
		break;
	case 1:
		mmap(page, bytes, prot, flags | MAP_PRIVATE | MAP_POPULATE, -1, 0);
		madvise(page, bytes, MADV_HUGEPAGE);
		break;
	case 2:
		mmap(page, bytes, prot, flags | MAP_SHARED | MAP_POPULATE, -1, 0);
		break;
	case 3:
		mmap(page, bytes, prot, flags | MAP_PRIVATE | MAP_HUGETLB, -1, 0);
		break;
	case 4:
		mprotect(page, bytes / 2, PROT_NONE);
		mprotect(page, bytes, PROT_READ | PROT_WRITE);
		break;
	default:
		madvise(page, bytes, MADV_DONTNEED);
	}
}

/* Nothing else of the process is to be mapped where change_mapping() will change it. */
static void fill_holes(uint8_t *page, size_t bytes)
{
	uint8_t *end = page + bytes;

	for (; page < end; page += HUGE_SIZE)
		mmap(page, HUGE_SIZE, PROT_NONE,
		     MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Struct kvm come and go, with the same memory. */
static long come_and_go(struct vm *vm)
{
	const struct vm_config config = { .pages = PAGES, .no_slots = true };
	static struct vm more[MANY_KVMS];
	static void *control[MANY_KVMS];
	long err = 0;
	int i;

	for (i = 0; i < MANY_KVMS && !err; i++) {
		if (!control[i])
			control[i] = vm_alloc_control();
		err = vm_create(&more[i], &config, control[i]);
		more[i].view.ram = vm->view.ram;
		if (!err)
			err = vm_set_ram_slots(&more[i]);
	}
	while (i-- && !err)
		err = vm_end(&more[i]);
	return err;
}

static long do_harm(struct vm *vm, void *arg)
{
	struct harm *h = arg;
	long end = now_ms() + h->ms, taken = strange_slots(vm), err = 0;
	uint8_t *victim = vm_map_ram(4 * HUGE_SIZE, VM_ANON);
	pthread_t holder[2];
	int i;

	tap_note("%ld of the strange slots are taken", taken);
	if (!victim || vm_set_slot(vm, 9, 0x80000000, victim, 4 * HUGE_SIZE))
		return -ENOMEM;
	for (i = 0; i < 2; i++)
		if (pthread_create(&holder[i], NULL, hold_mmap_lock, NULL))
			return -EAGAIN;
	while (now_ms() < end && !err) {
		for (i = 0; i < 20; i++)
			change_mapping(victim + pattern_random(&h->seed, 4) * HUGE_SIZE, &h->seed);
		fill_holes(victim, 4 * HUGE_SIZE);
		err = come_and_go(vm);
	}
	harm_ends = true;
	for (i = 0; i < 2; i++)
		pthread_join(holder[i], NULL);
	return err;
}

static void test_harm(int method)
{
	const struct vm_config config = { .pages = PAGES };
	struct harm h = { .seed = seed, .ms = 8000 * setting("MRM_PATIENCE", 1) };
	struct vm_process bad, good;
	struct toucher_sample s[64];
	unsigned int n, i, wrong = 0, right = 0;
	size_t want;

	toucher_start(&good, &config);
	want = toucher_set(&good, 30, &seed);
	toucher_touch(&good);
	toucher_start(&bad, &config);
	toucher_set(&bad, 100, &seed);
	toucher_touch(&bad);
	tune(1, method);
	wait_periods(good.pid, 2);
	toucher_watch();
	process_send(&bad, do_harm, &h, sizeof(h));
	tap_equal(process_receive(&bad, h.ms + 2 * MRM_LONG), 0,
		  "%s: a VMM does what it should not", methods[method]);
	n = toucher_samples(good.pid, s, 64);
	/* With so many threads it does not get to touch all in every period. */
	for (i = 0; i < n && i < 64; i++) {
		wrong += s[i].n != PAGES || s[i].touched > want;
		right += s[i].touched == want;
	}
	tap_ok(right && !wrong, "another VM is sampled as ever (of %u, %u right, %u wrong)", n,
	       right, wrong);
	/* As many as there is time for. */
	tap_ok(toucher_samples(bad.pid, NULL, 0) >= 1, "and so is this one (%u samples)",
	       toucher_samples(bad.pid, NULL, 0));
	process_kill(&bad);
	toucher_rest(&good);
	tap_ok(process_verify(&good), "every byte of the other is right");
	process_stop(&good);
	/* The recount wants VMs that stand still, and these are going. */
	if (!mrm_wait("vms", 0, 0, MRM_LONG))
		tap_bail("the VMs do not end");
	mrm_check("after harm");
}

int main(void)
{
	int method;

	mrm_begin();
	seed = setting_seed("MRM_SEED");
	for (method = 0; method < 2; method++) {
		test_two(method);
		test_unplug(method);
		test_killed(method);
		test_harm(method);
		tune(0, 0);
		mrm_nothing_left(methods[method]);
	}
	test_cost();
	test_late();
	return tap_done();
}
