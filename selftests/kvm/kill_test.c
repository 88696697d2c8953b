// SPDX-License-Identifier: GPL-2.0
/*
 * VMs that are killed at any moment, scanned or sharing or faulting: the others
 * keep what they have, and nothing of the dead stays; nor of the module, which is
 * unloaded and loaded again after each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	4096
#define ROUNDS	8

static long fill_on(struct vm *vm, void *arg)
{
	struct guest_work work = { .command = GUEST_FILL, .count = PAGES };

	(void)arg;
	for (;;)
		if (vm_guest(vm, 0, &work) || vm_discard(vm, 0, PAGES / 4))
			return 1;
}

static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(p, &config);
	if (mrm_vm_set(p->pid, "salt", "kill"))
		tap_bail("cannot set the salt");
	for (i = 0; i < PAGES; i++)
		p->states[i] = i < PAGES / 2 ? 1 + i % 512 : 0;
	if (process_guest(p, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

/* While the scanner is in the middle of it. */
static void test_while_scanned(void)
{
	/* What is zero in a large frame is nothing as soon as a block of that has been scanned. */
	const long least = mrm_large() ? PAGES / 2 : PAGES;
	struct vm_process p;
	long scanned;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		start(&p);
		scanned = mrm_get("scanned_pages");
		mrm_set("share_scan_now", "1");
		tap_ok(mrm_vm_wait(p.pid, "scanned_pages", 1 + i * least / ROUNDS, PAGES, MRM_LONG),
		       "a VM is being scanned");
		process_kill(&p);
		tap_note("killed after %ld of %d pages", mrm_get("scanned_pages") - scanned, PAGES);
		mrm_reload("after it was killed");
	}
}

/* While the guest itself is writing, and the scanner runs. */
static void test_while_writing(void)
{
	struct vm_process p;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		/* The module is another one each time. */
		mrm_set("share_scan_time", "1");
		start(&p);
		process_send(&p, fill_on, NULL, 0);
		tap_ok(mrm_vm_wait(p.pid, "broken_pages", 1, 1L << 40, MRM_LONG),
		       "a VM writes to shared pages");
		process_kill(&p);
		mrm_reload("after it was killed");
	}
}

/* One of two that share: the other one loses nothing. */
static void test_one_of_two(void)
{
	struct vm_process a, b;

	start(&a);
	start(&b);
	tap_ok(mrm_share_all(), "a pass over two VMs");
	process_read_zeroes(&a, 0, PAGES);
	process_read_zeroes(&b, 0, PAGES);
	tap_equal(mrm_get("shared_frames"), 513, "they share");
	process_kill(&a);
	tap_ok(mrm_wait("vms", 1, 1, MRM_LONG), "one is killed");
	tap_ok(mrm_full_pass(), "a pass over the other one");
	tap_equal(mrm_get("shared_frames"), 513, "which keeps its frames");
	tap_equal(mrm_get("shared_pages"), PAGES, "and its guest pages");
	tap_ok(process_verify(&b), "every byte is right");
	mrm_check("after one of two was killed");
	process_kill(&b);
	mrm_reload("after the other one was killed, too");
}

/*
 * A process that is a VM and executes a program, which is a VM again: the same
 * process, with other memory.  The first one's end may be noticed late.
 */

#define EXECS	10

static int be_vm_then_exec(const char *program, int left)
{
	const struct vm_config config = { .pages = 512 };
	char again[16];
	struct guest_work work = { .command = GUEST_FILL, .count = 512 };
	struct vm vm;

	if (vm_create(&vm, &config, vm_alloc_control()))
		return 1;
	if (!mrm_vm_wait(getpid(), "adopted_bytes", 512 * PAGE_SIZE, 512 * PAGE_SIZE, MRM_LONG)) {
		tap_note("%d more to come: adopted_bytes is %ld", left,
			 mrm_vm_get(getpid(), "adopted_bytes"));
		return 2;
	}
	vm.view.states[5] = left;
	if (vm_guest(&vm, 0, &work))
		return 3;
	if (!left)
		return 0;
	snprintf(again, sizeof(again), "%d", left - 1);
	execl("/proc/self/exe", program, again, NULL);
	return 4;
}

static void test_exec(const char *program)
{
	char count[16];
	int status;
	pid_t pid;

	snprintf(count, sizeof(count), "%d", EXECS);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", program, count, NULL);
		_exit(5);
	}
	tap_ok(waitpid(pid, &status, 0) == pid && !status,
	       "a VM that executes a program, a VM again, %d times", EXECS);
	tap_note("status %#x", status);
	mrm_reload("after it has ended");
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return be_vm_then_exec(argv[0], atoi(argv[1]));
	mrm_begin();
	test_exec(argv[0]);
	test_while_scanned();
	test_while_writing();
	test_one_of_two();
	return tap_done();
}
