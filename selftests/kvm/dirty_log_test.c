// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's dirty log, by which a guest is migrated: what the guest writes is in
 * it, and nothing else, though pages are shared and broken meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	2048

static struct vm_process vm;

struct expected {
	int step;	/* every so many pages; 0 = none */
};

/* Reads and clears the log; returns how many pages are wrong in it. */
static long check_log(struct vm *v, void *arg)
{
	static uint64_t bitmap[PAGES / 64];
	struct kvm_dirty_log log = { .dirty_bitmap = bitmap };
	struct expected *want = arg;
	long wrong = 0, i, first = -1;

	memset(bitmap, 0, sizeof(bitmap));
	if (ioctl(v->fd, KVM_GET_DIRTY_LOG, &log))
		return -errno;
	for (i = 0; i < PAGES; i++) {
		bool is = bitmap[i / 64] >> i % 64 & 1;
		bool should = want->step && !(i % want->step);

		if (is != should) {
			wrong++;
			if (first < 0)
				first = i;
		}
	}
	if (wrong)
		tap_note("%ld wrong, the first is page %ld", wrong, first);
	return wrong;
}

static void log_is(int step, const char *when)
{
	struct expected want = { step };

	tap_equal(process_call(&vm, check_log, &want, sizeof(want)), 0, "the log is right: %s",
		  when);
}

static void write_every(int step, int word)
{
	long err = 0;
	size_t i;

	for (i = 0; i < PAGES; i += step) {
		vm.states[i] = pattern_poke((uint32_t)vm.states[i], word);
		err |= process_guest(&vm, GUEST_FILL, i, 1);
	}
	tap_equal(err, 0, "the guest writes to every page of %d", step);
}

static void log_on(bool on)
{
	tap_equal(process_call(&vm, vm_log_dirty, &on, sizeof(on)), 0, "the log is switched %s",
		  on ? "on" : "off");
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), PAGES * PAGE_SIZE, "RAM stays adopted");
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	mrm_begin();
	process_start(&vm, &config);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = i % 8 ? 1 + i % 8 : 0;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES) || !mrm_share_all())
		tap_bail("cannot prepare");
	process_read_zeroes(&vm, 0, PAGES);
	tap_equal(mrm_get("shared_pages"), PAGES, "all pages are shared");

	log_on(true);
	log_is(0, "nothing written");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "the guest reads everything");
	log_is(0, "read only");
	write_every(64, 0);
	log_is(64, "shared pages written");
	tap_equal(mrm_get("shared_pages"), PAGES - PAGES / 64, "only those were broken");
	write_every(64, 1);
	log_is(64, "private pages written");
	log_is(0, "nothing written since");

	write_every(32, 2);
	tap_ok(mrm_full_pass(), "a pass, after writing and before the log is read");
	tap_equal(mrm_get("shared_pages"), PAGES, "all pages are shared again");
	log_is(32, "pages that were shared since they were written");
	tap_ok(mrm_full_pass(), "a pass");
	log_is(0, "scanning writes nothing");

	/* QEMU logs by itself what it writes; the guest then writes to the same. */
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i % 16;
	tap_equal(process_user(&vm, GUEST_FILL, 0, PAGES), 0, "user space writes everything");
	log_is(0, "written by user space alone");
	write_every(16, 3);
	log_is(16, "then by the guest");
	log_on(false);
	write_every(8, 4);
	tap_ok(process_verify(&vm), "every byte is right");
	mrm_check("in the end");
	process_stop(&vm);
	mrm_nothing_left("after the VM has ended");
	return tap_done();
}
