// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of the module fails in turn.  An operation is repeated with its
 * first, second, ... allocation failing, until none is left to fail: it may fail,
 * but cleanly; not one byte may be wrong, in the VM that it was done to or in its
 * neighbour; the recount must be right; and the same operation must succeed
 * afterwards.  Then a storm: each fifth allocation fails, whoever makes it.
 *
 * Needs a kernel with fault injection and its stack filter: the debug kernel; for swap a RAM
 * disk, and for hot I/O scripts/host --ide.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "fault.h"
#include "large_vm.h"
#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES		512
#define KEYS		16	/* different contents, none of zeroes */
#define SOME		4	/* guest pages that faults are taken on */
#define FEW		2	/* of those, where each takes long */
#define HOLE		128	/* more than a node of an XArray */
#define EVERY		24	/* failures up to which none is left out */
#define SITES		48
#define LIMIT		(64 * MiB)	/* the least that there is */
#define OTHER_PAGES	(60 * MiB / PAGE_SIZE)
#define THRESHOLD	4	/* copies that make a guest page hot */
#define STORM_INTERVAL	5
#define STORM_ROUNDS	24

/* The VM that things are done to, and one with the same contents. */
static struct vm_process vm, neighbour;

/* One that has nearly all that there is; it stays as long as an operation is tried. */
static struct vm_process other;

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
 * @ZIPPED_ANEW: the same, by a module in which nothing else was before
 * @ZSTD_ZIPPED: and all of it is zipped by zstd
 * @THICK: filled with different contents, that cannot; there is a swap file
 * @SWAPPED: and all of it is in swap
 * @COPIED: filled with different contents, the first of which are on a disk, too, that does not
 *	reach them
 * @MOVED: and those were moved to where it does
 * @SHORT: filled with different contents, that stay; memory is so short that it is to take no more
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
	ZIPPED_ANEW,
	ZSTD_ZIPPED,
	THICK,
	SWAPPED,
	COPIED,
	MOVED,
	SHORT,
};

/**
 * struct operation - something that allocates
 * @name: what it is
 * @before: what it starts from
 * @in_vm: it, in the VM's process; or
 * @here: it, in this process
 * @thread: of the kernel, whose allocations fail, not those of who calls it; or NULL
 * @vcpu: those of the VM's vCPU fail, which runs while it is done here
 * @all: those after it fail, too: what kvmalloc() tries in two ways fails in both
 * @none: it allocates nothing
 * @shared: guest pages that are shared after it, -1: who knows
 */
struct operation {
	const char *name;
	enum before before;
	process_fn in_vm;
	long (*here)(void);
	const char *thread;
	bool vcpu, all, none;
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

/* If it fails it is what it was; and what one has zipped is unzipped while the other is set. */
static long choose_zstd(void)
{
	long err = mrm_set("zip_algorithm", "zstd");
	char text[MRM_TEXT];

	file_read(MRM_SYSFS "/zip_algorithm", text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, err ? "lz4" : "zstd")) {
		tap_note("zip_algorithm is %s after %ld", text, err);
		return -EUCLEAN;
	}
	return err ?: reclaim();
}

static long guest_reads_with_lz4(struct vm *v, void *unused)
{
	return mrm_set("zip_algorithm", "lz4") ?: guest_reads(v, unused);
}

/* What was given back is taken again, and for each page it waits, unless that takes memory. */
static long write_blocked(struct vm *v, void *unused)
{
	long blocks = mrm_vm_get(getpid(), "blocks"), err;
	uint64_t states[FEW];
	size_t i;

	(void)unused;
	for (i = 0; i < FEW; i++)
		states[i] = v->view.states[i];
	err = vm_discard(v, 0, FEW);
	for (i = 0; i < FEW; i++)
		v->view.states[i] = states[i];
	err = err ?: vm_guest(v, 0, &(struct guest_work){ .command = GUEST_FILL, .count = FEW });
	if (!err && mrm_vm_get(getpid(), "blocks") == blocks) {
		tap_note("it was never blocked");
		return -EUCLEAN;
	}
	return err;
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

/* As it is before it can be rebuilt. */
static long break_and_fill(void)
{
	long err = break_large();

	if (!err)
		process_fill(&vm, 0, SOME, 1);
	return err;
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

static bool is_mapped_as_large(void)
{
	return large_map_says(&vm, PAGES, "FilePmdMapped") == HUGE_SIZE / 1024;
}

/* It is, or an allocation has failed: then it may be a minute until that is tried again. */
static bool is_remapped(void *armed)
{
	process_guest(&vm, GUEST_TOUCH, 0, PAGES);
	return is_mapped_as_large() || (*(bool *)armed && !fault_left(vm.pid));
}

/* A vCPU that has met what was rebuilt takes the page table out of its way. */
static long remap(void)
{
	bool armed = fault_left(vm.pid);
	long err = 0;

	if (is_mapped_as_large())
		return 0;
	/* It was tried in vain: not again before it is rebuilt once more. */
	if (is_large(NULL))
		err = break_and_fill();
	err = err ?: rebuild();
	if (err)
		return err;
	if (!wait_until(is_remapped, &armed, MRM_LONG))
		return -ETIMEDOUT;
	return is_mapped_as_large() ? 0 : -ENOMEM;
}

static void transfer(size_t times, bool write)
{
	const struct disk_transfer t = { DISK_NARROW, 0, FEW, times, write };

	if (process_call(&vm, disk_transfer, &t, sizeof(t)))
		tap_bail("the disk fails");
}

static bool are_moved(void *pages)
{
	/* Those that were not count from the beginning. */
	transfer(THRESHOLD, false);
	return mrm_vm_wait(vm.pid, "io_remapped_pages", *(long *)pages, LONG_MAX, 1000);
}

static long move_back(void)
{
	mrm_set("hot_io_threshold", "0");
	return mrm_vm_wait(vm.pid, "io_low_bytes", 0, 0, MRM_LONG) ? 0 : -ETIMEDOUT;
}

/* Those that are where the disk reaches them go back first. */
static long move_down(void)
{
	long err = move_back(), pages = mrm_vm_get(vm.pid, "io_remapped_pages") + FEW;

	if (err)
		return err;
	mrm_set_number("hot_io_threshold", THRESHOLD);
	return wait_until(are_moved, &pages, MRM_LONG) ? 0 : -ETIMEDOUT;
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
	{ "remapping a rebuilt one", BROKEN, .here = remap, .vcpu = true },
	{ "zipping", THIN_ONES, .here = reclaim },
	{ "unzipping by the guest", ZIPPED, .in_vm = guest_reads },
	{ "unzipping by user space", ZIPPED, .in_vm = user_reads },
	{ "from lz4 to zstd", ZIPPED_ANEW, .here = choose_zstd },
	{ "the same, all failing from one on", ZIPPED_ANEW, .here = choose_zstd, .all = true },
	{ "from zstd to lz4, and unzipping", ZSTD_ZIPPED, .in_vm = guest_reads_with_lz4 },
	{ "a swap file", THIN_ONES, .here = hand_over },
	{ "writing to swap", THICK, .here = reclaim },
	{ "reading from swap by the guest", SWAPPED, .in_vm = guest_reads },
	{ "reading from swap by user space", SWAPPED, .in_vm = user_reads },
	{ "moving what a disk does not reach", COPIED, .here = move_down, .thread = "mrm_io" },
	{ "moving it back", MOVED, .here = move_back, .thread = "mrm_io" },
	{ "waiting for memory", SHORT, .in_vm = write_blocked },
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

static bool is_zipped(enum before before)
{
	return before >= ZIPPED && before <= ZSTD_ZIPPED;
}

static bool has_swap(enum before before)
{
	return before == THICK || before == SWAPPED;
}

static bool has_hot(enum before before)
{
	return before == COPIED || before == MOVED;
}

/* What is read from the disk is what is there. */
static void copy_to_disk(void)
{
	mrm_set("hot_io_threshold", "0");
	transfer(1, true);
	if (mrm_vm_get(vm.pid, "io_bounces") != FEW)
		tap_bail("the disk reaches the VM's memory");
}

static void start_other(void)
{
	size_t i;

	if (other.pid)
		return;
	process_start(&other, &(struct vm_config){ .pages = OTHER_PAGES });
	mrm_vm_set(other.pid, "share", "0");
	for (i = 0; i < OTHER_PAGES; i++)
		other.states[i] = (1 << 20) + i;
	if (process_user(&other, GUEST_FILL, 0, OTHER_PAGES))
		tap_bail("it cannot be filled");
}

/* The state is low, and the VM far above its target; and nothing can be taken from any. */
static void make_short(void)
{
	mrm_vm_set(neighbour.pid, "share", "0");
	mrm_vm_set(vm.pid, "shares", "1");
	mrm_set("min_free", "50");
	mrm_set_number("limit_bytes", LIMIT);
	if (!mrm_wait_state("low", MRM_LONG) ||
	    !mrm_vm_wait(vm.pid, "target_bytes", 0, PAGES / 2 * PAGE_SIZE, MRM_LONG))
		tap_bail("memory is not short");
}

static void make_plentiful(void)
{
	mrm_set("min_free", "0");
	mrm_set("limit_bytes", "0");
	/* Or the next ones would wait while they are being filled. */
	if (!mrm_wait_state("high", MRM_LONG))
		tap_bail("memory stays short");
}

static void unload(void)
{
	if (!mrm_unload_wait(MRM_LONG))
		tap_bail("the module is still in use");
}

/* What zstd works in is kept until then. */
static void load_anew(void)
{
	unload();
	if (mrm_load())
		tap_bail("the module does not load");
	mrm_tune();
	/* It is elsewhere. */
	fault_our_module();
}

static void prepare(enum before before)
{
	size_t i;

	if (before == NO_VM) {
		unload();
		return;
	}
	if (before == ZIPPED_ANEW)
		load_anew();
	mrm_set("alloc_guest_large_page", has_large(before) ? "1" : "0");
	mrm_set("zip_max", before >= THICK ? "0" : "50");
	mrm_set("zip_algorithm", before == ZSTD_ZIPPED ? "zstd" : "lz4");
	/* They share with each other. */
	mrm_set("share_force_salting", "1");
	if (before == SHORT)
		start_other();
	start(&vm, before);
	start(&neighbour, before == NO_SLOTS ? EMPTY : before);
	if (before >= THIN_ONES) {
		mrm_vm_set(vm.pid, "share", "0");
		if (has_swap(before) && hand_over())
			tap_bail("no swap file");
		if ((is_zipped(before) || before == SWAPPED) &&
		    !wait_until(has_nothing, NULL, MRM_LONG))
			tap_bail("not all can be taken");
		if (has_hot(before))
			copy_to_disk();
		if (before == MOVED && move_down())
			tap_bail("what is hot is not moved");
		if (before == SHORT)
			make_short();
		return;
	}
	if (before >= SHARED && before <= HOLES &&
	    (!mrm_full_pass() || mrm_get("shared_pages") != 2 * PAGES))
		tap_bail("not all is shared");
	if (before == BROKEN && break_and_fill())
		tap_bail("a large page is not broken");
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
	if (before == SHORT)
		make_plentiful();
	mrm_wait("vms", !!other.pid, !!other.pid, MRM_LONG);
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
	pid_t pid = op->thread ? kernel_thread(op->thread) : op->vcpu ? vm.pid : getpid();

	/* One that is armed begins with the n-th. */
	if (op->all)
		fault_storm(1);
	if (op->in_vm) {
		process_call(&vm, run_armed, &(struct armed){ op->in_vm, n }, sizeof(struct armed));
	} else {
		fault_arm(pid, n);
		outcome->result = op->here();
		outcome->fired = fault_fired(pid, outcome->site);
	}
	if (op->all)
		fault_storm_end();
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
	if (other.pid) {
		right &= !process_user(&other, GUEST_VERIFY, 0, OTHER_PAGES);
		process_kill(&other);
		mrm_wait("vms", 0, 0, MRM_LONG);
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

/* For an operation, on this host; or NULL. */
static const char *what_is_missing(const struct operation *op)
{
	if ((has_swap(op->before) || op->here == hand_over) && !disk_ram())
		return "no RAM disk";
	if (has_hot(op->before) && access(DISK_NARROW, R_OK | W_OK))
		return "no " DISK_NARROW ", see scripts/host --ide";
	return NULL;
}

int main(void)
{
	unsigned int i;
	const char *missing;

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
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		missing = what_is_missing(&operations[i]);
		if (missing) {
			tap_skip(missing, "%s", operations[i].name);
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
