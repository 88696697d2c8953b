// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of the module fails in turn.  An operation is repeated with its
 * first, second, ... allocation failing, until none is left to fail: it may fail,
 * but cleanly; not one byte may be wrong, in the VM that it was done to or in its
 * neighbour; the recount must be right; and the same operation must succeed
 * afterwards.  Then a storm: each fifth allocation fails, whoever makes it.
 *
 * Needs a kernel with fault injection and its stack filter: the debug kernel.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "fault.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES		512
#define KEYS		16	/* different contents, none of zeroes */
#define SOME		4	/* guest pages that faults are taken on */
#define HOLE		128	/* more than a node of an XArray */
#define EVERY		24	/* failures up to which none is left out */
#define SITES		32
#define STORM_INTERVAL	5
#define STORM_ROUNDS	24

/* The VM that things are done to, and one with the same contents. */
static struct vm_process vm, neighbour;

/**
 * enum before - what the VMs are like before an operation
 * @NO_VM: there are none
 * @NO_SLOTS: KVM does not know their RAM
 * @EMPTY: nothing was ever written
 * @FILLED: filled with few different contents
 * @SHARED: and all of it is shared
 * @CHANGING: and some pages are going to hold something else
 * @HOLES: and some were discarded
 * @LARGE: nothing was ever written, and there are pages of 2 MiB
 * @LARGE_ONE: filled, and all of it is one
 * @BROKEN: it was one, and is filled again
 * @THIN_ONES: filled with different contents, that can be zipped and not shared
 * @ZIPPED: and all of it is zipped
 * @THICK: filled with different contents, that cannot; there is a swap file
 * @SWAPPED: and all of it is in swap
 */
enum before {
	NO_VM,
	NO_SLOTS,
	EMPTY,
	FILLED,
	SHARED,
	CHANGING,
	HOLES,
	LARGE,
	LARGE_ONE,
	BROKEN,
	THIN_ONES,
	ZIPPED,
	THICK,
	SWAPPED,
};

/**
 * struct operation - something that allocates
 * @name: what it is
 * @before: what it starts from
 * @in_vm: it, in the VM's process; or
 * @here: it, in this process
 * @thread: of the kernel, whose allocations fail, not those of who calls it; or NULL
 * @none: it allocates nothing
 * @shared: guest pages that are shared after it, -1: who knows
 */
struct operation {
	const char *name;
	enum before before;
	process_fn in_vm;
	long (*here)(void);
	const char *thread;
	bool none;
	long shared;
};

/**
 * struct outcome - of an operation during which an allocation may fail
 * @result: 0 or a negative errno
 * @fired: an allocation failed
 * @site: in which function
 */
struct outcome {
	long result;
	bool fired;
	char site[FAULT_SITE];
};

/* Shared with the VM. */
static struct outcome *outcome;

static long load(void)
{
	return mrm_load();
}

static long adopt(struct vm *v, void *unused)
{
	(void)unused;
	return vm_set_ram_slots(v);
}

static long guest_writes(struct vm *v, void *unused)
{
	(void)unused;
	return vm_guest(v, 0, &(struct guest_work){ .command = GUEST_FILL, .count = SOME });
}

static long guest_reads(struct vm *v, void *unused)
{
	(void)unused;
	return vm_guest(v, 0, &(struct guest_work){ .command = GUEST_VERIFY, .count = SOME });
}

static long user_writes(struct vm *v, void *unused)
{
	(void)unused;
	return vm_user(v, &(struct guest_work){ .command = GUEST_FILL, .count = SOME });
}

static long user_reads(struct vm *v, void *unused)
{
	(void)unused;
	return vm_user(v, &(struct guest_work){ .command = GUEST_VERIFY, .count = SOME });
}

static long discard(struct vm *v, void *unused)
{
	(void)unused;
	return vm_discard(v, 0, SOME);
}

static long scan(void)
{
	return mrm_full_pass() ? 0 : -ETIMEDOUT;
}

static long set_salt(void)
{
	return mrm_vm_set(vm.pid, "salt", "pepper");
}

static long share_nothing(void)
{
	return mrm_vm_set(vm.pid, "share", "0");
}

static long keep_apart(void)
{
	return mrm_set("share_force_salting", "2");
}

static void read_all_files(const char *path)
{
	char file[512], text[4096];
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_REG)
			file_read(file, text, sizeof(text));
		else if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			read_all_files(file);
	}
	if (dir)
		closedir(dir);
}

/* A number that takes memory to find out is right, or not told. */
static long read_files(void)
{
	long within = mrm_vm_get(vm.pid, "saved_within_pages");
	long left_alone = mrm_vm_get(vm.pid, "not_adopted_bytes");

	read_all_files(MRM_SYSFS);
	read_all_files(MRM_DEBUGFS);
	if ((within >= 0 && within != PAGES - KEYS) ||
	    (left_alone >= 0 && left_alone != GUEST_CONTROL)) {
		tap_note("saved_within_pages %ld, not_adopted_bytes %ld", within, left_alone);
		return -EUCLEAN;
	}
	return within < 0 ? within : left_alone < 0 ? left_alone : 0;
}

static long reclaim(void)
{
	return mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE);
}

static long hand_over(void)
{
	char text[MRM_TEXT];

	/* The second time, it has it. */
	return *mrm_vm_text(vm.pid, "swap_file", text) ? 0 : disk_hand_over(DISK_RAM, vm.pid);
}

/* What is left of a large page is moved out of it. */
static long break_large(void)
{
	process_discard(&vm, 0, SOME);
	return mrm_vm_wait(vm.pid, "large_held_bytes", 0, 0, MRM_LONG) ? 0 : -ETIMEDOUT;
}

static bool is_large(void *unused)
{
	(void)unused;
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return mrm_vm_get(vm.pid, "large_pages") == 1;
}

static long rebuild(void)
{
	long err;

	mrm_set("large_rebuild_rate", "1024");
	err = wait_until(is_large, NULL, MRM_LONG) ? 0 : -ETIMEDOUT;
	mrm_set("large_rebuild_rate", "0");
	return err;
}

static const struct operation operations[] = {
	{ "loading the module", NO_VM, .here = load, .shared = -1 },
	{ "adoption", NO_SLOTS, .in_vm = adopt },
	{ "first write by the guest", EMPTY, .in_vm = guest_writes },
	{ "first write by user space", EMPTY, .in_vm = user_writes },
	{ "scanning", FILLED, .here = scan, .thread = "mrm_share", .shared = 2 * PAGES },
	{ "scanning once more", SHARED, .here = scan, .thread = "mrm_share", .shared = 2 * PAGES },
	{ "first read by the guest", HOLES, .in_vm = guest_reads, .shared = 2 * PAGES },
	{ "first read by user space", HOLES, .in_vm = user_reads, .shared = 2 * PAGES },
	{ "breaking by the guest", CHANGING, .in_vm = guest_writes, .shared = 2 * PAGES - SOME },
	{ "breaking by user space", CHANGING, .in_vm = user_writes, .shared = 2 * PAGES - SOME },
	{ "discarding", SHARED, .in_vm = discard, .none = true },
	{ "a new salt", SHARED, .here = set_salt, .shared = PAGES },
	{ "sharing switched off", SHARED, .here = share_nothing, .shared = PAGES },
	{ "VMs kept apart", SHARED, .here = keep_apart, .shared = 0 },
	{ "reading all files", SHARED, .here = read_files, .shared = 2 * PAGES },
	{ "first write to a large page", LARGE, .in_vm = guest_writes },
	{ "breaking a large page", LARGE_ONE, .here = break_large, .thread = "mrm_large" },
	{ "breaking it to take it", LARGE_ONE, .here = reclaim },
	{ "rebuilding a large page", BROKEN, .here = rebuild, .thread = "mrm_large" },
	{ "zipping", THIN_ONES, .here = reclaim },
	{ "unzipping by the guest", ZIPPED, .in_vm = guest_reads },
	{ "unzipping by user space", ZIPPED, .in_vm = user_reads },
	{ "a swap file", THIN_ONES, .here = hand_over },
	{ "writing to swap", THICK, .here = reclaim },
	{ "reading from swap by the guest", SWAPPED, .in_vm = guest_reads },
	{ "reading from swap by user space", SWAPPED, .in_vm = user_reads },
};

static struct {
	char name[FAULT_SITE];
	unsigned long failed;
} sites[SITES];

static void count_site(const char *name)
{
	unsigned int i;

	for (i = 0; i < SITES - 1 && *sites[i].name && strcmp(sites[i].name, name); i++)
		;
	snprintf(sites[i].name, FAULT_SITE, "%s", name);
	sites[i].failed++;
}

static bool recount_is_right(void)
{
	char text[4096];

	if (mrm_debug_read("check", text, sizeof(text)) >= 0 && !strcmp(text, "ok\n"))
		return true;
	tap_note("recount: %s", text);
	return false;
}

static void start(struct vm_process *p, enum before before)
{
	size_t i;

	process_start(p, &(struct vm_config){ .pages = PAGES, .no_slots = before == NO_SLOTS });
	if (before < FILLED || before == LARGE)
		return;
	for (i = 0; i < PAGES; i++)
		p->states[i] = before >= THICK ? 1 + i :
			       before >= THIN_ONES ? (1 + i) | THIN : 1 + i % KEYS;
	if (process_guest(p, GUEST_FILL, 0, PAGES))
		tap_bail("the guest cannot fill its memory");
}

static bool has_nothing(void *unused)
{
	(void)unused;
	return !reclaim() && !mrm_vm_get(vm.pid, "private_pages");
}

static bool has_large(enum before before)
{
	return before >= LARGE && before <= BROKEN;
}

static void prepare(enum before before)
{
	size_t i;

	if (before == NO_VM) {
		if (!mrm_unload_wait(MRM_LONG))
			tap_bail("the module does not unload");
		return;
	}
	mrm_set("alloc_guest_large_page", has_large(before) ? "1" : "0");
	mrm_set("zip_max", before >= THICK ? "0" : "50");
	/* They share with each other. */
	mrm_set("share_force_salting", "1");
	start(&vm, before);
	start(&neighbour, before == NO_SLOTS ? EMPTY : before);
	if (before >= THIN_ONES) {
		mrm_vm_set(vm.pid, "share", "0");
		if (before >= THICK && hand_over())
			tap_bail("no swap file");
		if ((before == ZIPPED || before == SWAPPED) &&
		    !wait_until(has_nothing, NULL, MRM_LONG))
			tap_bail("not all can be taken");
		return;
	}
	if (before >= SHARED && before <= HOLES &&
	    (!mrm_full_pass() || mrm_get("shared_pages") != 2 * PAGES))
		tap_bail("not all is shared");
	if (before == BROKEN) {
		if (break_large())
			tap_bail("a large page is not broken");
		process_fill(&vm, 0, SOME, 1);
	}
	for (i = 0; i < SOME; i++) {
		if (before == CHANGING)
			vm.states[i] = 1000 + i;
	}
	if (before == HOLES)
		process_discard(&vm, 0, HOLE);
}

static void clean_up(enum before before)
{
	if (before == NO_VM)
		return;
	process_kill(&vm);
	process_kill(&neighbour);
	mrm_wait("vms", 0, 0, MRM_LONG);
}

/**
 * struct armed - an operation for the VM's process
 * @fn: what to do
 * @n: which allocation is to fail
 */
struct armed {
	process_fn fn;
	unsigned int n;
};

static long run_armed(struct vm *v, void *arg)
{
	const struct armed *a = arg;

	fault_arm(getpid(), a->n);
	outcome->result = a->fn(v, NULL);
	outcome->fired = fault_fired(getpid(), outcome->site);
	return 0;
}

static void run(const struct operation *op, unsigned int n)
{
	pid_t pid = op->thread ? kernel_thread(op->thread) : getpid();

	if (op->in_vm) {
		process_call(&vm, run_armed, &(struct armed){ op->in_vm, n }, sizeof(struct armed));
		return;
	}
	fault_arm(pid, n);
	outcome->result = op->here();
	outcome->fired = fault_fired(pid, outcome->site);
}

static long run_again(const struct operation *op)
{
	return op->in_vm ? process_call(&vm, op->in_vm, NULL, 0) : op->here();
}

/* An error that says what was wrong: no memory, as KVM_RUN calls it, too. */
static bool is_clean(long result)
{
	return !result || result == -ENOMEM || result == -EFAULT;
}

/* After the n-th allocation failed: is all as it must be? */
static bool survived(const struct operation *op)
{
	char text[MRM_TEXT];
	long err;

	if (!is_clean(outcome->result)) {
		tap_note("it returned %ld", outcome->result);
		return false;
	}
	if (op->before == NO_VM) {
		if (outcome->result && (mrm_loaded() || !access(MRM_DEBUGFS, F_OK))) {
			tap_note("not loaded, but there are files");
			return false;
		}
		err = outcome->result ? op->here() : 0;
		if (err)
			tap_note("then it does not load (%ld)", err);
		return !err;
	}
	/* What the operation is not about holds what it did. */
	if (!process_verify(&neighbour) ||
	    (op->before != NO_SLOTS &&
	     process_guest(&vm, GUEST_VERIFY, SOME, PAGES - SOME)))
		return false;
	if (!recount_is_right())
		return false;
	err = run_again(op);
	if (err) {
		tap_note("tried again, it returned %ld", err);
		return false;
	}
	if (op->before == NO_SLOTS && strcmp(mrm_vm_range(vm.pid, vm.ram, text), "512 adopted")) {
		tap_note("tried again, its RAM is: %s", text);
		return false;
	}
	if (!process_verify(&vm) || !process_verify(&neighbour) || !recount_is_right())
		return false;
	if (op->shared > 0 && mrm_get("shared_pages") != op->shared) {
		tap_note("%ld pages are shared, not %ld", mrm_get("shared_pages"), op->shared);
		return false;
	}
	return true;
}

static void fail_in_turn(const struct operation *op)
{
	unsigned int n, failed = 0;
	bool right = true;

	if (op->before == NO_VM)
		fault_any_module();
	else
		fault_our_module();
	/* What allocates a thousand times at one place is sampled. */
	for (n = 1; right; n += n < EVERY ? 1 : n / 2) {
		prepare(op->before);
		run(op, n);
		if (!outcome->fired) {
			clean_up(op->before);
			break;
		}
		failed++;
		count_site(outcome->site);
		right = survived(op);
		if (!right)
			tap_note("allocation %u, in %s", n, outcome->site);
		clean_up(op->before);
	}
	tap_ok(right && !failed == op->none, "%s: %u allocations failed in turn, nothing is lost",
	       op->name, failed);
}

/* Changes and checks, and discards, whatever fails. */
static long churn(struct vm *v, void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	long failed = 0, err;
	int i;

	for (i = 0; i < 8; i++) {
		struct guest_work work = {
			.command = GUEST_CHURN, .keys = KEYS, .count = 64, .pages = PAGES,
			.seed = pattern_mix(seed + i),
		};

		/* A vCPU that was not served goes on where it was. */
		do {
			err = vm_guest(v, 0, &work);
			failed += err < 0;
		} while (err == -EFAULT || err == -ENOMEM);
		if (err)
			return err;
		if (vm_user(v, &work))
			return 1;
		if (vm_discard(v, pattern_random(&work.seed, PAGES - SOME), SOME))
			return -errno;
	}
	return -1000 - failed;
}

static void test_storm(void)
{
	unsigned long failed;
	long not_served = 0, result;
	uint64_t seed;
	int i;

	prepare(SHARED);
	fault_our_module();
	fault_storm(STORM_INTERVAL);
	for (i = 0; i < STORM_ROUNDS; i++) {
		seed = i;
		result = process_call(&vm, churn, &seed, sizeof(seed));
		if (result > -1000) {
			tap_note("round %d: %ld", i, result);
			break;
		}
		not_served -= result + 1000;
		mrm_full_pass();
		mrm_vm_set(vm.pid, "salt", i & 1 ? "pepper" : "salt");
		mrm_vm_set(neighbour.pid, "share", i & 2 ? "1" : "0");
		read_all_files(MRM_SYSFS);
	}
	failed = fault_storm_end();
	tap_ok(i == STORM_ROUNDS && failed > STORM_ROUNDS,
	       "storm: %lu allocations failed, a vCPU was not served %ld times", failed,
	       not_served);
	tap_ok(process_verify(&vm) && process_verify(&neighbour), "storm: every byte is right");
	mrm_check("after the storm");
	clean_up(SHARED);
}

int main(void)
{
	unsigned int i;
	bool has_disk;

	if (!fault_begin()) {
		tap_skip("the kernel has no fault injection", "every allocation fails in turn");
		return tap_done();
	}
	/* Which frames there are is a part of an operation: its allocations are counted. */
	mrm_without_large();
	mrm_begin();
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (outcome == MAP_FAILED)
		tap_bail("no memory");
	has_disk = disk_ram();
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (!has_disk && (operations[i].before >= THICK ||
				  operations[i].here == hand_over)) {
			tap_skip("no RAM disk", operations[i].name);
			continue;
		}
		fail_in_turn(&operations[i]);
		/* The module is another one. */
		if (operations[i].before == NO_VM)
			mrm_tune();
	}
	test_storm();
	for (i = 0; i < SITES && *sites[i].name; i++)
		tap_note("%s: %lu", sites[i].name, sites[i].failed);
	mrm_nothing_left("in the end");
	return tap_done();
}
