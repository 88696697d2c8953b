// SPDX-License-Identifier: GPL-2.0
/*
 * Two struct kvm in one process that have the same memory in their slots: one VM,
 * each page of which counts once.  Either may end first; the other goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	2048
#define KEYS	256

static struct vm_process p;

/* In the VM's process. */

static struct vm second;

static long add_second(struct vm *vm, void *arg)
{
	(void)arg;
	return vm_create_twin(&second, vm);
}

static long second_does(struct vm *vm, void *arg)
{
	size_t i;

	/* What the one has written the other one must see. */
	for (i = 0; i < PAGES; i++)
		second.view.states[i] = vm->view.states[i];
	return vm_guest(&second, 0, arg);
}

static long end_one(struct vm *vm, void *arg)
{
	bool *first = arg;

	return vm_end(*first ? vm : &second);
}

/* In the test. */

static long on_second(enum guest_command command, size_t first, size_t count)
{
	struct guest_work work = { .command = command, .first = first, .count = count };

	return process_call(&p, second_does, &work, sizeof(work));
}

static void one_vm(const char *when)
{
	tap_equal(mrm_get("vms"), 1, "%s: there is one VM", when);
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE,
		  "%s: its memory counts once", when);
}

static void all_shared(const char *when)
{
	tap_ok(mrm_share_all(), "%s: a pass", when);
	process_read_zeroes(&p, 0, PAGES);
	tap_equal(mrm_get("shared_pages"), PAGES, "%s: all pages are shared", when);
	tap_equal(mrm_get("shared_frames"), KEYS, "%s: to the frame", when);
	tap_equal(mrm_get("private_pages"), 0, "%s: none is private", when);
	mrm_check(when);
}

static void poke(size_t first, size_t count, unsigned int word)
{
	size_t i;

	for (i = first; i < first + count; i++)
		p.states[i] = pattern_poke(p.states[i], word);
}

static void test_order(bool first_ends_first)
{
	const struct vm_config config = { .pages = PAGES };
	const char *who = first_ends_first ? "the first ends" : "the second ends";
	size_t i;

	process_start(&p, &config);
	for (i = 0; i < PAGES; i++)
		p.states[i] = i % KEYS;
	tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES), 0, "the first guest writes");
	tap_equal(process_call(&p, add_second, NULL, 0), 0, "a second one has the same memory");
	tap_equal(mrm_get("vms"), 1, "it is the same VM");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE, "its memory counts once");
	tap_equal(on_second(GUEST_VERIFY, 0, PAGES), 0, "the second sees what the first wrote");
	all_shared("with two");
	tap_equal(on_second(GUEST_VERIFY, 0, PAGES), 0, "the second sees it when it is shared");
	poke(0, 300, 77);
	tap_equal(on_second(GUEST_POKE, 0, 300), 0, "the second writes");
	tap_equal(mrm_get("shared_pages"), PAGES - 300, "which breaks sharing once");
	tap_equal(process_guest(&p, GUEST_VERIFY, 0, PAGES), 0, "the first sees it");
	tap_equal(process_discard(&p, 0, 300), 0, "those pages are discarded");
	tap_equal(on_second(GUEST_VERIFY, 0, PAGES), 0, "and zero for the second, too");
	for (i = 0; i < 300; i++)
		p.states[i] = i % KEYS;
	tap_equal(process_guest(&p, GUEST_FILL, 0, 300), 0, "the first writes them again");

	tap_equal(process_call(&p, end_one, &first_ends_first, sizeof(first_ends_first)), 0,
		  "%s", who);
	tap_ok(mrm_vm_wait(p.pid, "not_adopted_bytes", GUEST_CONTROL, GUEST_CONTROL, MRM_LONG),
	       "its slots are forgotten");
	one_vm(who);
	all_shared(who);
	poke(500, 100, 3);
	if (first_ends_first) {
		tap_equal(on_second(GUEST_POKE, 500, 100), 0, "the second goes on");
		tap_equal(on_second(GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	} else {
		tap_equal(process_guest(&p, GUEST_POKE, 500, 100), 0, "the first goes on");
		tap_equal(process_guest(&p, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	}
	tap_equal(process_user(&p, GUEST_VERIFY, 0, PAGES), 0, "for user space, too");
	mrm_check(who);
	first_ends_first = !first_ends_first;
	tap_equal(process_call(&p, end_one, &first_ends_first, sizeof(first_ends_first)), 0,
		  "then the other one");
	tap_equal(process_user(&p, GUEST_VERIFY, 0, PAGES), 0, "its memory is as it was");
	process_stop(&p);
	mrm_reload(who);
}

int main(void)
{
	mrm_begin();
	test_order(false);
	test_order(true);
	return tap_done();
}
