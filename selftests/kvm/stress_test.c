// SPDX-License-Identifier: GPL-2.0
/*
 * Guests and a thread of their user space write known contents, few enough that
 * pages become equal within and between VMs all the time, and discard random
 * ranges, while the scanner runs flat out and memory is taken from them at random.  Each
 * page has one writer, which verifies all of it before each change; not one byte may be
 * wrong.
 *
 * MRM_STRESS_SECONDS: how long.  MRM_STRESS_SEED: to repeat.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define VMS	2
#define VCPUS	2
#define WRITERS	(VCPUS + 1)	/* the last one is user space */
#define PAGES	8192
#define KEYS	48
#define BATCH	96
#define RUN_MAX	48		/* pages in a row that have one writer */
#define TAKE_MAX	(4 * MiB)	/* bytes at a time */
#define TAKE_PAUSE_US	2000
#define VCPU_STOPPED	3		/* exit status of a VM */

static struct vm_process vms[VMS];

struct order {
	uint64_t seed;
	long seconds;
};

/*
 * In the VM's process.
 */

struct writer {
	struct vm *vm;
	pthread_t thread;
	unsigned int owner;
	uint64_t seed;
	long end;
	long batches;
	long error;
};

static volatile bool stop;

/* A range of this writer's pages; neighbours have other writers. */
static size_t own_range(struct writer *w, size_t *first)
{
	const volatile uint8_t *owners = w->vm->view.owners;
	size_t max = 1 + pattern_random(&w->seed, RUN_MAX), n = 1;

	do {
		*first = pattern_random(&w->seed, PAGES);
	} while (owners[*first] != w->owner);
	while (n < max && *first + n < PAGES && owners[*first + n] == w->owner)
		n++;
	return n;
}

static long batch(struct writer *w)
{
	struct guest_work work = {
		.command = GUEST_CHURN, .keys = KEYS, .owner = w->owner, .count = BATCH,
		.pages = PAGES,
	};
	struct guest_wrong wrong;
	size_t first, n;
	long err;

	w->seed += 1;
	work.seed = pattern_mix(w->seed);
	if (w->owner < VCPUS)
		err = vm_guest(w->vm, w->owner, &work);
	else
		err = vm_user(w->vm, &work);
	if (err)
		return err;
	/* What the guest wrote, seen by user space; the vCPU is at rest. */
	n = own_range(w, &first);
	work = (struct guest_work){ .command = GUEST_VERIFY, .first = first, .count = n };
	if (guest_do(&w->vm->view, &work, &wrong)) {
		tap_note("writer %u: page %lu word %lu is %#lx (state %#lx)", w->owner, wrong.page,
			 wrong.word, wrong.got, wrong.state);
		return 1;
	}
	if (pattern_random(&w->seed, 2))
		return 0;
	n = own_range(w, &first);
	return vm_discard(w->vm, first, n);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!stop && now_ms() < w->end && !w->error) {
		w->error = batch(w);
		w->batches++;
	}
	if (w->error) {
		tap_note("writer %u: error %ld after %ld batches", w->owner, w->error, w->batches);
		stop = true;
	}
	/* The other vCPU may never come back; nothing more is to be had here. */
	if (w->error == -EIO)
		_exit(VCPU_STOPPED);
	return NULL;
}

static long stress(struct vm *vm, void *arg)
{
	struct writer writer[WRITERS];
	struct order *order = arg;
	long error = 0;
	unsigned int i;

	for (i = 0; i < WRITERS; i++) {
		writer[i] = (struct writer){
			.vm = vm, .owner = i, .seed = pattern_mix(order->seed + i),
			.end = now_ms() + order->seconds * 1000,
		};
		if (pthread_create(&writer[i].thread, NULL, write_on, &writer[i]))
			return -1;
	}
	for (i = 0; i < WRITERS; i++) {
		pthread_join(writer[i].thread, NULL);
		if (writer[i].error)
			error = writer[i].error;
		tap_note("writer %u: %ld changes", i, writer[i].batches * BATCH);
	}
	return error;
}

/*
 * In the test.
 */

/**
 * struct scanning - the scanner's driver
 * @stop: end after this round
 * @rounds: how many there were
 * @most_shared: guest pages shared at one time
 * @failed: a round did not end
 */
struct scanning {
	volatile bool stop;
	long rounds;
	long most_shared;
	bool failed;
};

static void *scan_on(void *arg)
{
	struct scanning *s = arg;
	long shared;

	while (!s->stop && !s->failed) {
		s->failed = !mrm_full_pass();
		s->rounds++;
		shared = mrm_get("shared_pages");
		if (shared > s->most_shared)
			s->most_shared = shared;
	}
	return NULL;
}

/**
 * struct taking - who takes memory from the VMs
 * @stop: end
 * @seed: how much at a time
 * @failed: it was refused
 */
struct taking {
	volatile bool stop;
	uint64_t seed;
	bool failed;
};

static void *take_on(void *arg)
{
	struct taking *t = arg;
	unsigned int i;

	while (!t->stop && !t->failed) {
		i = pattern_random(&t->seed, VMS);
		t->failed = mrm_vm_reclaim(vms[i].pid, pattern_random(&t->seed, TAKE_MAX));
		/* The guests are to do something, too. */
		usleep(TAKE_PAUSE_US);
	}
	return NULL;
}

/* Runs of pages, each with a random writer. */
static void deal_owners(struct vm_process *p, uint64_t seed)
{
	size_t i = 0, n;
	uint8_t owner;

	while (i < PAGES) {
		n = 1 + pattern_random(&seed, RUN_MAX);
		owner = pattern_random(&seed, WRITERS);
		for (; n && i < PAGES; n--)
			p->owners[i++] = owner;
	}
}

/* Did the VM end by itself, with this status?  It stays to be waited for. */
static bool ended_with(struct vm_process *p, int status)
{
	siginfo_t info;

	return !waitid(P_PID, p->pid, &info, WEXITED | WNOWAIT) && info.si_code == CLD_EXITED &&
	       info.si_status == status;
}

/*
 * A vCPU stopped with a triple fault.  Its code and page tables are in memory
 * that the module never has; while they are intact on an emulated processor,
 * which does this without the module too, nothing is known of the module.  So
 * the rest is neither passed nor failed.
 */
static int vcpu_stopped(struct vm_process *p)
{
	int i;

	tap_ok(vm_control_intact(p->control), "a vCPU stopped; its code and tables are intact");
	if (vm_emulated())
		tap_skip("the emulated processor stopped a vCPU", "not one wrong byte");
	else
		tap_ok(false, "no vCPU stops");
	for (i = 0; i < VMS; i++)
		process_kill(&vms[i]);
	mrm_nothing_left("after both were killed");
	return tap_done();
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES, .vcpus = VCPUS };
	struct order order = {
		setting_seed("MRM_STRESS_SEED"), setting("MRM_STRESS_SECONDS", 60)
	};
	struct taking taking = { .seed = order.seed };
	struct scanning scanning = {};
	long discarded, broken, owned, scanned, zipped, unzipped, result;
	pthread_t scanner, taker;
	int i;

	mrm_begin();
	mrm_set("share_scan_time", "1");
	tap_note("%ld s", order.seconds);
	discarded = mrm_get("discarded_pages");
	broken = mrm_get("broken_pages");
	owned = mrm_get("owned_pages");
	scanned = mrm_get("scanned_pages");
	zipped = mrm_get("zips");
	unzipped = mrm_get("unzips");
	mrm_set("zip_max", "50");
	for (i = 0; i < VMS; i++) {
		process_start(&vms[i], &config);
		if (mrm_vm_set(vms[i].pid, "salt", "stress"))
			tap_bail("cannot set the salt");
		deal_owners(&vms[i], order.seed + i);
	}
	if (pthread_create(&scanner, NULL, scan_on, &scanning) ||
	    pthread_create(&taker, NULL, take_on, &taking))
		tap_bail("no thread");
	for (i = 0; i < VMS; i++) {
		struct order mine = { pattern_mix(order.seed + 1000 * (i + 1)), order.seconds };

		process_send(&vms[i], stress, &mine, sizeof(mine));
	}
	for (i = 0; i < VMS; i++) {
		result = process_receive_or_end(&vms[i], order.seconds * 1000 + 2 * MRM_LONG);
		if (result == -ECHILD && ended_with(&vms[i], VCPU_STOPPED)) {
			taking.stop = true;
			pthread_join(taker, NULL);
			scanning.stop = true;
			pthread_join(scanner, NULL);
			mrm_set("share_scan_time", "0");
			return vcpu_stopped(&vms[i]);
		}
		tap_equal(result, 0, "VM %d: not one wrong byte", i);
	}
	taking.stop = true;
	pthread_join(taker, NULL);
	scanning.stop = true;
	pthread_join(scanner, NULL);
	mrm_set("share_scan_time", "0");
	tap_ok(!taking.failed, "memory was taken whenever it was asked for");
	tap_ok(!scanning.failed, "every round of the scanner came to an end");
	/* With all 64 bits of the hash there is no false match. */
	tap_equal(mrm_get("ineligible_pages"), 0, "no page was barred");
	for (i = 0; i < VMS; i++)
		tap_ok(process_verify(&vms[i]), "VM %d: every byte is right in the end", i);
	mrm_check("in the end");
	/* All are equal to some other page now. */
	tap_ok(mrm_full_pass(), "a last pass");
	mrm_check("after a last pass");
	for (i = 0; i < VMS; i++)
		tap_ok(process_verify(&vms[i]), "VM %d: every byte is right after it", i);

	discarded = mrm_get("discarded_pages") - discarded;
	broken = mrm_get("broken_pages") - broken;
	owned = mrm_get("owned_pages") - owned;
	scanned = mrm_get("scanned_pages") - scanned;
	zipped = mrm_get("zips") - zipped;
	unzipped = mrm_get("unzips") - unzipped;
	tap_note("%ld rounds, %ld pages scanned, %ld shared at one time, %ld broken, %ld discarded",
		 scanning.rounds, scanned, scanning.most_shared, broken, discarded);
	tap_note("%ld zipped, %ld unzipped, %ld their own before", zipped, unzipped, owned);
	tap_ok(scanning.rounds > 0 && scanned > 0, "pages were scanned");
	tap_ok(scanning.most_shared > 0, "pages were shared");
	tap_ok(broken > 0, "sharing was broken");
	tap_ok(owned > 0, "frames with one name were made private");
	tap_ok(discarded > 0, "pages were discarded");
	tap_ok(zipped > 0 && unzipped > 0, "pages were zipped and unzipped");
	for (i = 0; i < VMS; i++)
		process_stop(&vms[i]);
	mrm_nothing_left("after both have ended");
	return tap_done();
}
