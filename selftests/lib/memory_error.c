// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory_error.h"

static sigjmp_buf stop;

/* A memory error, as a machine check that the accessing thread has to deal with. */
static void on_bus(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	siglongjmp(stop, info->si_code == BUS_MCEERR_AR ? 1 : 2);
}

struct range {
	size_t first, count;
};

static long count_lost(struct vm *v, void *arg)
{
	const struct range *range = arg;
	struct guest_wrong wrong;
	const struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	volatile long lost = 0;
	volatile size_t i;
	int how;

	sigaction(SIGBUS, &action, NULL);
	for (i = 0; i < range->count; i++) {
		how = sigsetjmp(stop, 1);
		if (how == 2)
			return -2;
		if (how)
			lost++;
		else if (guest_check(&v->view, range->first + i, &wrong))
			return -1;
	}
	signal(SIGBUS, SIG_DFL);
	return lost;
}

/**
 * memory_count_lost() - its process reads RAM of a VM
 * @p: the VM
 * @first: the first page
 * @count: how many
 * Return: how many cannot be read; -1 if one is wrong, -2 if the error is another one.
 */
long memory_count_lost(struct vm_process *p, size_t first, size_t count)
{
	const struct range range = { first, count };

	return process_call(p, count_lost, &range, sizeof(range));
}

static volatile long signals;
static bool discards;

static void on_guest_bus(int signal, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & -PAGE_SIZE;

	(void)signal;
	(void)context;
	if (info->si_code != BUS_MCEERR_AR ||
	    (discards && madvise((void *)page, PAGE_SIZE, MADV_DONTNEED)))
		_exit(1);
	signals++;
}

static long run(struct vm *v, const struct guest_work *work)
{
	const struct sigaction action = { .sa_sigaction = on_guest_bus, .sa_flags = SA_SIGINFO };
	long err;

	signals = 0;
	sigaction(SIGBUS, &action, NULL);
	err = vm_guest(v, 0, work);
	signal(SIGBUS, SIG_DFL);
	return err ? -1 : signals;
}

/**
 * memory_count_signals() - in the VM's process: the guest works, again and again where it meets
 * an error
 * @v: the VM
 * @work: what it does, a struct guest_work
 * Return: how often it met one; -1 if it found something wrong.
 */
long memory_count_signals(struct vm *v, void *work)
{
	discards = false;
	return run(v, work);
}

/**
 * memory_discard_lost() - the same, but that what is lost is discarded
 * @v: the VM
 * @work: what the guest does, a struct guest_work
 * Return: as memory_count_signals().
 */
long memory_discard_lost(struct vm *v, void *work)
{
	discards = true;
	return run(v, work);
}
