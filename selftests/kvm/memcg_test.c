// SPDX-License-Identifier: GPL-2.0
/*
 * Frames are charged to the VM's memory cgroup; and a VM at its cgroup's limit
 * is the one that suffers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/mrm-selftest"
#define PAGES	16384

static long current_bytes(void)
{
	char text[MRM_TEXT];

	return file_read(GROUP "/memory.current", text, sizeof(text)) < 0 ? -1 : atol(text);
}

static void must_write(const char *path, const char *text)
{
	int err = file_write(path, text);

	if (err)
		tap_bail("cannot write %s to %s: %d", text, path, err);
}

/* A VM whose process is in the group from its birth. */
static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES };
	char self[32];
	size_t i;

	snprintf(self, sizeof(self), "%d", getpid());
	must_write(GROUP "/cgroup.procs", self);
	process_start(p, &config);
	must_write(ROOT "/cgroup.procs", self);
	for (i = 0; i < PAGES; i++)
		p->states[i] = i + 1;
}

static void near(long got, long pages, const char *what)
{
	long bytes = pages * PAGE_SIZE;

	tap_between(got, bytes - bytes / 20, bytes + bytes / 20, "%s, within 5 per cent", what);
}

static void test_charge(void)
{
	struct vm_process p;
	long before, now;

	start(&p);
	before = current_bytes();
	tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES / 2), 0, "the guest touches 32 MiB");
	now = current_bytes();
	near(now - before, PAGES / 2, "they are charged to its cgroup");
	tap_equal(process_user(&p, GUEST_FILL, PAGES / 2, PAGES / 2), 0, "user space the others");
	near(current_bytes() - now, PAGES / 2, "they are charged, too");
	now = current_bytes();
	tap_equal(process_discard(&p, 1000, PAGES / 2), 0, "32 MiB are discarded");
	near(now - current_bytes(), PAGES / 2, "they are charged no more");
	process_stop(&p);
	mrm_nothing_left("after the VM has ended");
	tap_between(current_bytes(), 0, 8 * (long)MiB, "hardly anything stays charged");
}

static long touch_all(struct vm *vm, void *arg)
{
	struct guest_work work = { .command = GUEST_FILL, .count = PAGES };

	(void)arg;
	return vm_guest(vm, 0, &work);
}

/* At the limit the VM is killed, or its vCPU stops with an error. */
static void test_limit(void)
{
	char text[MRM_TEXT];
	struct vm_process p;
	long kills;

	must_write(GROUP "/memory.max", "33554432");
	start(&p);
	process_send(&p, touch_all, NULL, 0);
	tap_ok(process_receive_or_end(&p, 2 * MRM_LONG), "a VM cannot touch more than its limit");
	tap_between(current_bytes(), 0, 33554432, "nor be charged more");
	process_kill(&p);
	mrm_nothing_left("after the VM was killed");
	file_read(GROUP "/memory.events", text, sizeof(text));
	kills = 0;
	if (sscanf(text, "%*s %*d %*s %*d %*s %*d %*s %*d %*s %ld", &kills) != 1)
		kills = -1;
	tap_note("oom_kill %ld", kills);
}

int main(void)
{
	mrm_begin();
	if (file_write(ROOT "/cgroup.subtree_control", "+memory") ||
	    (mkdir(GROUP, 0755) && access(GROUP "/memory.current", F_OK))) {
		tap_skip("no memory controller of cgroup v2 at " ROOT, "memory cgroups");
		return tap_done();
	}
	test_charge();
	test_limit();
	rmdir(GROUP);
	return tap_done();
}
