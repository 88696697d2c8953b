// SPDX-License-Identifier: GPL-2.0
/*
 * Guest pages that others hold: pinned for long, as for an assigned device;
 * pinned for I/O while the scanner runs; read and written from outside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk.h"
#include "kernel_log.h"
#include "mrm.h"
#include "pagemap.h"
#include "pin.h"
#include "tap.h"
#include "test_module.h"
#include "vm_process.h"

#define PAGES		2048
#define PINNED		1024	/* pages from the beginning of RAM */
#define DIRECT_MS	4000
#define PINNED_VALUE	"/sys/module/pinner/parameters/value"

static struct vm_process vm;
static const size_t pinned = PINNED;

static void fill_ram(void)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		vm.states[i] = i % 4 ? 1 + i % 32 : 0;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

static void start(void)
{
	const struct vm_config config = { .pages = PAGES };

	process_start(&vm, &config);
	fill_ram();
}

static void end(const char *when)
{
	tap_ok(process_verify(&vm), "every byte is right %s", when);
	mrm_check(when);
	process_stop(&vm);
	mrm_nothing_left(when);
}

/*
 * Pins: io_uring buffers, which the kernel counts in the process, and an AF_XDP
 * area, which it does not.
 */

static long ring = -1;

static long pin_uring(struct vm *v, void *arg)
{
	struct io_uring_params params = {};
	struct iovec iov = { v->view.ram, PINNED * PAGE_SIZE };
	long err;

	(void)arg;
	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0)
		return -EPROTONOSUPPORT;
	if (!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1))
		return 0;
	err = -errno;
	close(ring);
	return err;
}

static long unpin_uring(struct vm *v, void *arg)
{
	(void)v;
	(void)arg;
	if (syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0))
		return -errno;
	return close(ring);
}

/* Sum of the machine pages behind the pinned pages, to see whether they moved. */
static long machine_pages(struct vm *v, void *arg)
{
	uint64_t frame, sum = 0;
	size_t i;
	int err;

	(void)arg;
	for (i = 0; i < PINNED; i++) {
		/* It may have been unmapped by a scan; then it is faulted in. */
		(void)*(volatile uint8_t *)vm_page(v, i);
		err = pagemap_read(getpid(), vm_page(v, i), 1, &frame);
		if (err)
			return err;
		sum = pattern_mix(sum + frame);
	}
	return sum >> 1;
}

/* Does the kernel count the pins?  From 7.x io_uring does not for root. */
static long pins_counted(struct vm *v, void *arg)
{
	char line[MRM_TEXT];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	(void)v;
	(void)arg;
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmPin: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib > 0;
}

static bool passes_until_on(void *unused)
{
	char text[MRM_TEXT];

	(void)unused;
	return process_share_all(&vm, 1, 0, PAGES) &&
	       !strcmp(mrm_vm_text(vm.pid, "share_state", text), "on");
}

static void test_uring(void)
{
	char text[MRM_TEXT];
	long err, pages, counted;

	start();
	err = process_call(&vm, pin_uring, NULL, 0);
	if (err == -EOPNOTSUPP || err == -EPROTONOSUPPORT) {
		/* Before 6.5 io_uring refuses all files but shmem's and hugetlb's. */
		tap_skip(strerror(-err), "buffers of io_uring in guest RAM");
		end("without io_uring");
		return;
	}
	tap_equal(err, 0, "guest RAM of a fresh VM can be pinned for long");
	pages = process_call(&vm, machine_pages, NULL, 0);
	counted = process_call(&vm, pins_counted, NULL, 0);
	tap_ok(process_share_all(&vm, 1, PINNED, PAGES - PINNED), "a pass");
	tap_text(mrm_vm_text(vm.pid, "share_state", text), counted ? "pinned" : "on",
		 "then it is not shared, if its pins are counted");
	tap_equal(mrm_get("shared_pages"), counted ? 0 : PAGES - PINNED, "nothing pinned is");
	fill_ram();
	tap_equal(process_call(&vm, machine_pages, NULL, 0), pages, "pinned pages stay in place");
	tap_ok(process_verify(&vm), "every byte is right");
	tap_equal(process_call(&vm, unpin_uring, NULL, 0), 0, "the pins are given up");
	/* io_uring drops them some time later. */
	tap_ok(wait_until(passes_until_on, NULL, MRM_LONG), "then it is shared");
	tap_equal(mrm_get("shared_pages"), PAGES, "all of it");
	err = process_call(&vm, pin_uring, NULL, 0);
	tap_ok(err < 0, "it cannot be pinned for long while it is shared");
	tap_equal(mrm_vm_set(vm.pid, "share", "0"), 0, "sharing is turned off for the VM");
	tap_equal(process_call(&vm, pin_uring, NULL, 0), 0, "then it can be pinned for long again");
	pages = process_call(&vm, machine_pages, NULL, 0);
	tap_equal(mrm_vm_set(vm.pid, "share", "1"), 0, "sharing is turned on again");
	tap_ok(mrm_full_pass(), "a pass");
	tap_text(mrm_vm_text(vm.pid, "share_state", text), counted ? "pinned" : "on",
		 "the pins are noticed, if they are counted");
	tap_equal(process_call(&vm, machine_pages, NULL, 0), pages, "pinned pages stay in place");
	/* The VM ends with its pins. */
	end("with pinned buffers");
}

static void test_umem(void)
{
	long err, pages;

	start();
	err = process_call(&vm, pin_pages, &pinned, sizeof(pinned));
	if (err == -EPROTONOSUPPORT) {
		tap_skip("no AF_XDP", "pages that are pinned and not counted");
		end("without AF_XDP");
		return;
	}
	tap_equal(err, 0, "an AF_XDP area in guest RAM of a fresh VM");
	pages = process_call(&vm, machine_pages, NULL, 0);
	tap_ok(mrm_full_pass() && process_share_all(&vm, 1, PINNED, PAGES - PINNED), "two passes");
	tap_equal(mrm_get("shared_pages"), PAGES - PINNED, "all but the pinned pages are shared");
	tap_equal(process_call(&vm, machine_pages, NULL, 0), pages, "pinned pages stay in place");
	fill_ram();
	tap_ok(mrm_full_pass(), "a pass after RAM was written");
	tap_equal(process_call(&vm, machine_pages, NULL, 0), pages, "and still do");
	tap_equal(process_call(&vm, unpin_pages, NULL, 0), 0, "the pins are given up");
	end("after an AF_XDP area");
}

/* All has been taken but what is pinned. */
static bool pinned_are_left(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "private_pages") == PINNED;
}

static bool none_is_left(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       !mrm_vm_get(vm.pid, "private_pages");
}

/* What is pinned is not zipped, nor moved, however often it is drawn. */
static void test_taken(void)
{
	long err, pages;
	size_t i;

	start();
	mrm_vm_set(vm.pid, "share", "0");
	for (i = 0; i < PAGES; i++)
		vm.states[i] = THIN | (1 + i);
	process_guest(&vm, GUEST_FILL, 0, PAGES);
	err = process_call(&vm, pin_pages, &pinned, sizeof(pinned));
	if (err) {
		tap_skip("no AF_XDP", "pinned pages are not taken");
		end("without AF_XDP");
		return;
	}
	pages = process_call(&vm, machine_pages, NULL, 0);
	mrm_set("zip_max", "50");
	tap_ok(wait_until(pinned_are_left, NULL, MRM_LONG), "all is zipped but what is pinned");
	tap_equal(mrm_vm_get(vm.pid, "zipped_pages"), PAGES - PINNED, "the rest of it");
	tap_equal(process_call(&vm, machine_pages, NULL, 0), pages, "pinned pages stay in place");
	mrm_check("with pinned pages left");
	tap_equal(process_call(&vm, unpin_pages, NULL, 0), 0, "the pins are given up");
	tap_ok(wait_until(none_is_left, NULL, MRM_LONG), "then they are zipped, too");
	end("after pinned pages were to be taken");
	mrm_set("zip_max", "10");
}

/*
 * Discarding a page that is pinned: the device keeps the old page, the guest
 * gets a new one; nobody else may get the old one meanwhile.
 */
static void test_discard_pinned(void)
{
	long err;

	start();
	err = process_call(&vm, pin_pages, &pinned, sizeof(pinned));
	if (err) {
		tap_skip("no AF_XDP", "discards of pinned pages");
		end("without AF_XDP");
		return;
	}
	tap_equal(process_discard(&vm, 0, PINNED), 0, "pinned pages are discarded");
	tap_equal(mrm_get("resident_pages"), PAGES - PINNED, "and count no more");
	fill_ram();
	tap_ok(mrm_full_pass(), "a pass");
	tap_ok(process_verify(&vm), "every byte is right");
	tap_equal(process_call(&vm, unpin_pages, NULL, 0), 0, "the pins are given up");
	end("after discards of pinned pages");
}

/*
 * O_DIRECT: pages travel to a block device and back into others.
 */

struct direct {
	char path[64];
	uint64_t seed;
};

static long direct_io(struct vm *v, void *arg)
{
	struct direct *d = arg;
	int fd = open(d->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	long end = now_ms() + DIRECT_MS, n = 0, bytes;
	struct guest_work work = { .command = GUEST_VERIFY };

	if (fd < 0)
		return -errno;
	while (now_ms() < end) {
		size_t from = pattern_random(&d->seed, PAGES - 16);
		size_t to = pattern_random(&d->seed, PAGES - 16);
		size_t count = 1 + pattern_random(&d->seed, 16), i;
		off_t at = pattern_random(&d->seed, 64) * 16 * PAGE_SIZE;

		/* A word changes, so that pages do not stay shared for ever. */
		v->view.states[from] = pattern_poke((uint32_t)v->view.states[from], n % 8);
		work = (struct guest_work){ .command = GUEST_FILL, .first = from, .count = 1 };
		if (vm_guest(v, 0, &work))
			return -1;
		bytes = count * PAGE_SIZE;
		if (pwrite(fd, vm_page(v, from), bytes, at) != bytes ||
		    pread(fd, vm_page(v, to), bytes, at) != bytes)
			return -errno;
		if (to > from)
			for (i = count; i--;)
				v->view.states[to + i] = v->view.states[from + i];
		else
			for (i = 0; i < count; i++)
				v->view.states[to + i] = v->view.states[from + i];
		work = (struct guest_work){ .command = GUEST_VERIFY, .first = to, .count = count };
		if (vm_guest(v, 0, &work) || vm_user(v, &work))
			return -1;
		n++;
	}
	close(fd);
	return n;
}

static volatile bool scanning_ends;

static void *scan_on(void *unused)
{
	(void)unused;
	while (!scanning_ends && mrm_full_pass())
		;
	return NULL;
}

static void test_direct(void)
{
	struct direct d = { .seed = 42, .path = DISK_RAM };
	pthread_t scanner;
	long n, broken;

	if (!disk_ram()) {
		tap_skip("no block device in RAM (brd)", "O_DIRECT");
		return;
	}
	start();
	broken = mrm_get("broken_pages");
	if (pthread_create(&scanner, NULL, scan_on, NULL))
		tap_bail("no thread");
	n = process_call(&vm, direct_io, &d, sizeof(d));
	scanning_ends = true;
	pthread_join(scanner, NULL);
	tap_ok(n > 0, "O_DIRECT from and to guest pages while they are scanned");
	tap_note("%ld transfers, %ld pages broken", n, mrm_get("broken_pages") - broken);
	tap_ok(mrm_get("broken_pages") > broken, "they were shared meanwhile");
	end("after O_DIRECT");
}

/* A disk that the emulator reads for us, into shared pages: real DMA. */
static long read_disk(struct vm *v, void *arg)
{
	struct direct *d = arg;
	int fd = open(d->path, O_RDONLY | O_DIRECT | O_CLOEXEC), cached;
	static uint8_t want[16 * PAGE_SIZE];
	long n;

	cached = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || cached < 0)
		return -errno;
	for (n = 0; n < 64; n++) {
		if (pread(cached, want, sizeof(want), n * sizeof(want)) != sizeof(want) ||
		    pread(fd, vm_page(v, 16 * n), sizeof(want), n * sizeof(want)) != sizeof(want))
			return -errno;
		if (memcmp(vm_page(v, 16 * n), want, sizeof(want)))
			return -1;
	}
	close(fd);
	close(cached);
	return 0;
}

static void test_disk(void)
{
	struct direct d = { .path = "/dev/vda" };

	if (access(d.path, R_OK)) {
		tap_skip("no /dev/vda", "O_DIRECT reads of a disk");
		return;
	}
	start();
	tap_ok(process_share_all(&vm, 1, 0, PAGES), "a pass");
	tap_equal(process_call(&vm, read_disk, &d, sizeof(d)), 0,
		  "a disk is read into shared pages with O_DIRECT");
	tap_equal(mrm_get("shared_pages"), PAGES - 64 * 16, "which are private now, and no other");
	fill_ram();
	end("after reads of a disk");
}

/*
 * From outside: process_vm_readv(), process_vm_writev(), /proc/PID/mem.
 */

static void test_outside(void)
{
	static uint64_t page[PAGE_WORDS];
	struct iovec here = { page, sizeof(page) }, there;
	char path[64];
	long wrong = 0;
	size_t i;
	int fd;

	if (process_vm_readv(getpid(), &here, 1, &here, 1, 0) < 0) {
		tap_skip(strerror(errno), "writes from outside");
		return;
	}
	start();
	tap_ok(process_share_all(&vm, 1, 0, PAGES), "a pass");
	tap_equal(mrm_get("shared_pages"), PAGES, "all is shared");
	for (i = 0; i < PAGES; i++) {
		there = (struct iovec){ vm.ram + i * PAGE_SIZE, PAGE_SIZE };
		wrong += process_vm_readv(vm.pid, &here, 1, &there, 1, 0) != PAGE_SIZE ||
			 pattern_check(page, vm.states[i]) != PAGE_WORDS;
	}
	tap_equal(wrong, 0, "process_vm_readv reads what is there");
	tap_equal(mrm_get("shared_pages"), PAGES, "and breaks nothing");

	for (i = 0; i < 100; i++) {
		uint32_t state = 5 << 20 | i;

		pattern_fill(page, state);
		there = (struct iovec){ vm.ram + i * PAGE_SIZE, PAGE_SIZE };
		if (process_vm_writev(vm.pid, &here, 1, &there, 1, 0) == PAGE_SIZE)
			vm.states[i] = state;
		else
			wrong++;
	}
	tap_equal(wrong, 0, "process_vm_writev writes");
	tap_equal(mrm_get("shared_pages"), PAGES - 100, "and breaks what it writes to");
	tap_ok(process_verify(&vm), "every byte is right");

	snprintf(path, sizeof(path), "/proc/%d/mem", vm.pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (i = 200; i < 300; i++) {
		uint64_t state = pattern_poke(vm.states[i], i);
		struct pattern p = pattern_of(state);

		if (pwrite(fd, &p.poke_value, 8,
			   (unsigned long)vm.ram + i * PAGE_SIZE + p.poke * 8) == 8)
			vm.states[i] = state;
		else
			wrong++;
	}
	tap_equal(wrong, 0, "/proc/PID/mem writes a word, as a debugger does");
	tap_equal(mrm_get("shared_pages"), PAGES - 200, "and breaks what it writes to");
	for (i = 0; i < PAGES; i++)
		wrong += pread(fd, page, PAGE_SIZE, (unsigned long)vm.ram + i * PAGE_SIZE) !=
			 PAGE_SIZE || pattern_check(page, vm.states[i]) != PAGE_WORDS;
	tap_equal(wrong, 0, "/proc/PID/mem reads what is there");
	close(fd);
	end("after writes from outside");
}

/*
 * vmsplice() lends pages to a pipe: those are held by reference alone.
 */

static void test_vmsplice(void)
{
	struct lent_pages lent = { .first = 64, .count = PIN_LENT };
	size_t first = lent.first, i;

	/* Lent while private: they stay where they are. */
	start();
	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0, "private pages are lent");
	tap_ok(process_share_all(&vm, 1, 0, PAGES), "a pass");
	/* What else is in a large frame with them stays there, too. */
	tap_equal(mrm_get("shared_pages"), PAGES - mrm_touched_pages(first, PIN_LENT),
		  "all others are shared");
	for (i = 0; i < PIN_LENT; i++)
		lent.states[i] = vm.states[first + i];
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0, "the pipe has them");
	tap_ok(process_share_all(&vm, 1, 0, PAGES), "a pass");
	tap_equal(mrm_get("shared_pages"), PAGES, "then they are shared, too");

	/* Lent while shared: what the guest writes then is not for the pipe. */
	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0, "shared pages are lent");
	for (i = 0; i < PIN_LENT; i++)
		vm.states[first + i] = 6 << 20 | i;
	tap_equal(process_guest(&vm, GUEST_FILL, first, PIN_LENT), 0, "they are written");
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0, "the pipe has them");
	tap_equal(mrm_get("shared_pages"), PAGES - PIN_LENT, "only they are private");

	/* Lent, and discarded: the pipe keeps them. */
	for (i = 0; i < PIN_LENT; i++)
		lent.states[i] = vm.states[first + i];
	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0, "private pages are lent");
	tap_equal(process_discard(&vm, first, PIN_LENT), 0, "and discarded");
	tap_equal(process_guest(&vm, GUEST_TOUCH, first, PIN_LENT), 0, "and used again");
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0, "the pipe has them");
	end("after pages were lent to a pipe");
}

/*
 * A pin for long that is only to read, as RDMA's, is not refused, and keeps the shared frame: that
 * cannot be helped, so it is said.
 */

static long load_pinner(struct vm *v, void *arg)
{
	char arguments[64];

	(void)arg;
	snprintf(arguments, sizeof(arguments), "address=%#lx", (unsigned long)vm_page(v, 1));
	return test_module_load("pinner", arguments);
}

static void unpin(void)
{
	test_module_unload("pinner");
}

static void test_read_pin(void)
{
	const char *const words[] = { "may be pinned to be read", NULL };
	char before[32], after[32];
	size_t i;
	int err;

	start();
	/* Zero has more mappings than a pin counts for: they are no pin. */
	for (i = 0; i < PAGES; i++)
		vm.states[i] = i % 4 == 1 ? 1 + i % 32 : 0;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, PAGES), 0, "most are zero");
	tap_ok(process_share_all(&vm, 1, 0, PAGES), "a pass");
	tap_ok(process_verify(&vm), "all are mapped");
	err = process_call(&vm, load_pinner, NULL, 0);
	if (err == -ENOENT) {
		tap_skip("not in this host", "a pin to read");
		end("without a pin to read");
		return;
	}
	tap_equal(err, 0, "the kernel refuses no pin to read");
	/* It would stay if this ended early. */
	atexit(unpin);
	file_read(PINNED_VALUE, before, sizeof(before));
	kernel_log_from_now();
	vm.states[0] = 7 << 20;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, 1), 0, "another page is written");
	tap_ok(!kernel_log_says((void *)words), "nothing is said");
	vm.states[1] = 7 << 20 | 1;
	tap_equal(process_guest(&vm, GUEST_FILL, 1, 1), 0, "the page is written");
	tap_ok(kernel_log_says((void *)words), "that it is pinned is said");
	file_read(PINNED_VALUE, after, sizeof(after));
	tap_text(after, before, "who pinned it reads what it held");
	tap_equal(test_module_unload("pinner"), 0, "it is unpinned");
	end("after a pin to read");
}

int main(void)
{
	mrm_begin();
	test_uring();
	test_umem();
	test_taken();
	test_discard_pinned();
	test_direct();
	test_disk();
	test_outside();
	test_vmsplice();
	test_read_pin();
	return tap_done();
}
