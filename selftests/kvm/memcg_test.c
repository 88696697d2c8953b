// SPDX-License-Identifier: GPL-2.0
/*
 * Frames are charged to the VM's memory cgroup; and a VM at its cgroup's limit
 * is the one that suffers: by its own doing, never by the scanner's or an
 * administrator's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "large_vm.h"
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
static void start_with(struct vm_process *p, const struct vm_config *config)
{
	char self[32];

	snprintf(self, sizeof(self), "%d", getpid());
	must_write(GROUP "/cgroup.procs", self);
	process_start(p, config);
	must_write(ROOT "/cgroup.procs", self);
}

static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	start_with(p, &config);
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
	mrm_settle();
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

static long oom_kills(void)
{
	char text[MRM_TEXT];
	long kills = -1;

	file_read(GROUP "/memory.events", text, sizeof(text));
	if (sscanf(text, "%*s %*d %*s %*d %*s %*d %*s %*d %*s %ld", &kills) != 1)
		return -1;
	return kills;
}

/* More than is charged already. */
static void set_limit(const char *file, long more)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", current_bytes() + more);
	must_write(file, text);
}

static void no_limit(void)
{
	must_write(GROUP "/memory.max", "max");
	must_write(GROUP "/memory.high", "max");
}

static void must_die(struct vm_process *p, const char *what)
{
	long kills = oom_kills();

	process_send(p, touch_all, NULL, 0);
	tap_ok(process_receive_or_end(p, 2 * MRM_LONG), "%s", what);
	process_kill(p);
	tap_equal(oom_kills(), kills + 1, "%s: it is the one that is killed", what);
}

/* So many pages in each 2 MiB. */
static void fill_some(struct vm_process *p, size_t count)
{
	size_t first;

	for (first = 0; first < PAGES; first += PARTS)
		process_fill(p, first, count, 1);
}

/* Not for what it has not touched of its large pages. */
static void test_sparse(const char *file)
{
	const struct vm_config config = { .pages = PAGES };
	long kills = oom_kills(), broken;
	struct vm_process p;

	mrm_set("alloc_guest_large_page", "1");
	start_with(&p, &config);
	broken = mrm_vm_get(p.pid, "large_pages_broken");
	set_limit(file, 24 * MiB);
	fill_some(&p, 1);
	tap_between(mrm_vm_get(p.pid, "large_pages"), 1, 12, "%s has room for some large pages",
		    file);
	fill_some(&p, 128);
	tap_between(mrm_vm_get(p.pid, "large_pages_broken") - broken, 1, 12,
		    "those that hold little are broken");
	tap_between(mrm_vm_get(p.pid, "private_pages"), PAGES / 4, PAGES * 3 / 8,
		    "it has room for its 16 MiB");
	tap_equal(oom_kills(), kills, "and is not killed for the rest");
	mrm_check("with large pages at the limit");
	no_limit();
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after large pages at the limit");
}

/* Nor is one for another's. */
static void test_sparse_neighbour(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p, neighbour, outsider;
	long kills = oom_kills();

	mrm_set("alloc_guest_large_page", "1");
	process_start(&outsider, &config);
	fill_some(&outsider, 1);
	start_with(&neighbour, &config);
	fill_some(&neighbour, 1);
	tap_equal(mrm_vm_get(neighbour.pid, "large_pages"), PAGES / PARTS, "all of it is large");
	mrm_set("alloc_guest_large_page", "0");
	start_with(&p, &config);
	set_limit(GROUP "/memory.max", 16 * MiB);
	process_fill(&p, 0, PAGES * 3 / 4, 1);
	tap_equal(oom_kills(), kills, "48 MiB are had of another's untouched ones");
	tap_between(mrm_vm_get(neighbour.pid, "large_pages"), 1, PAGES / PARTS / 2,
		    "for which no more are broken than it takes");
	tap_equal(mrm_vm_get(outsider.pid, "large_pages"), PAGES / PARTS,
		  "and none of who is in another group");
	mrm_check("with another's large pages at the limit");
	no_limit();
	tap_ok(process_verify(&neighbour) && process_verify(&p) && process_verify(&outsider),
	       "every byte is right");
	process_stop(&p);
	process_stop(&neighbour);
	process_stop(&outsider);
	mrm_reload("after another's large pages at the limit");
}

/* At the limit the VM is killed. */
static void test_limit(void)
{
	struct vm_process p;

	start(&p);
	must_write(GROUP "/memory.max", "33554432");
	must_die(&p, "a VM cannot touch more than its limit");
	tap_between(current_bytes(), 0, 33554432, "nor be charged more");
	mrm_reload("after the VM was killed");
	no_limit();
}

/* All of RAM is shared, in @frames. */
static void start_shared(struct vm_process *p, size_t frames)
{
	size_t i;

	start(p);
	if (mrm_vm_set(p->pid, "salt", "memcg"))
		tap_bail("cannot set the salt");
	for (i = 0; i < PAGES; i++)
		p->states[i] = 1 + i % frames;
	tap_equal(process_guest(p, GUEST_FILL, 0, PAGES), 0, "the guest writes");
}

static void is_shared(long frames)
{
	tap_ok(mrm_share_all(), "a pass");
	tap_equal(mrm_get("shared_frames"), frames, "as many frames as contents are shared");
	tap_equal(mrm_get("private_pages"), 0, "and nothing else");
}

/* Breaking needs memory that there is not: the guest's doing. */
static void test_break(void)
{
	const struct vm_config config = { .pages = 512 };
	struct vm_process p, neighbour;
	size_t i;

	process_start(&neighbour, &config);
	mrm_vm_set(neighbour.pid, "salt", "memcg");
	for (i = 0; i < 512; i++)
		neighbour.states[i] = 1 + i % 64;
	process_guest(&neighbour, GUEST_FILL, 0, 512);
	start_shared(&p, 64);
	is_shared(64);
	set_limit(GROUP "/memory.max", 8 * MiB);
	must_die(&p, "a VM cannot break more than its limit");
	tap_ok(mrm_wait("vms", 1, 1, MRM_LONG), "it is gone");
	tap_ok(process_verify(&neighbour), "its neighbour has every byte");
	tap_equal(mrm_get("shared_frames"), 64, "in frames that were charged to the dead one");
	mrm_check("after a VM was killed in a break");
	process_stop(&neighbour);
	mrm_reload("after a VM was killed in a break");
	no_limit();
}

/* The same by an administrator's doing: is refused, and harms nobody. */
static void test_switch_off(void)
{
	struct vm_process p;
	char text[MRM_TEXT];
	long kills;

	start_shared(&p, 64);
	is_shared(64);
	kills = oom_kills();
	set_limit(GROUP "/memory.max", 8 * MiB);
	tap_equal(mrm_vm_set(p.pid, "salt", "other"), -ENOMEM, "at its limit, no new salt");
	tap_equal(mrm_vm_set(p.pid, "share", "0"), -ENOMEM, "nor can sharing be switched off");
	tap_text(mrm_vm_text(p.pid, "salt", text), "memcg", "the salt is the old one");
	tap_equal(oom_kills(), kills, "the VM is not killed for it");
	tap_equal(mrm_vm_get(p.pid, "resident_pages"), PAGES, "it has all its pages");
	mrm_check("at the limit");
	no_limit();
	tap_ok(process_verify(&p), "every byte is right");
	tap_equal(mrm_vm_set(p.pid, "share", "0"), 0, "with more memory it is switched off");
	tap_equal(mrm_get("private_pages"), PAGES, "and all pages are private");
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after a VM at its limit");
}

/* The scanner does not wait for a VM above memory.high. */
static void test_high(void)
{
	const long frames = PAGES / 4;
	struct vm_process p;

	start_shared(&p, frames);
	must_write(GROUP "/memory.high", "16777216");
	tap_ok(!mrm_set("share_scan_now", "1") && mrm_wait("share_scan_now", 0, 0, MRM_LONG),
	       "a pass over a VM far above memory.high is not throttled");
	is_shared(frames);
	no_limit();
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_reload("after a VM above memory.high");
}

/* What a neighbour outside of the group pays for cannot become the VM's own. */
static void test_own(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p, neighbour;
	long owned;
	size_t i;

	mrm_set("zip_max", "50");
	process_start(&neighbour, &config);
	mrm_vm_set(neighbour.pid, "salt", "memcg");
	/* Two of each, so that all frames are there before the VM names them. */
	for (i = 0; i < PAGES; i++)
		neighbour.states[i] = (1 + i % (PAGES / 2)) | THIN;
	process_guest(&neighbour, GUEST_FILL, 0, PAGES);
	is_shared(PAGES / 2);
	start(&p);
	mrm_vm_set(p.pid, "salt", "memcg");
	for (i = 0; i < PAGES; i++)
		p.states[i] = (i < PAGES / 2 ? 1 + i : PAGES + i) | THIN;
	tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES), 0, "the guest writes the same");
	tap_ok(mrm_share_all(), "a pass");
	tap_equal(mrm_vm_get(p.pid, "shared_pages"), PAGES / 2,
		  "half of it is shared with another");
	process_stop(&neighbour);
	owned = mrm_vm_get(p.pid, "owned_pages");
	for (i = 0; i < 8; i++)
		mrm_vm_reclaim(p.pid, PAGES * PAGE_SIZE);
	tap_equal(mrm_vm_get(p.pid, "owned_pages"), owned, "which is gone, and paid for it");
	tap_equal(mrm_get("shared_frames"), PAGES / 2, "so it stays shared");
	tap_ok(process_verify(&p), "every byte is right");
	mrm_check("with frames of another cgroup");
	process_stop(&p);
	mrm_reload("after frames of another cgroup");
}

static long set_slots(struct vm *vm, void *unused)
{
	(void)unused;
	return vm_set_ram_slots(vm);
}

/* Adopted or not, killed or not: there is no third way. */
static void test_adopt(void)
{
	const struct vm_config config = { .pages = PAGES, .slots = 16, .no_slots = true };
	static const long rooms[] = { 0, 4096, 16384, 65536, 262144, 1048576 };
	long adopted, result, kills;
	struct vm_process p;
	unsigned int i;

	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		kills = oom_kills();
		start_with(&p, &config);
		set_limit(GROUP "/memory.max", rooms[i]);
		process_send(&p, set_slots, NULL, 0);
		result = process_receive_or_end(&p, 2 * MRM_LONG);
		adopted = result == -ECHILD ? 0 : mrm_vm_get(p.pid, "adopted_bytes");
		no_limit();
		tap_note("%ld bytes left: result %ld, %ld bytes adopted, %ld killed", rooms[i],
			 result, adopted, oom_kills() - kills);
		tap_ok(result == -ECHILD || (result && adopted <= (long)(PAGES * PAGE_SIZE)) ||
		       process_verify(&p), "slots are set with %ld bytes left", rooms[i]);
		process_kill(&p);
		mrm_nothing_left("after slots were set at the limit");
	}
	mrm_reload("after slots were set at the limit");
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
	test_sparse(GROUP "/memory.max");
	test_sparse(GROUP "/memory.high");
	test_sparse_neighbour();
	test_break();
	test_switch_off();
	test_high();
	test_own();
	test_adopt();
	rmdir(GROUP);
	return tap_done();
}
