// SPDX-License-Identifier: GPL-2.0
/*
 * The host is suspended while a guest's memory is taken, written to swap and read: all
 * processes and what writes can be frozen, in time, and go on afterwards; not one wrong byte.
 *
 * By the kernel's own test of it (/sys/power/pm_test), which goes as far as processes: with
 * devices stops what the test host shares with the machine, and 9p does not go on.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PM_TEST		"/sys/power/pm_test"
#define PAGES		8192
#define LARGE		(96 * MiB / PAGE_SIZE)
#define LIMIT		(80 * MiB)	/* less than that, more than half of it */
#define ROUNDS		3
#define KEYS		(1 << 20)
#define CHANGES		1000
#define TAKE		(2 * MiB)
#define TAKE_PAUSE_US	5000

static struct vm_process busy, blocked;
static volatile bool stop;

/* Change random pages until told to end; what they held is verified before. */
static long change(struct vm *vm, void *arg)
{
	volatile bool *end = *(volatile bool **)arg;
	struct guest_work work = {
		.command = GUEST_CHURN, .keys = KEYS, .count = CHANGES, .pages = PAGES,
	};
	long err = 0;

	while (!err && !*end) {
		work.seed++;
		err = vm_guest(vm, 0, &work);
	}
	return err;
}

static void *take_on(void *unused)
{
	(void)unused;
	while (!stop) {
		mrm_vm_reclaim(busy.pid, TAKE);
		usleep(TAKE_PAUSE_US);
	}
	return NULL;
}

static void test_frozen(volatile bool *end)
{
	pthread_t taker;
	long outs, ins;
	int i;

	tap_equal(disk_hand_over(DISK_RAM, busy.pid), 0, "a VM has a swap file");
	process_send(&busy, change, &end, sizeof(end));
	if (pthread_create(&taker, NULL, take_on, NULL))
		tap_bail("no thread");
	for (i = 0; i < ROUNDS; i++) {
		outs = mrm_vm_get(busy.pid, "swap_outs");
		ins = mrm_vm_get(busy.pid, "swap_ins");
		tap_ok(mrm_vm_wait(busy.pid, "swap_outs", outs + 100, 1L << 60, MRM_LONG) &&
		       mrm_vm_wait(busy.pid, "swap_ins", ins + 100, 1L << 60, MRM_LONG),
		       "pages are written and read (%d)", i);
		tap_equal(file_write("/sys/power/state", "freeze"), 0, "all can be frozen (%d)", i);
	}
	stop = true;
	pthread_join(taker, NULL);
	*end = true;
	tap_equal(process_receive(&busy, MRM_LONG), 0, "the guest went on: not one wrong byte");
	tap_ok(process_verify(&busy), "every byte is right");
	mrm_check("after being frozen");
	process_stop(&busy);
}

/* One that waits for memory. */
static void test_blocked(void)
{
	const struct guest_work rest = {
		.command = GUEST_FILL, .first = LARGE / 2, .count = LARGE / 2,
	};
	const struct vm_config config = { .pages = LARGE };
	size_t i;

	process_start(&blocked, &config);
	for (i = 0; i < LARGE; i++)
		blocked.states[i] = 1 + i;
	if (process_guest(&blocked, GUEST_FILL, 0, LARGE / 2))
		tap_bail("cannot fill");
	mrm_set_number("limit_bytes", LIMIT);
	process_begin_guest(&blocked, &rest);
	tap_ok(mrm_vm_wait(blocked.pid, "blocked_vcpus", 1, 1, MRM_LONG), "a vCPU is blocked");
	tap_equal(file_write("/sys/power/state", "freeze"), 0, "it can be frozen");
	mrm_set("limit_bytes", "0");
	tap_equal(process_receive(&blocked, MRM_LONG), 0, "and goes on when there is memory");
	tap_ok(process_verify(&blocked), "every byte is right");
	process_stop(&blocked);
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };

	mrm_begin();
	if (!disk_ram() || file_write(PM_TEST, "freezer")) {
		tap_skip("no RAM disk, or no " PM_TEST, "suspended");
		return tap_done();
	}
	mrm_set("zip_max", "0");
	process_start(&busy, &config);
	/* A byte of the control slot that nobody else uses: the guest has one vCPU. */
	test_frozen((volatile bool *)(busy.control + GUEST_AREAS + 2 * GUEST_AREA_SIZE));
	test_blocked();
	file_write(PM_TEST, "none");
	mrm_nothing_left("after them");
	return tap_done();
}
