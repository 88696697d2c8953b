// SPDX-License-Identifier: GPL-2.0
/*
 * A swap file that fails: what cannot be written stays in memory, and its slot is not used
 * again; what cannot be read, or is not what was written, is an error of memory to whoever
 * touches it, and never wrong data; and all is well when the disk is well again.
 *
 * A RAM disk under device mapper, whose table says what becomes of reads and writes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define RAM_DISK	"/dev/ram0"
#define NAME		"mrm-swap"
#define DISK		"/dev/mapper/" NAME
#define DISK_SECTORS	(64 * MiB / 512)
#define PAGES		1024

static struct vm_process vm;

static bool set_up(const char *what, const char *table)
{
	char command[512];

	/* There may be no udev that would make the file of it. */
	snprintf(command, sizeof(command),
		 "DM_DISABLE_UDEV=1 dmsetup %s " NAME "%s%s%s >/dev/null 2>&1", what,
		 table ? " --table '" : "", table ? table : "", table ? "'" : "");
	return !system(command);
}

static const char *good_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu linear " RAM_DISK " 0", DISK_SECTORS);
	return table;
}

static const char *bad_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu error", DISK_SECTORS);
	return table;
}

/* What is under way ends with the old table. */
static void set_table(const char *table)
{
	if (!set_up("suspend", NULL) || !set_up("load", table) || !set_up("resume", NULL))
		tap_bail("dmsetup: no table %s", table);
}

static void start(uint32_t first)
{
	const struct vm_config config = { .pages = PAGES };
	int fd = open(DISK, O_RDWR | O_DIRECT);
	char text[16];
	size_t i;

	process_start(&vm, &config);
	mrm_vm_set(vm.pid, "share", "0");
	snprintf(text, sizeof(text), "%d", fd);
	if (fd < 0 || mrm_vm_set(vm.pid, "swap_file", text))
		tap_bail("no swap file");
	close(fd);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = first + i;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

static bool took_all(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "swapped_pages") == PAGES;
}

static void swap_all(const char *when)
{
	tap_ok(wait_until(took_all, NULL, MRM_LONG), "%s: all is in swap", when);
}

static sigjmp_buf stop;

static void on_bus(int signal)
{
	(void)signal;
	siglongjmp(stop, 1);
}

/* In the VM's process.  Returns how many of so many pages cannot be read, or -1 if one is wrong. */
static long count_lost(struct vm *v, void *arg)
{
	size_t count = *(size_t *)arg;
	struct guest_wrong wrong;
	volatile long lost = 0;
	volatile size_t i;

	signal(SIGBUS, on_bus);
	for (i = 0; i < count; i++) {
		if (sigsetjmp(stop, 1))
			lost++;
		else if (guest_check(&v->view, i, &wrong))
			return -1;
	}
	signal(SIGBUS, SIG_DFL);
	return lost;
}

static long lost(size_t count)
{
	return process_call(&vm, count_lost, &count, sizeof(count));
}

static void test_write_errors(void)
{
	long bad;

	start(1);
	set_table(bad_table());
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	tap_ok(mrm_vm_wait(vm.pid, "swap_bad_pages", 1, PAGES, MRM_LONG),
	       "writes fail: slots are not used again");
	bad = mrm_vm_get(vm.pid, "swap_bad_pages");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "nothing is in swap");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PAGES, "all is in memory");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	set_table(good_table());
	swap_all("the disk is well again");
	tap_between(mrm_vm_get(vm.pid, "swap_bad_pages"), bad, 2 * PAGES, "bad slots stay bad");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	mrm_check("after writes that failed");
	process_stop(&vm);
}

static void test_read_errors(void)
{
	start(1 << 20);
	swap_all("before reads fail");
	set_table(bad_table());
	tap_equal(lost(100), 100, "reads fail: an error each, and no wrong data");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), PAGES, "they are in swap as before");
	mrm_check("after reads that failed");
	set_table(good_table());
	/* That it failed is told once more to who comes next: the fault began before. */
	lost(100);
	tap_equal(lost(PAGES), 0, "the disk is well again: every byte is right");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "and nothing in swap");
	process_stop(&vm);
}

/* Somebody writes to the file: the checksum tells. */
static void test_corruption(void)
{
	static uint8_t junk[16 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	long wrong;
	int fd;

	start(2 << 20);
	swap_all("before it is overwritten");
	fd = open(RAM_DISK, O_RDWR | O_DIRECT);
	memset(junk, 0x5a, sizeof(junk));
	tap_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk), "16 slots are overwritten");
	close(fd);
	wrong = lost(PAGES);
	tap_between(wrong, 1, 16, "their pages are errors, and no wrong data");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), wrong, "they stay in swap");
	tap_equal(lost(PAGES), wrong, "and errors, as often as they are touched");
	process_kill(&vm);
}

int main(void)
{
	mrm_begin();
	mrm_set("zip_max", "0");
	if (access(RAM_DISK, F_OK) && system("modprobe brd rd_nr=4 rd_size=65536 2>/dev/null")) {
		tap_skip("swap", "no RAM disk");
		return tap_done();
	}
	if (system("modprobe dm_mod 2>/dev/null") || !set_up("create", good_table())) {
		tap_skip("swap", "no device mapper");
		return tap_done();
	}
	test_write_errors();
	test_read_errors();
	test_corruption();
	mrm_nothing_left("after them");
	tap_ok(set_up("remove", NULL), "nobody has the disk open");
	return tap_done();
}
