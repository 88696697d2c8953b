// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "busy.h"
#include "mrm.h"
#include "tap.h"

#define MORE_SLOTS	4
#define SLOT_PAGES	(HUGE_SIZE / PAGE_SIZE)
#define DELAY_US	8000	/* about what one round of anything takes */

const char * const busy_words[NR_BUSY] = { "adopting", "sharing", "breaking", "discarding" };

/* Seen by the test and by its VMs. */
static struct {
	volatile long rounds[NR_BUSY];
	volatile pid_t pid[NR_BUSY];	/* of the last that was started */
	volatile bool stop, scan;
} *common;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000UL + t.tv_nsec / 1000;
}

/**
 * busy_begin() - once, before the first VM
 */
void busy_begin(void)
{
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (common == MAP_FAILED)
		tap_bail("no memory");
}

static void *scan_on(void *unused)
{
	bool done = true;

	(void)unused;
	while (done && common->scan)
		done = mrm_full_pass();
	return (void *)done;
}

/**
 * busy_scan() - have the scanner go flat out, or end that
 * @on: which
 */
void busy_scan(bool on)
{
	static pthread_t scanner;
	void *done;

	common->scan = on;
	if (on) {
		if (pthread_create(&scanner, NULL, scan_on, NULL))
			tap_bail("no thread");
		return;
	}
	pthread_join(scanner, &done);
	tap_ok(done, "every round of the scanner has come to an end");
}

static long guest(struct vm *vm, enum guest_command command, size_t first, size_t count)
{
	struct guest_work work = { .command = command, .first = first, .count = count };

	return vm_guest(vm, 0, &work);
}

static uint64_t state_of(size_t page)
{
	return 1 + page % BUSY_KEYS;
}

static long adopting(struct vm *vm)
{
	static uint8_t *more[MORE_SLOTS];
	unsigned int i;
	size_t first;
	long err = 0;

	common->rounds[BUSY_ADOPTING]++;
	for (i = 0; i < MORE_SLOTS && !err; i++) {
		first = BUSY_PAGES + i * SLOT_PAGES;
		if (!more[i])
			more[i] = vm_map_ram(HUGE_SIZE, VM_ANON);
		else if (mmap(more[i], HUGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			return -errno;
		if (!more[i])
			return -errno;
		vm->view.states[first] = 7 + i;
		err = vm_set_slot(vm, 5 + i, GUEST_RAM + first * PAGE_SIZE, more[i], HUGE_SIZE) ?:
		      guest(vm, GUEST_FILL, first, 1) ?: guest(vm, GUEST_VERIFY, first, 8);
	}
	for (i = 0; i < MORE_SLOTS && !err; i++)
		err = vm_set_slot(vm, 5 + i, 0, more[i], 0);
	return err;
}

static bool much_is_shared(void)
{
	return mrm_vm_wait(getpid(), "shared_pages", BUSY_PAGES / 2, BUSY_PAGES, MRM_LONG);
}

static long sharing(struct vm *vm)
{
	common->rounds[BUSY_SHARING]++;
	return guest(vm, GUEST_FILL, 0, BUSY_PAGES) ?: much_is_shared() ? 0 : -ETIME;
}

static long breaking(struct vm *vm)
{
	if (!much_is_shared())
		return -ETIME;
	common->rounds[BUSY_BREAKING]++;
	return guest(vm, GUEST_TOUCH, 0, BUSY_PAGES);
}

static long discarding(struct vm *vm)
{
	size_t first, n = 16;
	long err = 0;

	common->rounds[BUSY_DISCARDING]++;
	for (first = 0; first < BUSY_PAGES && !err; first += 2 * n)
		err = vm_discard(vm, first, n);
	if (err)
		return err;
	err = guest(vm, GUEST_VERIFY, 0, BUSY_PAGES);
	for (first = 0; first < BUSY_PAGES; first++)
		vm->view.states[first] = state_of(first);
	return err ?: guest(vm, GUEST_FILL, 0, BUSY_PAGES);
}

static long be_busy(struct vm *vm, void *arg)
{
	static long (* const rounds[NR_BUSY])(struct vm *vm) = {
		adopting, sharing, breaking, discarding,
	};
	enum busy_with *what = arg;
	long err = 0;

	while (!common->stop && !err)
		err = rounds[*what](vm);
	return err;
}

/**
 * busy_fill() - give a VM the contents that busy VMs have
 * @p: the VM, of BUSY_PAGES
 */
void busy_fill(struct vm_process *p)
{
	size_t i;

	for (i = 0; i < BUSY_PAGES; i++)
		p->states[i] = state_of(i);
	if (mrm_vm_set(p->pid, "salt", "busy") || process_guest(p, GUEST_FILL, 0, BUSY_PAGES))
		tap_bail("cannot fill VM %d", p->pid);
}

/**
 * busy_start() - start a VM that is busy
 * @p: what to fill in
 * @what: with what
 */
void busy_start(struct vm_process *p, enum busy_with what)
{
	const struct vm_config config = { .pages = BUSY_PAGES };

	common->stop = false;
	process_start(p, &config);
	common->pid[what] = p->pid;
	busy_fill(p);
	process_send(p, be_busy, &what, sizeof(what));
}

/**
 * busy_delay() - use up a random time
 * @seed: of the random generator
 * @us: microseconds at the most
 *
 * Not asleep: the moment is to be the seed's, not the timer's.
 */
void busy_delay(uint64_t *seed, uint32_t us)
{
	uint64_t end = now_us() + pattern_random(seed, us);

	while (now_us() < end)
		;
}

struct waiting {
	enum busy_with what;
	long rounds;
};

static bool another_round(void *context)
{
	struct waiting *w = context;

	return common->rounds[w->what] != w->rounds;
}

/**
 * busy_moment() - wait for a random moment in a round
 * @what: what a VM is busy with
 * @seed: of the random generator
 */
void busy_moment(enum busy_with what, uint64_t *seed)
{
	struct waiting w = { what, common->rounds[what] };
	char state[MRM_TEXT];
	pid_t pid = common->pid[what];

	if (!wait_until(another_round, &w, MRM_LONG)) {
		tap_note("%ld pages are shared, share_state is %s",
			 mrm_vm_get(pid, "shared_pages"), mrm_vm_text(pid, "share_state", state));
		process_show(pid);
		tap_bail("the VM that is %s does not get on", busy_words[what]);
	}
	busy_delay(seed, DELAY_US);
}

/**
 * busy_stop() - have busy VMs come to the end of what they are doing
 */
void busy_stop(void)
{
	common->stop = true;
}

/**
 * busy_end() - wait for the end of what a VM is doing; a result
 * @p: a VM that was busy until busy_stop()
 *
 * It goes on as one that waits to be told what to do.
 */
void busy_end(struct vm_process *p)
{
	tap_equal(process_receive(p, 2 * MRM_LONG), 0, "the VM has got on");
}
