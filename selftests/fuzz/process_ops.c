// SPDX-License-Identifier: GPL-2.0
/*
 * A VM's process has children, and others that share its memory, some of which live
 * longer than it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define STACK	0x10000

static struct fuzz_vm *model;
static __thread sigjmp_buf escape;
static __thread volatile bool may_fault;

static void on_signal(int number, siginfo_t *info, void *unused)
{
	struct fuzz f = { .v = model };

	(void)unused;
	if (may_fault)
		siglongjmp(escape, number);
	fuzz_wrong(&f, ((uint8_t *)info->si_addr - FUZZ_BASE) / (long)PAGE_SIZE,
		   "signal %d, code %d, at %p", number, info->si_code, info->si_addr);
	_exit(FUZZ_VM_EXIT);
}

/**
 * fuzz_on_signals() - a fault that was not expected is a finding
 * @v: the model
 */
void fuzz_on_signals(struct fuzz_vm *v)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	model = v;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/**
 * fuzz_signal_of() - what signal does it raise to touch something?
 * @touch: touches it
 * @arg: for @touch
 * Return: the signal, or 0.
 */
int fuzz_signal_of(void (*touch)(void *), void *arg)
{
	int number = sigsetjmp(escape, 1);

	if (!number) {
		may_fault = true;
		touch(arg);
	}
	may_fault = false;
	return number;
}

static void look(void *page)
{
	(void)*(volatile uint64_t *)page;
}

/* The child's private memory is its own, and nobody else's. */
static void change(void *page)
{
	*(volatile uint64_t *)page ^= 1;
}

/* In a child: adopted memory is not there, whatever was advised. */
static int look_around(struct fuzz *f)
{
	size_t i;
	int got;

	for (i = f->first; i < f->first + f->count; i++) {
		got = fuzz_signal_of(f->v->map[i].shared ? look : change, fuzz_address(i));
		if (f->v->map[i].ours && got != SIGSEGV && got != SIGBUS) {
			fuzz_wrong(f, i, "a child has page %zu, which is adopted", i);
			return 1;
		}
	}
	return 0;
}

static int exec_nothing(void)
{
	char * const argv[] = { "fuzz_test", "--exit", NULL };

	return execv("/proc/self/exe", argv);
}

static pid_t *free_child(struct fuzz *f)
{
	unsigned int i;

	for (i = 0; i < FUZZ_CHILDREN; i++)
		if (!f->v->child[i])
			return &f->v->child[i];
	return NULL;
}

static long fork_child(struct fuzz *f)
{
	int how = fuzz_random(f, 4), pipe_fd[2], status = 0;
	pid_t *slot = free_child(f), pid;
	char answer = 1;

	if (!slot || pipe2(pipe_fd, O_CLOEXEC))
		return -EAGAIN;
	fuzz_detail(f, how == 0 ? "lives on" : how == 1 ? "exec" : "exits");
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		answer = look_around(f);
		if (write(pipe_fd[1], &answer, 1) != 1)
			_exit(1);
		while (!how)
			pause();
		_exit(how == 1 ? exec_nothing() : 0);
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &answer, 1) != 1)
		fuzz_wrong(f, f->first, "a child died");
	close(pipe_fd[0]);
	if (!how)
		*slot = pid;
	else
		waitpid(pid, &status, 0);
	if (status)
		return fuzz_wrong(f, f->first, "a child ended with status %#x", status);
	return answer ? FUZZ_WRONG : 0;
}

static int exec_at_once(void *unused)
{
	(void)unused;
	_exit(exec_nothing());
}

static int live_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

static int discard(void *arg)
{
	struct fuzz *f = arg;

	_exit(madvise(fuzz_address(f->first), f->count * PAGE_SIZE, MADV_DONTNEED) ? errno : 0);
}

/*
 * Processes that share its memory: as vfork()'s, which execs; one that discards;
 * one that holds the memory longer than the VM lives.
 */
static long share_memory(struct fuzz *f)
{
	static int (*const does[])(void *) = { exec_at_once, discard, discard, live_on };
	static char stack[STACK] __attribute__((aligned(16)));
	static const char * const names[] = { "execs", "discards", "discards", "lives on" };
	int how = fuzz_random(f, 4), status = 0;
	pid_t *slot = free_child(f), pid;
	char *top = stack + STACK;
	bool shared = false;
	size_t i;

	if (!slot)
		return -EAGAIN;
	fuzz_detail(f, "%s", names[how]);
	for (i = f->first; i < f->first + f->count; i++)
		shared |= f->v->map[i].shared;
	if (how == 3) {
		top = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (top == MAP_FAILED)
			return -errno;
		top += STACK;
	}
	pid = clone(does[how], top, CLONE_VM | SIGCHLD, f);
	if (pid < 0)
		return -errno;
	if (how == 3) {
		*slot = pid;
		return 0;
	}
	if (waitpid(pid, &status, 0) != pid || WIFSIGNALED(status))
		return fuzz_wrong(f, f->first, "one that shares memory ended with status %#x",
				  status);
	status = WEXITSTATUS(status);
	for (i = f->first; i < f->first + f->count && how; i++) {
		if (!f->v->map[i].mapped || f->v->map[i].shared)
			continue;
		if (!status || status == ENOMEM)
			fuzz_set(f, i, 0);
		else
			fuzz_or(f, i, 0, false);
	}
	if (how && !shared && !f->v->sealed && fuzz_all(f, fuzz_is_ours))
		return fuzz_must_work(f, -status);
	return -status;
}

static long kill_child(struct fuzz *f)
{
	pid_t *child = &f->v->child[fuzz_random(f, FUZZ_CHILDREN)];

	if (!*child)
		return -ESRCH;
	kill(*child, SIGKILL);
	if (waitpid(*child, NULL, 0) != *child)
		return fuzz_wrong(f, 0, "child %d: %s", *child, strerror(errno));
	*child = 0;
	return 0;
}

const struct fuzz_op fuzz_process_ops[] = {
	{ "fork", 4, FUZZ_MUST, fork_child },
	{ "clone, same memory", 4, FUZZ_MUST, share_memory },
	{ "kill a child", 4, FUZZ_MUST, kill_child },
	{}
};
