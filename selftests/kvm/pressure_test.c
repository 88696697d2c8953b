// SPDX-License-Identifier: GPL-2.0
/*
 * A process takes all memory of the host: VMs give what they can do without before the
 * kernel ends a process, it ends that one, and not one byte of theirs is wrong.  Those that
 * have nothing to give are left alone.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "trace.h"
#include "vm_process.h"

#define PAGES		8192
#define CHUNK		(16 * MiB)
#define HOG_MS		(8 * MRM_LONG)
#define LOOK_MS		1000
#define OOM		"mrm/mrm_oom", "hist:keys=pages"

static struct vm_process vms[2];

static void start(struct vm_process *p, uint32_t first)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(p, &config);
	for (i = 0; i < PAGES; i++)
		p->states[i] = i % 2 ? (first + i) | THIN : first + i;
	if (process_guest(p, GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
}

/* Takes memory until it is killed. */
static void take_all(void)
{
	file_write("/proc/self/oom_score_adj", "1000");
	for (;;) {
		void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, CHUNK);
	}
}

static bool ended(void *status)
{
	return waitpid(-1, status, WNOHANG) > 0;
}

/* The kernel ends who took it all, and nobody else. */
static void run_out(const char *when)
{
	bool is_traced = trace_begin(OOM);
	int status = 0;
	pid_t hog = fork();

	if (hog < 0)
		tap_bail("cannot fork");
	if (!hog)
		take_all();
	if (!wait_until(ended, &status, HOG_MS)) {
		kill(hog, SIGKILL);
		waitpid(hog, NULL, 0);
	}
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: who took all is ended",
	       when);
	tap_ok(!kill(vms[0].pid, 0) && !kill(vms[1].pid, 0), "%s: and no VM", when);
	if (is_traced)
		tap_ok(trace_hits("mrm/mrm_oom") > 0, "%s: the module was asked before", when);
	else
		tap_skip("no histogram of mrm_oom", "%s: the module was asked before", when);
	trace_end(OOM);
}

static long cpu_ms(pid_t thread)
{
	char path[64], text[MRM_TEXT];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", thread);
	return file_read(path, text, sizeof(text)) > 0 ? atoll(text) / 1000000 : -1;
}

static bool rests(void *thread)
{
	long before = cpu_ms(*(pid_t *)thread);

	usleep(LOOK_MS * 1000);
	return cpu_ms(*(pid_t *)thread) - before < LOOK_MS / 10;
}

/* What takes memory rests when there is enough. */
static void test_rest(const char *when)
{
	pid_t thread = kernel_thread("mrm_reclaim");

	tap_ok(thread && wait_until(rests, &thread, MRM_LONG), "%s: mrm_reclaim rests", when);
}

static void verify(const char *when)
{
	int i;

	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vms[i]), "%s: VM %d: every byte is right", when, i);
	mrm_check(when);
}

static void test_given(void)
{
	char bytes[32];

	start(&vms[0], 1);
	start(&vms[1], 1 << 24);
	snprintf(bytes, sizeof(bytes), "%ld", PAGES * PAGE_SIZE);
	tap_equal(mrm_vm_set(vms[1].pid, "min_bytes", bytes), 0, "the min of one is its size");
	run_out("with something to give");
	tap_equal(mrm_vm_get(vms[1].pid, "reclaimed_bytes"), 0, "it gave nothing");
	tap_equal(mrm_vm_set(vms[1].pid, "min_bytes", "0"), 0, "it has no min any more");
	tap_ok(mrm_get("reclaimed_bytes") > 0 && mrm_get("zips") > 0, "VMs gave memory before");
	test_rest("with something to give");
	verify("with something to give");
}

/* All of theirs is shared, and nothing else is left to be taken. */
static void test_nothing_to_give(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		mrm_vm_set(vms[i].pid, "salt", "pressure");
		memcpy((void *)vms[1].states, (const void *)vms[0].states,
		       PAGES * sizeof(*vms[0].states));
	}
	if (process_guest(&vms[1], GUEST_FILL, 0, PAGES))
		tap_bail("cannot fill");
	tap_ok(mrm_full_pass() && mrm_share_all(), "all is scanned");
	tap_equal(mrm_get("private_pages"), 0, "and all is shared");
	run_out("with nothing to give");
	test_rest("with nothing to give");
	verify("with nothing to give");
}

int main(void)
{
	int i;

	mrm_begin();
	mrm_set("zip_max", "50");
	test_given();
	test_nothing_to_give();
	for (i = 0; i < 2; i++)
		process_stop(&vms[i]);
	mrm_nothing_left("after them");
	return tap_done();
}
