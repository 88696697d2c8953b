// SPDX-License-Identifier: GPL-2.0
/*
 * A swap file that fails: what cannot be written stays in memory, and its slot is not used
 * again; what cannot be read, or is not what was written, is an error of memory to whoever
 * touches it, and never wrong data; and all is well when the disk is well again.  One that
 * hangs keeps nothing from being taken that need not be written.
 *
 * A RAM disk under device mapper, whose table says what becomes of reads and writes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "kernel_log.h"
#include "memory_error.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define NAME		"mrm-swap"
#define DISK		"/dev/mapper/" NAME
#define DISK_SECTORS	(DISK_RAM_BYTES / 512)
#define PAGES		1024
#define MOUNT		"/tmp/mrm-swap"
#define SWAP_FILE	MOUNT "/file"
#define SLOW_MS		4000
#define SHORT_PAGES	600UL

static struct vm_process vm;

static const char *good_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu linear " DISK_RAM " 0", DISK_SECTORS);
	return table;
}

static const char *bad_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu error", DISK_SECTORS);
	return table;
}

/* It ends in the middle of a page. */
static const char *short_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu linear " DISK_RAM " 0", SHORT_PAGES * 8 + 4);
	return table;
}

/* What is under way ends with the old table. */
static void set_table(const char *table)
{
	if (!disk_change(NAME, table))
		tap_bail("dmsetup: no table %s", table);
}

/* A VM of which the first @used pages are like no other, and the rest is zero. */
static void start_with(const char *path, uint32_t first, size_t used, size_t pages)
{
	const struct vm_config config = { .pages = pages };
	size_t i;

	process_start(&vm, &config);
	mrm_vm_set(vm.pid, "share", "0");
	if (disk_hand_over(path, vm.pid))
		tap_bail("%s cannot be a swap file", path);
	for (i = 0; i < pages; i++)
		vm.states[i] = i < used ? first + i : 0;
	if (process_guest(&vm, GUEST_FILL, 0, pages))
		tap_bail("cannot fill");
}

static void start_on(const char *path, uint32_t first)
{
	start_with(path, first, PAGES, PAGES);
}

static void start(uint32_t first)
{
	start_on(DISK, first);
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

static long lost(size_t count)
{
	return memory_count_lost(&vm, 0, count);
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

/* One run after the other: of two that are written at once the second may find no disk first. */
static bool is_full(void *unused)
{
	long had = mrm_vm_get(vm.pid, "swapped_pages");

	(void)unused;
	mrm_vm_reclaim(vm.pid, 16 * PAGE_SIZE);
	mrm_vm_wait(vm.pid, "swapped_pages", had + 1, PAGES, 200);
	return mrm_vm_get(vm.pid, "swapped_pages") >= (long)SHORT_PAGES;
}

/* A write that ends before its end is none. */
static void test_short_write(void)
{
	start(1);
	set_table(short_table());
	tap_ok(wait_until(is_full, NULL, MRM_LONG), "the disk gets shorter: it is filled");
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	tap_ok(mrm_vm_wait(vm.pid, "swap_bad_pages", 1, 1, MRM_LONG),
	       "the slot of which half is there is not used again");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), SHORT_PAGES, "those before it hold a page");
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), PAGES - SHORT_PAGES,
		  "the others are in memory");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	set_table(good_table());
	swap_all("the disk is as long as before");
	tap_equal(mrm_vm_get(vm.pid, "swap_bad_pages"), 1, "one slot is bad");
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	mrm_check("after a short write");
	process_stop(&vm);
}

/* What is in memory is not given up for what is on a disk that cannot be read. */
static void test_kept(void)
{
	long swapped;

	start(6 << 20);
	mrm_vm_set(vm.pid, "share", "1");
	swap_all("at first");
	tap_equal(lost(PAGES), 0, "all is read");
	/* Now its mappings tell of writes. */
	swap_all("once more");
	tap_equal(lost(PAGES), 0, "all is read again");
	tap_equal(mrm_vm_get(vm.pid, "swap_cached_pages"), PAGES, "and keeps its slots");
	mrm_vm_reclaim(vm.pid, PAGES / 2 * PAGE_SIZE);
	swapped = mrm_vm_get(vm.pid, "swapped_pages");
	tap_between(swapped, PAGES / 2, PAGES * 3 / 4, "half of it is taken");
	set_table(bad_table());
	tap_equal(lost(PAGES), swapped, "and cannot be read");
	mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
	tap_ok(mrm_vm_wait(vm.pid, "swap_bad_pages", 1, PAGES, MRM_LONG),
	       "nor can the rest be written");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), swapped, "which is not taken");
	set_table(good_table());
	tap_equal(process_guest(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	swap_all("the disk is well again");
	tap_equal(lost(PAGES), 0, "all is read");
	mrm_check("after a disk that could not be read");
	process_stop(&vm);
}

/* A guest hears of it as of any memory error, by QEMU, and goes on when the page can be read. */
static void test_guest_meets(void)
{
	const struct guest_work work = { .command = GUEST_VERIFY, .count = 1 };
	char page[64], name[32];
	const char *const words[] = { name, " of " NAME " cannot be read", page, NULL };

	snprintf(page, sizeof(page), "the page at %#lx is lost", (unsigned long)vm.ram);
	snprintf(name, sizeof(name), "VM %d (", vm.pid);
	kernel_log_from_now();
	set_table(bad_table());
	process_send(&vm, memory_count_signals, &work, sizeof(work));
	tap_ok(wait_until(kernel_log_says, (void *)words, MRM_LONG),
	       "the guest reads what cannot be read: the log names VM, page and file");
	set_table(good_table());
	tap_between(process_receive(&vm, MRM_LONG), 1, LONG_MAX,
		    "it is told by SIGBUS, and finds what was written when the disk is well");
	tap_between(mrm_vm_get(vm.pid, "read_errors"), 1, LONG_MAX, "each error is counted");
}

static void test_read_errors(void)
{
	start(1 << 20);
	swap_all("before the guest reads");
	test_guest_meets();
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
	fd = open(DISK_RAM, O_RDWR | O_DIRECT);
	memset(junk, 0x5a, sizeof(junk));
	tap_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk), "16 slots are overwritten");
	close(fd);
	wrong = lost(PAGES);
	tap_between(wrong, 1, 16, "their pages are errors, and no wrong data");
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), wrong, "they stay in swap");
	tap_equal(mrm_vm_get(vm.pid, "read_errors"), wrong, "each is counted");
	tap_equal(lost(PAGES), wrong, "and errors, as often as they are touched");
	process_kill(&vm);
}

/* Root takes the file away under the VM: errors, and no wrong data, also when it is back. */
static void test_truncated(void)
{
	if (!disk_mount(DISK, MOUNT, "ext4"))
		tap_bail("no file system on " DISK);
	if (system("truncate -s 16M " SWAP_FILE))
		tap_bail("no file");
	start_on(SWAP_FILE, 4 << 20);
	swap_all("before the file is truncated");
	tap_equal(truncate(SWAP_FILE, 0), 0, "the file is truncated");
	tap_equal(lost(PAGES), PAGES, "all that was in it are errors");
	tap_equal(truncate(SWAP_FILE, 16 * MiB), 0, "the file is as long as before");
	lost(PAGES);
	tap_equal(lost(PAGES), PAGES, "and its zeroes are errors, too");
	mrm_check("after the file was truncated");
	process_kill(&vm);
	mrm_nothing_left("after it was killed");
	tap_ok(disk_unmount(MOUNT) && !rmdir(MOUNT), "the file is nobody's");
}

static const char *slow_table(void)
{
	static char table[128];

	snprintf(table, sizeof(table), "0 %lu delay " DISK_RAM " 0 %d", DISK_SECTORS, SLOW_MS);
	return table;
}

static void *touch_first(void *arg)
{
	struct vm *v = arg;

	(void)*(volatile uint8_t *)v->view.ram;
	return NULL;
}

/* A thread of this process is where no signal but a deadly one reaches it. */
static bool one_waits(void *unused)
{
	char path[64], text[1024];
	struct dirent *thread;
	bool waits = false;
	DIR *dir = opendir("/proc/self/task");

	(void)unused;
	while (dir && (thread = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", thread->d_name);
		if (file_read(path, text, sizeof(text)) > 0 && strstr(text, "State:\tD"))
			waits = true;
	}
	if (dir)
		closedir(dir);
	return waits;
}

/* A thread reads the first page, which is in swap, and waits for the disk. */
static bool begin_read(struct vm *v, pthread_t *reader)
{
	return !pthread_create(reader, NULL, touch_first, v) &&
	       wait_until(one_waits, NULL, MRM_LONG);
}

/* In the VM's process.  Returns how many ms it took to discard what is being read. */
static long discard_meanwhile(struct vm *v, void *unused)
{
	pthread_t reader;
	long begun, took;

	(void)unused;
	if (!begin_read(v, &reader))
		return -1;
	begun = now_ms();
	if (vm_discard(v, 0, PAGES))
		return -2;
	took = now_ms() - begun;
	pthread_join(reader, NULL);
	return took;
}

/* Who gives a page up does not wait for the disk. */
static void test_discard(void)
{
	start(3 << 20);
	swap_all("before reads are slow");
	set_table(slow_table());
	tap_between(process_call(&vm, discard_meanwhile, NULL, 0), 0, SLOW_MS / 2,
		    "what is being read is discarded at once (ms)");
	set_table(good_table());
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "nothing is in swap");
	tap_equal(mrm_vm_get(vm.pid, "swap_free_pages") + mrm_vm_get(vm.pid, "swap_bad_pages"),
		  DISK_RAM_BYTES / PAGE_SIZE, "and no slot is lost");
	tap_ok(process_verify(&vm), "all is zero");
	mrm_check("after a discard of what was being read");
	process_stop(&vm);
}

/*
 * In the VM's process.  Returns how many ms it took to fault another page in and to change the
 * address space, while one is being read, which goes on.
 */
static long fault_meanwhile(struct vm *v, void *unused)
{
	static pthread_t reader;
	long begun;
	void *p;

	(void)unused;
	if (!begin_read(v, &reader))
		return -1;
	begun = now_ms();
	*(volatile uint8_t *)vm_page(v, PAGES - 1) = 1;
	p = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || munmap(p, PAGE_SIZE))
		return -2;
	return now_ms() - begun;
}

/* Who waits for the disk holds nobody up, and can be killed. */
static void test_waiting(void)
{
	long begun;

	start(4 << 20);
	swap_all("before one waits");
	tap_equal(process_discard(&vm, PAGES - 1, 1), 0, "one page is discarded");
	set_table(slow_table());
	tap_between(process_call(&vm, fault_meanwhile, NULL, 0), 0, SLOW_MS / 2,
		    "while one is being read another is faulted in, and memory is mapped (ms)");
	begun = now_ms();
	process_kill(&vm);
	tap_between(now_ms() - begun, 0, SLOW_MS / 2, "who waits for it can be killed (ms)");
	set_table(good_table());
	mrm_nothing_left("after it was killed");
}

#define HUNG_LIMIT	(64 * MiB / PAGE_SIZE)	/* the least */
#define HUNG_WRITTEN	HUNG_LIMIT	/* guest pages that have to be written: most may not be */
#define HUNG_ZERO	4096		/* and that need not */
#define HUNG_PAGES	(HUNG_WRITTEN + HUNG_ZERO)

/* A VM whose disk hangs from now on. */
static void start_hung(void)
{
	start_with(DISK, 5 << 20, HUNG_WRITTEN, HUNG_PAGES);
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), HUNG_PAGES, "all has frames of its own");
	if (!disk_hang(NAME, true))
		tap_bail("the disk does not hang");
}

/* Random guest pages are looked at: a few that need not be written are not found. */
static void taken_hung(int ms, const char *what)
{
	tap_ok(mrm_vm_wait(vm.pid, "private_pages", HUNG_WRITTEN, HUNG_WRITTEN + HUNG_ZERO / 4, ms),
	       "%s: what need not be written is taken", what);
	tap_equal(mrm_vm_get(vm.pid, "swapped_pages"), 0, "%s: nothing has been written", what);
}

static bool some_swapped(void *unused)
{
	(void)unused;
	return mrm_vm_get(vm.pid, "swapped_pages") > 0;
}

static void end_hung(const char *what)
{
	tap_ok(disk_hang(NAME, false) && wait_until(some_swapped, NULL, MRM_LONG),
	       "%s: the disk goes on, and writes", what);
	tap_ok(process_verify(&vm), "%s: every byte is right", what);
	mrm_check(what);
	process_stop(&vm);
}

/* What is on its way to the disk outlives the VM, and the module stays for it. */
static void test_hung_kill(void)
{
	long begun;

	start_hung();
	mrm_vm_reclaim(vm.pid, HUNG_PAGES * PAGE_SIZE);
	begun = now_ms();
	process_kill(&vm);
	tap_between(now_ms() - begun, 0, MRM_LONG, "a VM whose disk hangs can be killed (ms)");
	tap_equal(mrm_unload(), -EAGAIN, "the module stays while something is written");
	tap_ok(disk_hang(NAME, false), "the disk goes on");
	mrm_reload("after a VM was killed whose disk hung");
	mrm_set("zip_max", "0");
}

/* Only what must be written waits for a disk that hangs. */
static void test_hung(void)
{
	long begun;

	start_hung();
	begun = now_ms();
	mrm_vm_reclaim(vm.pid, HUNG_PAGES * PAGE_SIZE);
	tap_between(now_ms() - begun, 0, MRM_LONG, "a reclaim ends although the disk hangs (ms)");
	/* It ends when there is little left to be found. */
	mrm_vm_reclaim(vm.pid, HUNG_PAGES * PAGE_SIZE);
	taken_hung(0, "a reclaim");
	end_hung("after a reclaim");

	/* Nothing else wakes who takes it. */
	mrm_set("balance_period", "3600");
	start_hung();
	mrm_set_number("limit_bytes", HUNG_LIMIT * PAGE_SIZE);
	taken_hung(MRM_LONG, "memory is short");
	tap_ok(disk_hang(NAME, false), "memory is short: the disk goes on");
	tap_ok(mrm_vm_wait(vm.pid, "private_pages", 0, HUNG_LIMIT, MRM_LONG),
	       "memory is short: so does who takes what is above the limit");
	mrm_set("limit_bytes", "0");
	mrm_set("balance_period", "15");
	tap_ok(process_verify(&vm), "every byte is right when memory was short");
	mrm_check("when memory was short");
	process_stop(&vm);
	test_hung_kill();
}

int main(void)
{
	mrm_begin();
	mrm_set("zip_max", "0");
	if (!disk_ram()) {
		tap_skip("swap", "no RAM disk");
		return tap_done();
	}
	if (!disk_mapper() || !disk_create(NAME, good_table())) {
		tap_skip("swap", "no device mapper");
		return tap_done();
	}
	test_write_errors();
	test_short_write();
	test_kept();
	test_read_errors();
	test_corruption();
	test_discard();
	test_waiting();
	test_hung();
	test_truncated();
	mrm_nothing_left("after them");
	tap_ok(disk_remove(NAME), "nobody has the disk open");
	return tap_done();
}
