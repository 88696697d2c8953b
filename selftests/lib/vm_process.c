// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

struct request {
	process_fn fn;
	char arg[PROCESS_ARG] __attribute__((aligned(16)));
};

struct hello {
	int err;
	uint8_t *ram;
};

static bool read_all(int fd, void *buf, size_t size)
{
	return TEMP_FAILURE_RETRY(read(fd, buf, size)) == (ssize_t)size;
}

static bool write_all(int fd, const void *buf, size_t size)
{
	return TEMP_FAILURE_RETRY(write(fd, buf, size)) == (ssize_t)size;
}

static void serve(const struct vm_config *config, void *control, int from, int to)
{
	static struct vm vm;
	struct hello hello = {};
	struct request request;
	long result;

	hello.err = vm_create(&vm, config, control);
	hello.ram = vm.view.ram;
	if (!write_all(to, &hello, sizeof(hello)) || hello.err)
		_exit(1);
	while (read_all(from, &request, sizeof(request)) && request.fn) {
		result = request.fn(&vm, request.arg);
		fflush(stdout);
		if (!write_all(to, &result, sizeof(result)))
			_exit(1);
	}
	_exit(0);
}

/**
 * process_try_start() - start a VM in a child
 * @p: what to fill in
 * @config: how the VM is to be
 * Return: 0, or the negative errno of vm_create().
 */
int process_try_start(struct vm_process *p, const struct vm_config *config)
{
	int to[2], from[2];
	struct hello hello;

	memset(p, 0, sizeof(*p));
	p->control = vm_alloc_control();
	if (!p->control || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		tap_bail("cannot start a VM: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	p->pid = fork();
	if (p->pid < 0)
		tap_bail("cannot fork: %s", strerror(errno));
	if (!p->pid) {
		/* A test that is killed leaves no VM behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		close(from[0]);
		serve(config, p->control, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	p->to = to[1];
	p->from = from[0];
	p->states = vm_control_view(p->control).states;
	p->owners = vm_control_view(p->control).owners;
	p->pages = config->pages;
	if (!read_all(p->from, &hello, sizeof(hello)))
		hello.err = -ECHILD;
	p->ram = hello.ram;
	if (hello.err)
		process_kill(p);
	return hello.err;
}

/**
 * process_start() - start a VM in a child; the test ends if that fails
 * @p: what to fill in
 * @config: how the VM is to be
 */
void process_start(struct vm_process *p, const struct vm_config *config)
{
	int err = process_try_start(p, config);

	if (err)
		tap_bail("cannot start a VM: %s", strerror(-err));
}

/**
 * process_send() - have the child call a function, and do not wait
 * @p: the VM
 * @fn: the function; it gets a copy of the argument
 * @arg: the argument
 * @bytes: its size, up to PROCESS_ARG
 */
void process_send(struct vm_process *p, process_fn fn, const void *arg, size_t bytes)
{
	struct request request = { .fn = fn };

	if (bytes > PROCESS_ARG)
		tap_bail("an argument of %zu bytes", bytes);
	if (bytes)
		memcpy(request.arg, arg, bytes);
	if (!write_all(p->to, &request, sizeof(request)))
		tap_bail("VM %d is gone", p->pid);
}

/*
 * What KVM counted for a VM: one that loops in the host has faults (pf_taken) without
 * end, one that loops in its guest has exits for interrupts.
 */
static void show_counters(pid_t pid)
{
	static const char *const counters[] = {
		"exits",	 "io_exits",   "irq_exits",    "halt_exits",
		"insn_emulation", "pf_taken",	"pf_fixed",	"pf_spurious",
		"mmu_shadow_zapped", "remote_tlb_flush",
	};
	char path[300], text[64], prefix[16];
	struct dirent *entry;
	unsigned int i;
	DIR *dir;

	snprintf(prefix, sizeof(prefix), "%d-", pid);
	dir = opendir("/sys/kernel/debug/kvm");
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		for (i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
			snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s/%s", entry->d_name,
				 counters[i]);
			if (file_read(path, text, sizeof(text)) >= 0)
				tap_note("kvm %s %s", counters[i], strtok(text, "\n"));
		}
	}
	if (dir)
		closedir(dir);
}

/**
 * process_show() - what the threads of a VM are doing, for people
 * @pid: its process
 */
void process_show(pid_t pid)
{
	char path[300], text[4096], *line, *save;
	struct dirent *thread;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (thread = readdir(dir))) {
		if (thread->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, thread->d_name);
		file_read(path, text, sizeof(text));
		tap_note("thread %.100s", text);
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid, thread->d_name);
		file_read(path, text, sizeof(text));
		for (line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			tap_note("  %s", line);
	}
	if (dir)
		closedir(dir);
	show_counters(pid);
}

/**
 * process_receive_or_end() - wait for the answer to process_send(), or for its end
 * @p: the VM
 * @ms: how long; the test ends if nothing comes
 * Return: what the function returned; -ECHILD if the VM has died.
 */
long process_receive_or_end(struct vm_process *p, int ms)
{
	/* Its end shows in the pidfd: later children have the pipe open, too. */
	struct pollfd fd[] = {
		{ .fd = p->from, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, p->pid, 0), .events = POLLIN },
	};
	long result;

	if (TEMP_FAILURE_RETRY(poll(fd, 2, ms)) <= 0) {
		process_show(p->pid);
		tap_bail("VM %d does not answer", p->pid);
	}
	close(fd[1].fd);
	if (!(fd[0].revents & POLLIN))
		return -ECHILD;
	return read_all(p->from, &result, sizeof(result)) ? result : -ECHILD;
}

/**
 * process_receive() - wait for the answer to process_send()
 * @p: the VM
 * @ms: how long; the test ends if no answer comes
 * Return: what the function returned.
 */
long process_receive(struct vm_process *p, int ms)
{
	long result = process_receive_or_end(p, ms);
	int status = 0;

	if (result != -ECHILD)
		return result;
	waitpid(p->pid, &status, 0);
	tap_bail("VM %d died (signal %d)", p->pid, WTERMSIG(status));
}

/**
 * process_call() - have the child call a function
 * @p: the VM
 * @fn: the function; it gets a copy of the argument
 * @arg: the argument
 * @bytes: its size, up to PROCESS_ARG
 * Return: what it returned.
 */
long process_call(struct vm_process *p, process_fn fn, const void *arg, size_t bytes)
{
	process_send(p, fn, arg, bytes);
	return process_receive(p, 2 * MRM_LONG);
}

static void forget(struct vm_process *p)
{
	close(p->to);
	close(p->from);
	munmap(p->control, GUEST_CONTROL);
	p->pid = 0;
}

/**
 * process_stop() - let the VM end by itself
 * @p: the VM
 */
void process_stop(struct vm_process *p)
{
	int status;

	/* Closing the pipe would not do: later children have it open, too. */
	process_send(p, NULL, NULL, 0);
	if (waitpid(p->pid, &status, 0) != p->pid || status)
		tap_bail("VM %d ended with status %#x", p->pid, status);
	forget(p);
}

/**
 * process_kill() - kill the VM, and wait for its end
 * @p: the VM
 */
void process_kill(struct vm_process *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	forget(p);
}

static long do_guest(struct vm *vm, void *arg)
{
	return vm_guest(vm, 0, arg);
}

static long do_user(struct vm *vm, void *arg)
{
	return vm_user(vm, arg);
}

static long do_discard(struct vm *vm, void *arg)
{
	struct guest_work *work = arg;

	return vm_discard(vm, work->first, work->count);
}

#define PAGE_MS	4	/* for a page that is read from swap, by a host short of memory */

static long command(struct vm_process *p, process_fn fn, enum guest_command command,
		    size_t first, size_t count)
{
	struct guest_work work = { .command = command, .first = first, .count = count };

	process_send(p, fn, &work, sizeof(work));
	return process_receive(p, 2 * MRM_LONG + count * PAGE_MS);
}

/**
 * process_begin_guest() - have the guest begin to do something, and go on
 * @p: the VM
 * @work: what; process_receive() has what it came to
 */
void process_begin_guest(struct vm_process *p, const struct guest_work *work)
{
	process_send(p, do_guest, work, sizeof(*work));
}

/**
 * process_guest() - have the guest do something to pages
 * @p: the VM
 * @cmd: what
 * @first: first page
 * @count: how many
 * Return: 0; 1 if a page is not what its state says; a negative errno.
 */
long process_guest(struct vm_process *p, enum guest_command cmd, size_t first, size_t count)
{
	return command(p, do_guest, cmd, first, count);
}

/**
 * process_fill() - have the guest fill pages with what is like no other; it must
 * @p: the VM
 * @first: first page
 * @count: how many
 * @state: of page 0; each has one more than the page before
 */
void process_fill(struct vm_process *p, size_t first, size_t count, uint64_t state)
{
	size_t i;

	for (i = first; i < first + count; i++)
		p->states[i] = state + i;
	if (process_guest(p, GUEST_FILL, first, count))
		tap_bail("VM %d cannot fill its RAM", p->pid);
}

/**
 * process_user() - have the VM's user space do something to pages
 * @p: the VM
 * @cmd: what
 * @first: first page
 * @count: how many
 * Return: 0; 1 if a page is not what its state says.
 */
long process_user(struct vm_process *p, enum guest_command cmd, size_t first, size_t count)
{
	return command(p, do_user, cmd, first, count);
}

/**
 * process_discard() - have the VM's user space discard pages, in one call
 * @p: the VM
 * @first: first page
 * @count: how many
 * Return: 0 or a negative errno.
 */
long process_discard(struct vm_process *p, size_t first, size_t count)
{
	return command(p, do_discard, 0, first, count);
}

/**
 * process_read_zeroes() - have zero pages be shared that were in large frames
 * @p: the VM, which may share
 * @first: first page
 * @count: how many; all of them were written
 *
 * When such a frame is broken what is zero in it becomes nothing.  Read by user space it is a zero
 * page, as it is without large frames, where this does nothing.
 */
void process_read_zeroes(struct vm_process *p, size_t first, size_t count)
{
	if (mrm_large() && process_user(p, GUEST_READ, first, count))
		tap_bail("VM %d cannot read its RAM", p->pid);
}

/**
 * process_share_all() - have all guest pages shared that can be, zero pages included
 * @p: VMs, at rest
 * @n: how many
 * @first: first page of what process_read_zeroes() is for, in each
 * @count: how many pages
 *
 * Return: how many passes it took; 0 if the scanner did not finish.
 */
unsigned int process_share_all(struct vm_process *p, int n, size_t first, size_t count)
{
	unsigned int passes = mrm_share_all();
	int i;

	for (i = 0; i < n; i++)
		process_read_zeroes(&p[i], first, count);
	return passes;
}

/**
 * process_verify() - is every byte of RAM what it should be, for both sides?
 * @p: the VM
 * Return: true if it is.
 */
bool process_verify(struct vm_process *p)
{
	return !process_guest(p, GUEST_VERIFY, 0, p->pages) &&
	       !process_user(p, GUEST_VERIFY, 0, p->pages);
}
