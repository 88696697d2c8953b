// SPDX-License-Identifier: GPL-2.0
/*
 * What else a VM's process may do to the mapping of its RAM, knowing nothing of
 * us: fork, remap, protect, lock, unmap, map over.  What cannot be done is
 * refused and harms nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	4096
#define BYTES	(PAGES * PAGE_SIZE)

static struct vm_process vm;

/* Half of RAM is shared, so both kinds of pages are met everywhere. */
static void start(void)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(&vm, &config);
	for (i = 0; i < PAGES; i++)
		vm.states[i] = i % 2 ? 1 + i % 64 : 1 << 20 | i;
	if (process_guest(&vm, GUEST_FILL, 0, PAGES) || !mrm_share_all())
		tap_bail("cannot prepare");
	tap_equal(mrm_get("shared_pages"), PAGES / 2, "half of RAM is shared");
}

static void end(const char *when)
{
	process_stop(&vm);
	mrm_nothing_left(when);
}

static void unharmed(const char *when)
{
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), BYTES, "%s: RAM is adopted as before", when);
	tap_equal(mrm_get("resident_pages"), PAGES, "%s: all pages are resident", when);
	tap_ok(process_verify(&vm), "%s: every byte is right", when);
	mrm_check(when);
}

/* Forks; the child touches RAM; returns the signal that ended it, or 0. */
static long touch_in_child(struct vm *v, void *arg)
{
	bool *write = arg;
	struct rlimit no_core = { 0, 0 };
	pid_t pid;
	int status;
	size_t i;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		for (i = 0; i < PAGES; i++) {
			volatile uint64_t *page = (uint64_t *)vm_page(v, i);

			if (*write)
				page[1] = ~0ULL;
			else if (page[0] != ~0ULL)
				continue;
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static long let_fork(struct vm *v, void *arg)
{
	(void)arg;
	return madvise(v->view.ram, BYTES, MADV_DOFORK) ? -errno : 0;
}

static void test_fork(void)
{
	long refused;
	bool write;
	int i;

	start();
	for (i = 0; i < 2; i++) {
		write = i;
		tap_equal(process_call(&vm, touch_in_child, &write, sizeof(write)), SIGSEGV,
			  "a child has none of the guest's RAM (%s)", write ? "write" : "read");
		unharmed("after a fork");
	}
	/* Newer kernels refuse it for all mappings that grow by no mremap(). */
	refused = process_call(&vm, let_fork, NULL, 0);
	tap_ok(!refused || refused == -EINVAL, "MADV_DOFORK is accepted, or refused (%ld)",
	       refused);
	for (i = 0; i < 2; i++) {
		write = i;
		tap_equal(process_call(&vm, touch_in_child, &write, sizeof(write)),
			  refused ? SIGSEGV : SIGBUS,
			  "then a child has no use of it (%s)", write ? "write" : "read");
		tap_equal(mrm_get("vms"), 1, "the child was no VM");
		unharmed("after a fork with MADV_DOFORK");
	}
	tap_ok(mrm_full_pass(), "a pass");
	unharmed("after a pass");
	end("after forks");
}

/* Forks; the child has all that its parent had, and stays. */
static long leave_child(struct vm *v, void *arg)
{
	pid_t pid;

	(void)v;
	(void)arg;
	fflush(stdout);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	return pid;
}

/* The child holds the struct kvm, and with MADV_DOFORK the mapping, too. */
static void test_outlived(bool mapping)
{
	const char *what = mapping ? "with the mapping" : "without the mapping";
	bool holds;
	long child;
	size_t i;

	start();
	holds = mapping && !process_call(&vm, let_fork, NULL, 0);
	child = process_call(&vm, leave_child, NULL, 0);
	tap_ok(child > 0, "a VM forks a child that stays, %s", what);
	tap_equal(process_discard(&vm, 100, 1000), 0, "the parent discards");
	tap_equal(mrm_get("resident_pages"), PAGES - 1000, "which gives its frames back");
	for (i = 0; i < PAGES; i++)
		vm.states[i] = i % 2 ? 1 + i % 64 : 1 << 20 | i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, PAGES), 0, "it writes");
	unharmed("with a child");
	process_kill(&vm);
	tap_ok(mrm_wait("vms", holds, holds, MRM_LONG), "killed, it is gone%s",
	       holds ? " but for the child's part" : "");
	tap_equal(mrm_get("resident_pages"), 0, "and so are all its frames");
	if (holds)
		tap_ok(mrm_full_pass() && mrm_unload() != 0, "the module cannot be unloaded yet");
	else
		mrm_reload("while the child holds what was a VM");
	kill(child, SIGKILL);
	mrm_reload("after the child has ended, too");
}

struct remap {
	size_t old_bytes, new_bytes;
	int flags;
};

static long try_mremap(struct vm *v, void *arg)
{
	struct remap *r = arg;
	void *p = mremap(v->view.ram, r->old_bytes, r->new_bytes, r->flags, NULL);

	return p == MAP_FAILED ? -errno : 0;
}

static long try_mremap_fixed(struct vm *v, void *arg)
{
	void *to = vm_map_ram(BYTES, VM_ANON);
	void *p = mremap(v->view.ram, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	(void)arg;
	return p == MAP_FAILED ? -errno : 0;
}

static long try_remap_file_pages(struct vm *v, void *arg)
{
	(void)arg;
	return remap_file_pages(v->view.ram, BYTES / 2, 0, PAGES / 2, 0) ? -errno : 0;
}

/* The mapping's file cannot be had from /proc. */
static long try_map_files(struct vm *v, void *arg)
{
	char begins[32], path[320];
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/map_files");
	long result = -ENOENT;
	int fd;

	(void)arg;
	snprintf(begins, sizeof(begins), "%lx-", (unsigned long)v->view.ram);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, begins, strlen(begins)))
			continue;
		snprintf(path, sizeof(path), "/proc/self/map_files/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		result = fd < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	return result;
}

static void test_remap(void)
{
	static const struct {
		struct remap how;
		const char *what;
	} moves[] = {
		{ { BYTES, 2 * BYTES, 0 }, "growing in place" },
		{ { BYTES, 2 * BYTES, MREMAP_MAYMOVE }, "growing anywhere" },
		{ { 0, BYTES, MREMAP_MAYMOVE }, "a second mapping" },
		{ { BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_DONTUNMAP }, "moving, and leaving it" },
	};
	unsigned int i;
	long err;

	start();
	for (i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		err = process_call(&vm, try_mremap, &moves[i].how, sizeof(moves[i].how));
		tap_ok(err < 0, "mremap, %s, is refused", moves[i].what);
		tap_note("%s", strerror(-err));
		unharmed(moves[i].what);
	}
	tap_ok(process_call(&vm, try_mremap_fixed, NULL, 0) < 0, "mremap to a place is refused");
	unharmed("mremap to a place");
	tap_ok(process_call(&vm, try_remap_file_pages, NULL, 0) < 0, "remap_file_pages is refused");
	unharmed("remap_file_pages");
	err = process_call(&vm, try_map_files, NULL, 0);
	tap_ok(err < 0, "the file cannot be opened through /proc/self/map_files");
	tap_note("%s", strerror(-err));
	unharmed("map_files");
	end("after remapping");
}

struct range {
	size_t first, count;
	int prot;
};

static long protect(struct vm *v, void *arg)
{
	struct range *r = arg;

	return mprotect(vm_page(v, r->first), r->count * PAGE_SIZE, r->prot) ? -errno : 0;
}

static sigjmp_buf faulted;

static void on_fault(int signal)
{
	siglongjmp(faulted, signal);
}

/* Returns the signal that writing to a page raises, or 0. */
static long write_signal(struct vm *v, void *arg)
{
	struct range *r = arg;
	volatile uint64_t *p = (uint64_t *)vm_page(v, r->first);
	int signal_number;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	signal_number = sigsetjmp(faulted, 1);
	if (!signal_number)
		*p = *p;
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return signal_number;
}

static long call_range(process_fn fn, size_t first, size_t count, int prot)
{
	struct range r = { first, count, prot };

	return process_call(&vm, fn, &r, sizeof(r));
}

static void test_protect(void)
{
	size_t i;

	start();
	tap_equal(call_range(protect, 1000, 200, PROT_READ), 0, "a part is made read-only");
	tap_ok(process_verify(&vm), "it can be read by both sides");
	tap_equal(call_range(write_signal, 1100, 1, 0), SIGSEGV, "a private page is safe");
	tap_equal(call_range(write_signal, 1101, 1, 0), SIGSEGV, "so is a shared page");
	tap_equal(process_guest(&vm, GUEST_TOUCH, 1100, 1), -EFAULT, "from the guest, too");
	tap_equal(process_user(&vm, GUEST_VERIFY, 0, PAGES), 0, "every byte is right");
	tap_equal(call_range(protect, 1000, 200, PROT_NONE), 0, "it is made inaccessible");
	tap_equal(call_range(write_signal, 1100, 1, 0), SIGSEGV, "a write faults");
	tap_equal(call_range(protect, 1000, 200, PROT_READ | PROT_WRITE), 0, "and writable again");
	unharmed("writable again");
	for (i = 1000; i < 1200; i++)
		vm.states[i] = pattern_poke(vm.states[i], i % PAGE_WORDS);
	tap_equal(process_guest(&vm, GUEST_POKE, 1000, 100), 0, "the guest writes to it");
	tap_equal(process_user(&vm, GUEST_POKE, 1100, 100), 0, "user space writes to it");
	tap_equal(mrm_get("shared_pages"), PAGES / 2 - 100, "which has broken sharing there alone");
	unharmed("written after it was read-only");
	tap_ok(mrm_full_pass(), "a pass");
	unharmed("a pass over a part that was read-only");
	end("after changes of protection");
}

static long lock(struct vm *v, void *arg)
{
	(void)arg;
	return mlock(v->view.ram, BYTES) ? -errno : 0;
}

static long unlock(struct vm *v, void *arg)
{
	(void)arg;
	return munlock(v->view.ram, BYTES) ? -errno : 0;
}

/* Locked only after it was adopted. */
static void test_lock(void)
{
	size_t i;

	start();
	tap_equal(process_call(&vm, lock, NULL, 0), 0, "RAM is locked after it was adopted");
	unharmed("locked");
	tap_ok(mrm_full_pass(), "a pass over locked RAM");
	unharmed("a pass over locked RAM");
	for (i = 0; i < PAGES; i++)
		vm.states[i] = 2 << 20 | i;
	tap_equal(process_guest(&vm, GUEST_FILL, 0, PAGES), 0, "the guest writes to it");
	unharmed("locked RAM written");
	tap_equal(process_call(&vm, unlock, NULL, 0), 0, "RAM is unlocked");
	unharmed("unlocked");
	tap_equal(process_call(&vm, lock, NULL, 0), 0, "RAM is locked once more");
	end("after it was locked");
}

static long unmap(struct vm *v, void *arg)
{
	struct range *r = arg;

	return munmap(vm_page(v, r->first), r->count * PAGE_SIZE) ? -errno : 0;
}

static long map_over(struct vm *v, void *arg)
{
	struct range *r = arg;
	void *p = mmap(vm_page(v, r->first), r->count * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static void part_gone(size_t first, size_t count, const char *how)
{
	long private = mrm_get("private_pages"), shared = mrm_get("shared_pages");

	tap_equal(PAGES - mrm_get("resident_pages"), count, "%s: its frames are given back", how);
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), BYTES - count * PAGE_SIZE,
		  "%s: it is adopted no more", how);
	tap_equal(private, PAGES / 2 - count / 2, "%s: private pages", how);
	tap_equal(shared, PAGES / 2 - count / 2, "%s: shared pages", how);
	tap_ok(!process_guest(&vm, GUEST_VERIFY, 0, first) &&
	       !process_user(&vm, GUEST_VERIFY, first + count, PAGES - first - count) &&
	       !process_guest(&vm, GUEST_VERIFY, first + count, PAGES - first - count) &&
	       !process_user(&vm, GUEST_VERIFY, 0, first), "%s: all else is as it was", how);
	mrm_check(how);
}

static void test_unmap(void)
{
	size_t i;

	start();
	tap_equal(call_range(map_over, 1000, 500, 0), 0, "a part is mapped over");
	part_gone(1000, 500, "mapped over");
	for (i = 1000; i < 1500; i++)
		vm.states[i] = 0;
	tap_ok(process_verify(&vm), "what is there now reads zero");
	for (i = 1000; i < 1500; i++)
		vm.states[i] = 9 << 20 | i;
	tap_ok(!process_guest(&vm, GUEST_FILL, 1000, 500) && process_verify(&vm),
	       "and can be used by the guest");
	tap_ok(mrm_full_pass(), "a pass");
	part_gone(1000, 500, "mapped over, a pass later");
	end("after a part was mapped over");

	start();
	tap_equal(call_range(unmap, 2000, 100, 0), 0, "a part is unmapped");
	part_gone(2000, 100, "unmapped");
	tap_ok(mrm_full_pass(), "a pass");
	part_gone(2000, 100, "unmapped, a pass later");
	tap_equal(process_guest(&vm, GUEST_TOUCH, 2050, 1), -EFAULT, "the guest has nothing there");
	end("after a part was unmapped");

	start();
	tap_equal(call_range(unmap, 0, PAGES, 0), 0, "all RAM is unmapped");
	tap_equal(mrm_get("resident_pages"), 0, "all frames are given back");
	tap_equal(mrm_get("shared_frames"), 0, "the shared ones, too");
	tap_equal(mrm_vm_get(vm.pid, "adopted_bytes"), 0, "nothing is adopted any more");
	tap_ok(mrm_full_pass(), "a pass");
	end("after all RAM was unmapped");
}

int main(void)
{
	mrm_begin();
	test_fork();
	test_outlived(false);
	test_outlived(true);
	test_remap();
	test_protect();
	test_lock();
	test_unmap();
	return tap_done();
}
