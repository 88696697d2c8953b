// SPDX-License-Identifier: GPL-2.0
/*
 * A swap file on each kind of file system that a host may have: those that overwrite in place,
 * and one that never does, where a slot that is written again needs room that may be gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define MOUNT		"/tmp/mrm-swap-fs"
#define SWAP_FILE	MOUNT "/file"
#define REST		MOUNT "/rest"
#define DISK_KIB	"327680"	/* xfs takes no less than 300 MiB */

#define PAGES		4096
#define FEW		(PAGES / 2)
#define ROUNDS		8
#define KEYS		(1 << 20)
#define CHANGES		250

static struct vm_process vm;

static bool took(void *count)
{
	if (mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE))
		return false;
	return mrm_vm_get(vm.pid, "swapped_pages") >= *(long *)count;
}

/* Write and read it at the same time, again and again. */
static void work(const char *kind, const char *when)
{
	struct guest_work work = {
		.command = GUEST_CHURN, .keys = KEYS, .count = CHANGES, .pages = PAGES,
	};
	long outs = mrm_vm_get(vm.pid, "swap_outs"), wrong = 0;

	for (work.seed = 1; work.seed <= ROUNDS; work.seed++) {
		process_begin_guest(&vm, &work);
		mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
		wrong += process_receive(&vm, MRM_LONG);
	}
	tap_equal(wrong, 0, "%s: the guest works, %s", kind, when);
	tap_ok(mrm_vm_get(vm.pid, "swap_outs") > outs, "%s: while pages are written", kind);
	tap_ok(process_verify(&vm), "%s: every byte is right, %s", kind, when);
	mrm_check(when);
}

static bool make_file(void)
{
	int fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool made = fd >= 0 && !fallocate(fd, 0, 0, FEW * PAGE_SIZE);

	close(fd);
	return made;
}

static void test_kind(const char *kind)
{
	const struct vm_config config = { .pages = PAGES };
	long few = FEW, all = PAGES;
	size_t i;

	if (!disk_mount(DISK_RAM, MOUNT, kind)) {
		tap_ok(false, "%s: a file system of it", kind);
		return;
	}
	tap_ok(make_file(), "%s: a file", kind);
	process_start(&vm, &config);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 1 + i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, PAGES), 0, "%s: a VM fills its RAM", kind);
	tap_equal(disk_hand_over(SWAP_FILE, vm.pid), 0, "%s: the file is its swap file", kind);
	tap_ok(wait_until(took, &few, MRM_LONG), "%s: it is full", kind);
	tap_ok(process_verify(&vm), "%s: every byte is right", kind);
	tap_equal(truncate(SWAP_FILE, 2 * PAGES * PAGE_SIZE), 0, "%s: the file grows", kind);
	tap_equal(disk_hand_over(SWAP_FILE, vm.pid), 0, "%s: the VM is told", kind);
	tap_ok(wait_until(took, &all, MRM_LONG), "%s: all is in it", kind);
	work(kind, "with room for it");
	system("dd if=/dev/zero of=" REST " bs=1M oflag=direct status=none 2>/dev/null");
	work(kind, "with a file system that is full");
	tap_equal(unlink(REST), 0, "%s: there is room again", kind);
	tap_ok(wait_until(took, &few, MRM_LONG), "%s: swap goes on", kind);
	tap_ok(process_verify(&vm), "%s: every byte is right at last", kind);
	process_stop(&vm);
	mrm_nothing_left(kind);
	tap_ok(disk_unmount(MOUNT) && !rmdir(MOUNT), "%s: the file is nobody's", kind);
}

static bool is_there(const char *kind)
{
	char command[128];

	snprintf(command, sizeof(command), "modprobe -q %s && command -v mkfs.%s >/dev/null",
		 kind, kind);
	return !system(command);
}

/* The kernel closes what a VM had a moment after its end. */
static bool ram_is_gone(void *unused)
{
	(void)unused;
	return !system("modprobe -q -r brd");
}

int main(void)
{
	static const char *const kinds[] = { "ext4", "xfs", "btrfs" };
	size_t i;

	mrm_begin();
	/* One that is larger than what other tests have. */
	if (!wait_until(ram_is_gone, NULL, MRM_LONG))
		tap_bail("somebody has a RAM disk open");
	if (system("modprobe -q brd rd_nr=1 rd_size=" DISK_KIB)) {
		tap_skip("no RAM disk", "file systems");
		return tap_done();
	}
	mrm_set("zip_max", "0");
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (is_there(kinds[i]))
			test_kind(kinds[i]);
		else
			tap_skip("not on this host", kinds[i]);
	}
	tap_ok(wait_until(ram_is_gone, NULL, MRM_LONG), "nobody has the disk open");
	return tap_done();
}
