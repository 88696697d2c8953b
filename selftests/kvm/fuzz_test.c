// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on a few VMs, legal and illegal, while the scanner runs flat
 * out; a model says what every page must hold.  See fuzz/fuzz.h.
 *
 * The operations follow from the seed, one after the other; what runs beside them
 * (the scanner, a vCPU that churns) does not.  VMs end in all ways and are replaced.
 *
 * MRM_FUZZ_SECONDS: how long.  MRM_FUZZ_SEED: to repeat.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fuzz/fuzz.h"
#include "disk.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define VMS		3
#define ORPHANS		24
#define MAX_KINDS	80
#define MAX_ERRNO	134
#define LOG		65536
#define SHOWN		30	/* operations, when something was wrong */
#define EACH_VERIFY	200	/* operations between looks at all of a VM */
#define EACH_LIFE	400	/* operations after which one of the VMs ends */
#define EACH_CHECK	4000	/* operations between recounts of everything */
#define ENOUGH		150	/* attempts of which one must have succeeded: some seldom do */

static const struct fuzz_op * const tables[] = {
	fuzz_memory_ops, fuzz_advice_ops, fuzz_guest_ops, fuzz_io_ops, fuzz_process_ops,
	fuzz_outside_ops,
};

/**
 * struct kind - of operations, and what became of them
 * @op: what it is
 * @tried: how many there were
 * @worked: how many succeeded
 * @failed: how many did with each errno
 */
struct kind {
	const struct fuzz_op *op;
	unsigned long tried, worked, failed[MAX_ERRNO];
};

/**
 * struct entry - an operation that was
 * @number: which
 * @vm: index of the VM
 * @life: of this VM
 * @op: what
 * @first: first page
 * @count: pages
 * @also_first: another range that it was done to
 * @also_count: pages of it
 * @result: what it returned
 * @detail: what the operation said of itself
 */
struct entry {
	unsigned long number;
	unsigned int vm, life;
	const struct fuzz_op *op;
	size_t first, count, also_first, also_count;
	long result;
	char detail[48];
};

/**
 * struct order - an operation, on its way to a VM
 * @op: number of the kind
 * @vm: index of the VM
 * @seed: of all that is random in it
 * @first: first page
 * @count: pages
 */
struct order {
	unsigned int op, vm;
	uint64_t seed;
	size_t first, count;
};

static struct kind kinds[MAX_KINDS];
static unsigned int nr_kinds, weights;
static struct entry history[LOG];
static unsigned long done;		/* operations */
static uint64_t first_seed, seed;
static struct vm_process vms[VMS];
static unsigned int lives[VMS];
static struct fuzz_vm *models;		/* of each VM, shared with it */
static pid_t orphans[ORPHANS];		/* they outlive their VM */
static long most_shared, on_adopted, with_swap, ends[4];

static uint32_t random_below(uint32_t n)
{
	return pattern_random(&seed, n);
}

static struct fuzz fuzz_of(unsigned int vm, const struct order *order)
{
	return (struct fuzz){
		.v = &models[vm], .pid = vms[vm].pid, .index = vm, .seed = order->seed,
		.first = order->first, .count = order->count,
	};
}

/*
 * In the VM's process.
 */

static long start(struct vm *vm, void *arg)
{
	struct order *order = arg;
	struct fuzz f = fuzz_of(order->vm, order);

	return fuzz_start_vm(vm, &f);
}

/* What an operation must not do is to change how RAM is mapped. */
static long compare_maps(struct fuzz *f, bool may_differ)
{
	static struct fuzz_map now[FUZZ_PAGES];
	size_t i;

	if (fuzz_read_map(f->pid, now))
		return fuzz_wrong(f, 0, "cannot read maps");
	for (i = 0; i < FUZZ_PAGES; i++)
		if (!may_differ && (now[i].mapped != f->v->map[i].mapped ||
				    now[i].prot != f->v->map[i].prot))
			return fuzz_wrong(f, i, "page %zu: mapped %d, protection %d: was %d, %d",
					  i, now[i].mapped, now[i].prot, f->v->map[i].mapped,
					  f->v->map[i].prot);
	memcpy(f->v->map, now, sizeof(now));
	return 0;
}

static long operate(struct vm *vm, void *arg)
{
	struct order *order = arg;
	struct fuzz f = fuzz_of(order->vm, order);
	const struct fuzz_op *op = kinds[order->op].op;
	long result;

	f.vm = vm;
	f.pid = getpid();
	result = op->run(&f);
	if (result != FUZZ_WRONG && compare_maps(&f, op->traits & FUZZ_REMAPS))
		result = FUZZ_WRONG;
	if (result != FUZZ_WRONG && f.v->churn_error)
		result = fuzz_stop_churn(&f);
	return result;
}

/* What could not be read can be again. */
static long unprotect(struct fuzz *f)
{
	size_t i;

	for (i = 0; i < FUZZ_OPEN; i++)
		if (f->v->map[i].mapped)
			mprotect(fuzz_address(i), PAGE_SIZE, PROT_READ | PROT_WRITE);
	return compare_maps(f, true);
}

/* All of it, as user space and the guests see it. */
static long verify(struct vm *vm, void *arg)
{
	struct order *order = arg;
	struct fuzz f = fuzz_of(order->vm, order);

	f.vm = vm;
	f.pid = getpid();
	if (order->op && (fuzz_stop_churn(&f) || unprotect(&f)))
		return FUZZ_WRONG;
	return fuzz_verify(&f, 0, FUZZ_OPEN) ?: fuzz_guest_verify(&f);
}

static long exec(struct vm *vm, void *unused)
{
	char * const argv[] = { "fuzz_test", "--exit", NULL };

	(void)vm;
	(void)unused;
	execv("/proc/self/exe", argv);
	return -errno;
}

/*
 * In the test.
 */

static void bury(pid_t *pid)
{
	if (*pid) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, __WALL);
	}
	*pid = 0;
}

/* Nobody is left behind who would keep a VM's memory. */
static void bury_all(void)
{
	unsigned int i, j;

	for (i = 0; i < ORPHANS; i++)
		bury(&orphans[i]);
	for (i = 0; i < VMS; i++)
		for (j = 0; j < FUZZ_CHILDREN; j++)
			bury(&models[i].child[j]);
}

/* Swap, if there are such disks and the last VM has let go of it. */
static void give_swap(unsigned int i)
{
	char path[DISK_PATH];

	snprintf(path, sizeof(path), FUZZ_SWAP, i + 1);
	with_swap += !disk_hand_over(path, vms[i].pid);
}

static void start_vm(unsigned int i)
{
	const struct vm_config config = { .pages = 1, .vcpus = 2, .no_slots = true };
	struct order order = { .vm = i };
	long err;

	memset(&models[i], 0, sizeof(models[i]));
	process_start(&vms[i], &config);
	err = process_call(&vms[i], start, &order, sizeof(order));
	if (err)
		tap_bail("a VM does not start: %s", strerror(-err));
	mrm_vm_set(vms[i].pid, "salt", "fuzz");
	give_swap(i);
	lives[i]++;
}

/* Its children stay for a while. */
static void leave_children(unsigned int vm)
{
	unsigned int i, j;

	for (i = 0; i < FUZZ_CHILDREN; i++) {
		j = random_below(ORPHANS);
		bury(&orphans[j]);
		orphans[j] = models[vm].child[i];
		models[vm].child[i] = 0;
	}
}

static void end_vm(unsigned int i)
{
	unsigned int how = random_below(4);
	siginfo_t info;
	int fd;

	ends[how]++;
	switch (how) {
	case 0:
		process_stop(&vms[i]);
		break;
	case 1:
		process_kill(&vms[i]);
		break;
	case 2:
		/* Killed, and its memory reaped by somebody else meanwhile. */
		fd = syscall(SYS_pidfd_open, vms[i].pid, 0);
		kill(vms[i].pid, SIGKILL);
		syscall(SYS_process_mrelease, fd, 0);
		close(fd);
		process_kill(&vms[i]);
		break;
	default:
		process_send(&vms[i], exec, NULL, 0);
		waitid(P_PID, vms[i].pid, &info, WEXITED | WNOWAIT);
		process_kill(&vms[i]);
	}
	leave_children(i);
}

static void show(const struct entry *e)
{
	tap_note("%lu: VM %u.%u %s, pages %zu + %zu, %s: %ld%s%s", e->number, e->vm, e->life,
		 e->op->name, e->first, e->count, e->detail, e->result,
		 e->result < 0 && e->result != FUZZ_WRONG ? " " : "",
		 e->result < 0 && e->result != FUZZ_WRONG ? strerror(-e->result) : "");
}

static bool touches(const struct entry *e, unsigned int vm, size_t page)
{
	return e->vm == vm && e->life == lives[vm] &&
	       (page - e->first < e->count || page - e->also_first < e->also_count);
}

static void show_history(unsigned int vm, size_t page)
{
	unsigned long n, oldest = done > LOG ? done - LOG : 0, first = done;
	unsigned int found = 0;

	for (n = done; n > oldest && found < SHOWN; n--) {
		if (touches(&history[(n - 1) % LOG], vm, page)) {
			found++;
			first = n - 1;
		}
	}
	tap_note("the last %u on page %zu of VM %u:", found, page, vm);
	for (n = first; n < done; n++)
		if (touches(&history[n % LOG], vm, page))
			show(&history[n % LOG]);
	tap_note("the last %d of all:", SHOWN);
	for (n = done > SHOWN ? done - SHOWN : 0; n < done; n++)
		show(&history[n % LOG]);
}

static void end_all(const char *when)
{
	int i;

	for (i = 0; i < VMS; i++)
		if (vms[i].pid)
			process_kill(&vms[i]);
	bury_all();
	mrm_tune();
	mrm_nothing_left(when);
}

/* What others see of it: the process's user space, and the module. */
static void show_page(unsigned int vm, size_t page)
{
	static char text[0x40000];
	static uint64_t contents[PAGE_WORDS];
	const struct fuzz_map *map = &models[vm].map[page];
	struct iovec here = { contents, PAGE_SIZE }, there = { fuzz_address(page), PAGE_SIZE };
	unsigned long start, pages;
	char file[32], *line, *save;
	ssize_t n;

	n = process_vm_readv(vms[vm].pid, &here, 1, &there, 1, 0);
	tap_note("user space sees %#lx %#lx ... (%zd bytes)", contents[0], contents[1], n);
	tap_note("mapped %d, ours %d, anonymous %d, shared %d, protection %d", map->mapped,
		 map->ours, map->anon, map->shared, map->prot);
	snprintf(file, sizeof(file), "vm/%d/pages", vms[vm].pid);
	mrm_debug_read(file, text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%lx %lu", &start, &pages) == 2 &&
		    fuzz_address(page) >= (uint8_t *)start &&
		    fuzz_address(page) < (uint8_t *)start + pages * PAGE_SIZE)
			tap_note("the module: %s", line);
}

/*
 * As in the stress test: a vCPU that stops while its code and its tables are intact
 * tells nothing of the module, if the processor is emulated.
 */
static void give_up(unsigned int vm)
{
	struct fuzz_vm *v = &models[vm];

	if (v->vcpu_stopped && vm_emulated() && vm_control_intact(vms[vm].control)) {
		tap_skip("the emulated processor stopped a vCPU", "all operations");
	} else {
		tap_ok(false, "%lu operations, every byte right", done);
		tap_note("seed %#lx, operation %lu, VM %u: %s", first_seed, done, vm, v->wrong);
		show_history(vm, v->wrong_page);
		show_page(vm, v->wrong_page);
	}
	end_all("after that");
	exit(tap_done());
}

static void died(unsigned int vm)
{
	int status = 0;

	waitpid(vms[vm].pid, &status, WNOHANG);
	if (!*models[vm].wrong)
		snprintf(models[vm].wrong, sizeof(models[vm].wrong),
			 "its process ended with status %#x", status);
	give_up(vm);
}

static long call(unsigned int vm, process_fn fn, const struct order *order)
{
	long result;

	process_send(&vms[vm], fn, order, sizeof(*order));
	result = process_receive_or_end(&vms[vm], 4 * MRM_LONG);
	if (result == -ECHILD)
		died(vm);
	return result;
}

/* Most are small; some are all there is. */
static void choose_range(struct order *order, unsigned int traits)
{
	static const unsigned int max[] = { 1, 1, 2, 4, 4, 16, 64, FUZZ_CHUNK };
	unsigned int all = traits & FUZZ_ANYWHERE ? FUZZ_PAGES : FUZZ_OPEN;

	order->count = 1 + random_below(max[random_below(8)]);
	order->first = random_below(all - order->count + 1);
	if (!random_below(8) && order->first >= FUZZ_CHUNK)
		order->first -= order->first % FUZZ_CHUNK;
	if (!random_below(64))
		order->count = all - order->first;
}

static unsigned int choose_kind(void)
{
	unsigned int at = random_below(weights), i;

	for (i = 0; at >= kinds[i].op->weight; i++)
		at -= kinds[i].op->weight;
	return i;
}

static void count_result(struct kind *k, long result)
{
	k->tried++;
	if (result >= 0)
		k->worked++;
	else if (result > -MAX_ERRNO)
		k->failed[-result]++;
}

static void one_operation(void)
{
	struct order order = { .op = choose_kind(), .vm = random_below(VMS) };
	struct kind *k = &kinds[order.op];
	struct fuzz_vm *v = &models[order.vm];
	struct entry *e = &history[done % LOG];
	struct fuzz f;

	seed = pattern_mix(seed + done);
	order.seed = seed;
	choose_range(&order, k->op->traits);
	on_adopted += v->map[order.first].ours;
	*v->detail = '\0';
	v->also_count = 0;
	*e = (struct entry){
		.number = done++, .vm = order.vm, .life = lives[order.vm], .op = k->op,
		.first = order.first, .count = order.count,
	};
	f = fuzz_of(order.vm, &order);
	/* Meanwhile it is the last one; it may not return. */
	e->result = 0;
	if (k->op->traits & FUZZ_OUTSIDE)
		e->result = k->op->run(&f);
	else
		e->result = call(order.vm, operate, &order);
	memcpy(e->detail, v->detail, sizeof(e->detail));
	e->also_first = v->also_first;
	e->also_count = v->also_count;
	count_result(k, e->result);
	if (e->result == FUZZ_WRONG)
		give_up(order.vm);
}

/* @quiet: what churns is stopped, and verified as well. */
static void verify_vm(unsigned int vm, bool quiet)
{
	struct order order = { .vm = vm, .op = quiet };

	if (call(vm, verify, &order))
		give_up(vm);
	most_shared = most_shared > mrm_get("shared_pages") ? most_shared :
		      mrm_get("shared_pages");
}

static void check_all(void)
{
	char when[64];
	unsigned int i;

	for (i = 0; i < VMS; i++)
		verify_vm(i, true);
	mrm_tune();
	tap_ok(mrm_full_pass(), "a pass over all");
	for (i = 0; i < VMS; i++)
		verify_vm(i, true);
	tap_ok(true, "%lu operations, every byte right", done);
	snprintf(when, sizeof(when), "after %lu operations", done);
	mrm_check(when);
	mrm_set("share_scan_time", "1");
}

static void report(void)
{
	char text[256];
	unsigned int i, j;
	int n;

	for (i = 0; i < nr_kinds; i++) {
		struct kind *k = &kinds[i];

		for (n = 0, j = 0; j < MAX_ERRNO && n < (int)sizeof(text) - 32; j++)
			if (k->failed[j])
				n += snprintf(text + n, sizeof(text) - n, ", %lu %s", k->failed[j],
					      strerrorname_np(j) ?: "?");
		text[n] = '\0';
		tap_note("%s: %lu, %lu succeeded%s", k->op->name, k->tried, k->worked, text);
	}
	for (i = 0; i < nr_kinds; i++)
		if (kinds[i].op->traits & FUZZ_MUST && kinds[i].tried >= ENOUGH &&
		    !kinds[i].worked)
			tap_ok(false, "%s succeeded now and then", kinds[i].op->name);
}

static void list_kinds(void)
{
	unsigned int i;
	const struct fuzz_op *op;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (op = tables[i]; op->name; op++) {
			if (nr_kinds == MAX_KINDS)
				tap_bail("too many kinds of operations");
			kinds[nr_kinds++].op = op;
			weights += op->weight;
		}
}

int main(int argc, char **argv)
{
	long seconds = setting("MRM_FUZZ_SECONDS", 60), end, discarded, broken, unzips, ins;
	unsigned int i;

	/* What a VM that execs becomes. */
	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 0;
	mrm_begin();
	list_kinds();
	first_seed = setting_seed("MRM_FUZZ_SEED");
	seed = first_seed;
	tap_note("%ld s", seconds);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	models = mmap(NULL, VMS * sizeof(*models), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (models == MAP_FAILED)
		tap_bail("no memory");
	if (!disk_ram())
		tap_note("no block device in RAM (brd): no direct I/O");
	discarded = mrm_get("discarded_pages");
	broken = mrm_get("broken_pages");
	unzips = mrm_get("unzips");
	ins = mrm_get("swap_ins");
	mrm_set("share_scan_time", "1");
	for (i = 0; i < VMS; i++)
		start_vm(i);
	end = now_ms() + seconds * 1000;
	while (now_ms() < end) {
		one_operation();
		if (done % EACH_VERIFY == 0)
			verify_vm(random_below(VMS), false);
		if (done % EACH_LIFE == 0) {
			i = random_below(VMS);
			verify_vm(i, false);
			end_vm(i);
			start_vm(i);
		}
		if (done % EACH_CHECK == 0)
			check_all();
	}
	check_all();
	discarded = mrm_get("discarded_pages") - discarded;
	broken = mrm_get("broken_pages") - broken;
	unzips = mrm_get("unzips") - unzips;
	ins = mrm_get("swap_ins") - ins;
	report();
	tap_note("seed %#lx: %lu operations, %ld on adopted memory", first_seed, done, on_adopted);
	tap_note("VMs: %ld exited, %ld killed, %ld reaped, %ld became another program", ends[0],
		 ends[1], ends[2], ends[3]);
	tap_note("%ld pages shared at one time, %ld broken, %ld discarded", most_shared, broken,
		 discarded);
	tap_note("%ld unzipped; %ld VMs with swap, %ld read from it", unzips, with_swap, ins);
	tap_ok(on_adopted > (long)done / 5, "many operations were on adopted memory");
	tap_ok(most_shared > 0 && broken > 0 && discarded > 0,
	       "pages were shared, broken, and discarded");
	tap_ok(unzips > 0 && (ins > 0 || !with_swap), "pages were zipped and swapped, and wanted");
	end_all("in the end");
	tap_ok(mrm_unload_wait(MRM_LONG) && !mrm_load(), "the module unloads");
	return tap_done();
}
