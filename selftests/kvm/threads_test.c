// SPDX-License-Identifier: GPL-2.0
/*
 * A VM's threads end one by one, in the middle of what they do: two vCPUs, one
 * that writes and discards, one that plugs memory in and out, and the leader of
 * the process, which is then a zombie while the others live on.  In the end the
 * last thread verifies every byte.
 *
 * MRM_SEED: to repeat the order and the moments.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "busy.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"

#define PAGES	BUSY_PAGES
#define TIMES	3
#define MORE	(HUGE_SIZE / PAGE_SIZE)

enum role { VCPU_0, VCPU_1, WRITER, PLUGGER, LEADER, ROLES };

/* Seen by the test and by the VM. */
static struct {
	volatile bool leave[ROLES];
	volatile long turns[ROLES];
	volatile long error;
	volatile long verified;
	int left;
} *common;

/* In the VM's process. */

static struct vm *the_vm;

/* Each has a part of RAM: churn verifies it before each change. */
static long churn(enum role role, uint64_t *seed, bool in_guest)
{
	struct guest_work work = {
		.command = GUEST_CHURN, .keys = 8, .owner = role, .count = 32, .pages = PAGES,
		.seed = pattern_random(seed, 1U << 31),
	};
	struct guest_wrong wrong;

	if (in_guest)
		return vm_guest(the_vm, role, &work);
	return guest_do(&the_vm->view, &work, &wrong);
}

static long plug(void)
{
	struct guest_view view = the_vm->view;
	struct guest_wrong wrong;
	uint8_t *ram = vm_map_ram(HUGE_SIZE, VM_ANON);
	size_t i;
	long err;

	if (!ram)
		return -errno;
	err = vm_set_slot(the_vm, 5, GUEST_RAM + PAGES * PAGE_SIZE, ram, HUGE_SIZE);
	view.ram = ram - PAGES * PAGE_SIZE;
	for (i = PAGES; i < PAGES + MORE && !err; i += 8) {
		view.states[i] = 1 + i % 8;
		pattern_fill(guest_page(&view, i), view.states[i]);
		err = guest_check(&view, i, &wrong);
	}
	return err ?: vm_set_slot(the_vm, 5, 0, ram, 0) ?: munmap(ram, HUGE_SIZE);
}

static long one_turn(enum role role, uint64_t *seed)
{
	size_t first;
	long err;

	switch (role) {
	case VCPU_0:
	case VCPU_1:
		return churn(role, seed, true);
	case WRITER:
		err = churn(role, seed, false);
		/* A run of 16 pages has one writer. */
		do {
			first = pattern_random(seed, PAGES / 16) * 16;
		} while (the_vm->view.owners[first] != WRITER);
		return err ?: vm_discard(the_vm, first, 16);
	case PLUGGER:
		return plug();
	default:
		return churn(role, seed, false);
	}
}

/*
 * By the last one, when nobody writes any more.  It ends the VM: newer kernels
 * have a thread of KVM's own in the process, which keeps it until then.
 */
static void end_all(void)
{
	struct guest_work work = { .command = GUEST_VERIFY, .count = PAGES };
	struct guest_wrong wrong;

	if (!guest_do(&the_vm->view, &work, &wrong) && !vm_end(the_vm))
		common->verified = 1;
}

static void *live(void *arg)
{
	enum role role = (long)arg;
	uint64_t seed = role + 1;
	long err = 0;

	while (!common->leave[role] && !err) {
		err = one_turn(role, &seed);
		common->turns[role]++;
	}
	if (err)
		common->error = err;
	if (!__atomic_sub_fetch(&common->left, 1, __ATOMIC_SEQ_CST))
		end_all();
	/* This thread alone, without a word to the C library. */
	syscall(SYS_exit, 0);
	return NULL;
}

static long live_in_threads(struct vm *vm, void *arg)
{
	pthread_t thread;
	long i;

	(void)arg;
	the_vm = vm;
	for (i = 0; i < LEADER; i++)
		if (pthread_create(&thread, NULL, live, (void *)i))
			return -EAGAIN;
	live((void *)LEADER);
	return 0;
}

/* In the test. */

static bool has_turns(void *context)
{
	const bool *gone = context;
	int i;

	for (i = 0; i < ROLES; i++)
		if (!gone[i] && common->turns[i] < 3)
			return false;
	return true;
}

struct threads {
	pid_t pid;
	int alive;
};

/* Not counting a leader that is a zombie, nor KVM's own threads. */
static int alive(pid_t pid)
{
	char path[300], text[512];
	struct dirent *entry;
	const char *state;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, entry->d_name);
		if (file_read(path, text, sizeof(text)) < 0)
			continue;
		state = strrchr(text, ')');
		n += state && state[2] != 'Z' && state[2] != 'X' && !strstr(text, " (kvm");
	}
	if (dir)
		closedir(dir);
	return n;
}

static bool as_many(void *context)
{
	struct threads *t = context;

	return alive(t->pid) == t->alive;
}

static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES, .vcpus = 2 };
	static const uint8_t dealt[] = { VCPU_0, VCPU_1, WRITER, LEADER };
	size_t i;

	memset(common, 0, sizeof(*common));
	common->left = ROLES;
	process_start(p, &config);
	for (i = 0; i < PAGES; i++) {
		p->states[i] = 0;
		p->owners[i] = dealt[i / 16 % 4];
	}
	process_send(p, live_in_threads, NULL, 0);
}

static void deal_order(int order[ROLES], uint64_t *seed)
{
	int i, j, tmp;

	for (i = 0; i < ROLES; i++)
		order[i] = i;
	for (i = ROLES - 1; i > 0; i--) {
		j = pattern_random(seed, i + 1);
		tmp = order[i];
		order[i] = order[j];
		order[j] = tmp;
	}
}

/* What everybody else may do while some of its threads are gone. */
static long still_a_vm(pid_t pid, int gone)
{
	char text[MRM_TEXT];
	long bad = 0;

	bad += !mrm_full_pass();
	bad += mrm_get("vms") != 1;
	bad += mrm_vm_get(pid, "pid") != pid;
	bad += mrm_vm_get(pid, "adopted_bytes") < (long)(PAGES * PAGE_SIZE);
	bad += !!mrm_vm_set(pid, "share", "0");
	bad += mrm_vm_get(pid, "shared_pages") != 0;
	bad += !!mrm_vm_set(pid, "share", "1");
	bad += mrm_unload() == 0;
	if (bad)
		tap_note("%d threads gone, %ld wrong, share_state %s", gone, bad,
			 mrm_vm_text(pid, "share_state", text));
	return bad;
}

static void test_one_by_one(uint64_t *seed, long *bad)
{
	struct vm_process p;
	bool gone[ROLES] = {};
	struct threads threads;
	int order[ROLES], i, status = -1;

	deal_order(order, seed);
	start(&p);
	for (i = 0; i < ROLES; i++) {
		*bad += !wait_until(has_turns, gone, MRM_LONG);
		memset((void *)common->turns, 0, sizeof(common->turns));
		busy_delay(seed, 5000);
		common->leave[order[i]] = true;
		gone[order[i]] = true;
		threads = (struct threads){ p.pid, ROLES - 1 - i };
		if (i < ROLES - 1) {
			*bad += !wait_until(as_many, &threads, MRM_LONG);
			*bad += still_a_vm(p.pid, i + 1);
		}
	}
	*bad += process_receive_or_end(&p, MRM_LONG) != -ECHILD;
	*bad += waitpid(p.pid, &status, 0) != p.pid || status;
	*bad += common->error || !common->verified;
	if (status || common->error || !common->verified)
		tap_note("status %#x, error %ld, verified %ld", status, common->error,
			 common->verified);
	process_kill(&p);
	*bad += !mrm_wait("vms", 0, 0, MRM_LONG);
}

/* The leader is gone when all are killed. */
static void test_killed(uint64_t *seed, long *bad)
{
	struct vm_process p;
	bool gone[ROLES] = {};
	struct threads threads;

	start(&p);
	threads = (struct threads){ p.pid, ROLES - 1 };
	*bad += !wait_until(has_turns, gone, MRM_LONG);
	common->leave[LEADER] = true;
	*bad += !wait_until(as_many, &threads, MRM_LONG);
	busy_delay(seed, 5000);
	process_kill(&p);
	*bad += !mrm_wait("vms", 0, 0, MRM_LONG);
}

/* The module comes when the leader is gone. */
static void test_late(void)
{
	struct vm_process p;
	bool gone[ROLES] = {};
	struct threads threads;
	char text[MRM_TEXT];

	tap_ok(mrm_unload_wait(MRM_LONG), "the module is unloaded");
	start(&p);
	threads = (struct threads){ p.pid, ROLES - 1 };
	common->leave[LEADER] = true;
	tap_ok(wait_until(as_many, &threads, MRM_LONG), "the leader of a VM's process has ended");
	tap_equal(mrm_load(), 0, "the module is loaded");
	mrm_tune();
	tap_equal(mrm_get("vms"), 1, "the VM is listed");
	tap_text(mrm_vm_text(p.pid, "not_adopted_reason", text), "started before the module",
		 "with the reason why it is not adopted");
	gone[LEADER] = true;
	memset((void *)common->turns, 0, sizeof(common->turns));
	if (!tap_ok(wait_until(has_turns, gone, MRM_LONG), "and goes on"))
		tap_note("turns: vCPUs %ld, %ld, who writes %ld, who plugs %ld; error %ld",
			 common->turns[VCPU_0], common->turns[VCPU_1], common->turns[WRITER],
			 common->turns[PLUGGER], common->error);
	process_kill(&p);
}

int main(void)
{
	uint64_t seed;
	long bad = 0;
	int i;

	mrm_begin();
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (common == MAP_FAILED)
		tap_bail("no memory");
	seed = setting_seed("MRM_SEED");
	for (i = 0; i < TIMES; i++)
		test_one_by_one(&seed, &bad);
	tap_equal(bad, 0, "%d times, threads ended one by one and the others went on", TIMES);
	mrm_reload("after threads ended one by one");
	for (i = 0; i < TIMES; i++)
		test_killed(&seed, &bad);
	tap_equal(bad, 0, "%d times, the others were killed after the leader", TIMES);
	mrm_reload("after the leader was gone");
	test_late();
	mrm_reload("after a late VM without a leader");
	return tap_done();
}
