// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets how much memory: a limit that two VMs do not fit in, states and their
 * margins, shares, min and max, what a balloon should hold, and pressure from
 * outside the VMs.  Sampling is off: all memory counts as active.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES		(80 * MiB / PAGE_SIZE)	/* of RAM; the control slot comes to it */
#define FLOOR		(64 * MiB)		/* what a guest survives on */
#define NEVER		3600			/* s: no rebalance that is not asked for */
#define ROUNDS	8				/* from the state high to clear and back */

static struct vm_process vms[2];

static void in_state(const char *word, const char *when)
{
	char text[MRM_TEXT] = "";
	bool is = mrm_wait_state(word, MRM_LONG);

	tap_ok(is, "%s: the state is %s", when, word);
	if (is)
		return;
	file_read(MRM_SYSFS "/state", text, sizeof(text));
	tap_note("it is %.10s free %ld min_free %ld, pages: %ld private, %ld shared, %ld zipped",
		 text, mrm_get("free_bytes"), mrm_get("min_free_bytes"), mrm_get("private_pages"),
		 mrm_get("shared_pages"), mrm_get("zipped_pages"));
}

/* A rebalance that begins after this call. */
static bool rebalanced(void *before)
{
	return mrm_get("balances") >= *(long *)before + 2;
}

static void rebalance(void)
{
	long before = mrm_get("balances");
	char tax[16];

	/* One may be under way: the second began after this. */
	snprintf(tax, sizeof(tax), "%ld", mrm_get("idle_tax"));
	do {
		mrm_set("idle_tax", tax);
		usleep(1000);
	} while (!rebalanced(&before));
}

static long target(int i)
{
	return mrm_vm_get(vms[i].pid, "target_bytes");
}

static long consumed(void)
{
	return mrm_vm_get(vms[0].pid, "consumed_bytes") + mrm_vm_get(vms[1].pid, "consumed_bytes");
}

static void limit(long bytes)
{
	if (mrm_set_number("limit_bytes", bytes / PAGE_SIZE * PAGE_SIZE))
		tap_bail("limit_bytes: %ld is refused", bytes);
	rebalance();
}

static long min_free_of(long bytes)
{
	return bytes / PAGE_SIZE * 6 / 100 * PAGE_SIZE;
}

static void fill_all(struct vm_process *vm, uint64_t first)
{
	size_t i;

	for (i = 0; i < vm->pages; i++)
		vm->states[i] = first + i;
	if (process_guest(vm, GUEST_FILL, 0, vm->pages))
		tap_bail("cannot fill");
}

static void test_empty_host(void)
{
	long bytes = 256 * MiB;

	tap_equal(mrm_get("limit_bytes"), 0, "there is no limit at first");
	in_state("high", "no VM");
	tap_between(mrm_get("budget_bytes"), 64 * MiB, sysconf(_SC_PHYS_PAGES) * PAGE_SIZE,
		    "the budget is what the host has");
	limit(bytes);
	tap_equal(mrm_get("budget_bytes"), bytes, "a limit is the budget");
	tap_equal(mrm_get("free_bytes"), bytes, "all of it is free");
	tap_equal(mrm_get("min_free_bytes"), min_free_of(bytes), "6 per cent stay free");
	tap_equal(mrm_get("unreserved_bytes"), bytes - min_free_of(bytes),
		  "all but that may be promised");
	mrm_set_number("min_free", 10);
	rebalance();
	tap_equal(mrm_get("min_free_bytes"), bytes / PAGE_SIZE / 10 * PAGE_SIZE,
		  "or as many per cent as were set");
	mrm_set_number("min_free", 0);
	mrm_set_number("limit_bytes", 0);
}

static void test_room_for_all(long size)
{
	rebalance();
	tap_equal(mrm_vm_get(vms[0].pid, "size_bytes"), size, "size_bytes counts guest RAM");
	tap_equal(target(0), size, "with room for all a VM may have all it is");
	tap_equal(mrm_vm_get(vms[0].pid, "max_bytes"), size, "max is its size");
	tap_equal(mrm_vm_get(vms[0].pid, "shares"), size / MiB * 10, "shares are normal");
	tap_equal(mrm_vm_get(vms[0].pid, "balloon_target_bytes"), 0, "no balloon");
	tap_equal(mrm_vm_get(vms[0].pid, "granted_bytes"),
		  mrm_vm_get(vms[0].pid, "resident_pages") * PAGE_SIZE, "what it has, it has");
}

/* Free memory as so many per cent of min_free, which is 6 per cent of the limit. */
static void test_states(void)
{
	static const struct {
		int percent;
		const char *state, *why;
	} steps[] = {
		{ 110, "high", "110 per cent" },
		{ 70, "clear", "down to 70" },
		{ 110, "clear", "up to 110, too little" },
		{ 125, "high", "up to 125" },
		{ 60, "soft", "down to 60" },
		{ 75, "soft", "up to 75, too little" },
		{ 90, "clear", "up to 90" },
		{ 28, "hard", "down to 28" },
		{ 40, "hard", "up to 40, too little" },
		{ 14, "low", "down to 14" },
		{ 20, "low", "up to 20, too little" },
		{ 28, "hard", "up to 28" },
		{ 55, "soft", "up to 55" },
		{ 10, "low", "down to 10" },
		{ 95, "clear", "up to 95" },
		{ 125, "high", "up to 125" },
	};
	long used = consumed();
	unsigned int i;

	/* free = limit - used = limit * 6 % * percent */
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		limit(used * 10000 / (10000 - 6 * steps[i].percent) + PAGE_SIZE);
		in_state(steps[i].state, steps[i].why);
	}
}

static void test_targets(long size)
{
	long bytes = 120 * MiB, total = bytes - min_free_of(bytes);

	limit(bytes);
	in_state("low", "VMs have more than there is");
	tap_equal(mrm_get("free_bytes"), 0, "nothing is free");
	tap_between(mrm_get("overcommit_percent"), 2 * size * 100 / bytes - 1,
		    2 * size * 100 / bytes, "overcommit_percent");
	tap_equal(target(0) + target(1), total, "targets are all but min_free");
	tap_between(target(0) - target(1), -PAGE_SIZE, PAGE_SIZE, "equal VMs get equal parts");

	mrm_vm_set(vms[0].pid, "shares", "2000");
	mrm_vm_set(vms[1].pid, "shares", "1000");
	rebalance();
	tap_between(target(0) - 2 * target(1), -2 * PAGE_SIZE, 2 * PAGE_SIZE,
		    "two to one by shares");
	mrm_vm_set(vms[0].pid, "shares", "low");
	mrm_vm_set(vms[1].pid, "shares", "high");
	rebalance();
	tap_equal(mrm_vm_get(vms[0].pid, "shares"), size / MiB * 5, "low is 5 a MB");
	tap_equal(mrm_vm_get(vms[1].pid, "shares"), size / MiB * 20, "high is 20 a MB");
	tap_equal(target(1), size, "four to one, but none gets more than it is");
	tap_equal(target(0), total - size, "the other gets the rest");

	mrm_vm_set(vms[1].pid, "shares", "low");
	tap_equal(mrm_vm_set(vms[0].pid, "min_bytes", "73400320"), 0, "a min of 70 MiB");
	rebalance();
	tap_equal(target(0), 70 * MiB, "is kept");
	tap_equal(mrm_get("unreserved_bytes"), total - 70 * MiB, "and is not promised twice");
	tap_equal(mrm_vm_set(vms[1].pid, "min_bytes", "73400320"), -ENOSPC,
		  "as much again is not there");
	tap_equal(mrm_vm_get(vms[1].pid, "min_bytes"), 0, "and changes nothing");
	tap_equal(mrm_vm_set(vms[0].pid, "max_bytes", "62914560"), -EINVAL, "max below min");
	tap_equal(mrm_vm_set(vms[0].pid, "max_bytes", "99999999999"), -EINVAL, "max above size");
	tap_equal(mrm_vm_set(vms[0].pid, "min_bytes", "99999999999"), -EINVAL, "min above max");
	tap_equal(mrm_vm_set(vms[0].pid, "min_bytes", "0"), 0, "no min");
	tap_equal(mrm_vm_set(vms[0].pid, "max_bytes", "31457280"), 0, "a max of 30 MiB");
	rebalance();
	tap_equal(target(0), 30 * MiB, "is not passed");
	tap_equal(target(1), size, "and the other gets all it is");
	tap_equal(mrm_vm_set(vms[0].pid, "max_bytes", "0"), 0, "no max");
	tap_equal(mrm_vm_get(vms[0].pid, "max_bytes"), size, "is its size");
}

static void test_balloon(long size)
{
	char path[64], text[MRM_TEXT];

	rebalance();
	/* Its target is less than a guest survives on. */
	tap_equal(mrm_vm_get(vms[0].pid, "balloon_target_bytes"), size - FLOOR,
		  "a balloon leaves what a guest survives on");
	mrm_set_number("balloon_max", 10);
	rebalance();
	tap_equal(mrm_vm_get(vms[0].pid, "balloon_target_bytes"), size / PAGE_SIZE / 10 * PAGE_SIZE,
		  "and holds balloon_max at the most");
	mrm_set_number("balloon_max", 65);
	tap_text(mrm_vm_text(vms[0].pid, "balloon_state", text), "none", "nobody drives it");
	tap_equal(mrm_vm_set(vms[0].pid, "balloon_state", "ok\n"), 0, "somebody does");
	tap_text(mrm_vm_text(vms[0].pid, "balloon_state", text), "ok", "and says so");
	tap_equal(mrm_vm_set(vms[0].pid, "balloon_state", "fine"), -EINVAL, "but not in any word");
	tap_equal(mrm_vm_set(vms[0].pid, "balloon_bytes", "8388608"), 0, "it holds 8 MiB");
	tap_equal(mrm_vm_set(vms[0].pid, "balloon_bytes", "99999999999"), -EINVAL,
		  "not more than the VM is");
	limit(4 * size);
	in_state("high", "room for all again");
	tap_equal(mrm_vm_get(vms[0].pid, "balloon_target_bytes"), 0, "it is given back");
	tap_equal(mrm_vm_set(vms[0].pid, "balloon_bytes", "0"), 0, "it holds nothing");
	snprintf(path, sizeof(path), "vm/%d/balloon_bytes", vms[0].pid);
	tap_equal(mrm_get(path), 0, "as one can read");
}

/* A guest that touches memory changes the state, long before the next rebalance. */
static void test_at_once(void)
{
	struct pollfd fd = { .events = POLLPRI };
	char text[MRM_TEXT];
	long used = consumed();

	process_discard(&vms[0], 0, PAGES / 2);
	limit(used);
	in_state("high", "half of a VM is discarded");
	fd.fd = open(MRM_SYSFS "/state", O_RDONLY);
	if (read(fd.fd, text, sizeof(text)) <= 0)
		tap_bail("cannot read state");
	/* Not with zeroes, as what was discarded would be: the host takes those by itself. */
	fill_all(&vms[0], 1000);
	tap_equal(poll(&fd, 1, MRM_LONG), 1, "who polls state is woken");
	close(fd.fd);
	in_state("low", "it is touched again");
	tap_equal(target(0) + target(1), used - min_free_of(used), "targets are new");
}

/*
 * Nor does a better state wait for the next look, within a second.  From half as much again as
 * should be free to three quarters of it, and back: nothing is taken in the state clear.
 */
static void test_better_at_once(void)
{
	long pages, began, ms = 0, late = 0, longest = MRM_LONG / 60;
	int i;

	mrm_set("limit_bytes", "0");
	process_discard(&vms[0], 0, PAGES / 2);
	limit(consumed() * 100 / 91);
	in_state("high", "half of a VM is discarded again");
	pages = min_free_of(mrm_get("limit_bytes")) / PAGE_SIZE * 3 / 4;
	for (i = 0; i < ROUNDS; i++) {
		mrm_settle();
		process_fill(&vms[0], 0, pages, (1 + i) << 20);
		if (!mrm_wait_state("clear", MRM_LONG))
			break;
		began = now_ms();
		process_discard(&vms[0], 0, pages);
		if (!mrm_wait_state("high", MRM_LONG))
			break;
		ms += now_ms() - began;
		late += now_ms() - began > longest;
	}
	tap_equal(i, ROUNDS, "memory is touched and discarded again and again");
	tap_equal(late, 0, "a better state is seen at once");
	tap_note("within %ld ms, %d times", ms, ROUNDS);
	mrm_set("limit_bytes", "0");
	fill_all(&vms[0], 1000);
	in_state("high", "all is touched again");
}

static void test_shared(long size)
{
	long all, pages = PAGES * PAGE_SIZE;
	int i;

	limit(4 * size);
	for (i = 0; i < 2; i++) {
		fill_all(&vms[i], 1000000);
		mrm_vm_set(vms[i].pid, "salt", "both");
	}
	mrm_settle();
	all = consumed();
	tap_ok(mrm_share_all(), "a pass");
	tap_between(consumed(), all - pages, all - pages + 2 * PAGE_SIZE,
		    "what VMs share counts once");
	tap_between(mrm_vm_get(vms[0].pid, "consumed_bytes") -
		    mrm_vm_get(vms[1].pid, "consumed_bytes"), -PAGE_SIZE, PAGE_SIZE,
		    "half for each");
	tap_between(mrm_vm_get(vms[0].pid, "granted_bytes") -
		    mrm_vm_get(vms[0].pid, "consumed_bytes"), pages / 2 - PAGE_SIZE, pages / 2,
		    "that is what it saves");
}

/* Memory that others take is not free, limit or not: huge pages, as they are taken at once. */
static void test_host_pressure(void)
{
	const char *huge_pages = "/proc/sys/vm/nr_hugepages";
	char text[MRM_TEXT] = "";
	long keep;

	mrm_set_number("limit_bytes", 0);
	mrm_set_number("min_free", 50);
	rebalance();
	in_state("high", "no limit");
	/* Soft is below 64 per cent of min_free, hard below 32. */
	keep = mrm_get("min_free_bytes") / 2;
	snprintf(text, sizeof(text), "%ld", (mrm_get("free_bytes") - keep) / (long)HUGE_SIZE);
	tap_equal(file_write(huge_pages, text), 0, "others take %s huge pages", text);
	in_state("soft", "others take memory");
	file_write(huge_pages, "0");
	in_state("high", "they give it back");
	mrm_set_number("min_free", 0);
}

/* In the state soft balloons give, and the host takes only where none can. */
static void test_helped(void)
{
	long reclaimed[2], used;
	int i;

	for (i = 0; i < 2; i++)
		fill_all(&vms[i], THIN | (1 + i * PAGES));
	mrm_set_number("zip_max", 50);
	mrm_vm_set(vms[0].pid, "balloon_state", "ok");
	tap_equal(mrm_vm_set(vms[1].pid, "balloon_state", "driverless"), 0, "one has no driver");
	used = consumed();
	limit(used * 10000 / (10000 - 6 * 110) + PAGE_SIZE);
	in_state("high", "enough");
	for (i = 0; i < 2; i++)
		reclaimed[i] = mrm_vm_get(vms[i].pid, "reclaimed_bytes");
	limit(used * 10000 / (10000 - 6 * 60) + PAGE_SIZE);
	tap_ok(mrm_vm_wait(vms[1].pid, "reclaimed_bytes", reclaimed[1] + 1, LONG_MAX, MRM_LONG),
	       "soft: the host takes from one without a driver for its balloon");
	tap_equal(mrm_vm_get(vms[0].pid, "reclaimed_bytes"), reclaimed[0],
		  "and not from one whose balloon can give");
	tap_ok(mrm_vm_get(vms[0].pid, "balloon_target_bytes") > 0, "which is asked");
	mrm_set_number("balance_period", 1);
	tap_ok(mrm_vm_wait(vms[0].pid, "reclaimed_bytes", reclaimed[0] + 1, LONG_MAX,
			   2 * MRM_LONG),
	       "but when it has not grown for long, as without mrmd");
	in_state("clear", "it has given");
	mrm_set_number("balance_period", NEVER);
	mrm_vm_set(vms[0].pid, "balloon_state", "unresponsive");
	used = consumed();
	reclaimed[0] = mrm_vm_get(vms[0].pid, "reclaimed_bytes");
	limit(used * 10000 / (10000 - 6 * 40) + PAGE_SIZE);
	tap_ok(mrm_vm_wait(vms[0].pid, "reclaimed_bytes", reclaimed[0] + 1, LONG_MAX, MRM_LONG),
	       "or from one that does not listen");
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vms[i]), "every byte is right");
	mrm_set_number("zip_max", 10);
}

static void test_departure(long size)
{
	const struct vm_config config = { .pages = PAGES };
	struct pollfd fd = { .events = POLLPRI };
	char text[MRM_TEXT];

	limit(120 * MiB);
	tap_ok(target(0) < size, "short of memory, a VM gets less than it is");
	fd.fd = open(MRM_SYSFS "/balances", O_RDONLY);
	if (read(fd.fd, text, sizeof(text)) <= 0)
		tap_bail("cannot read balances");
	process_stop(&vms[1]);
	tap_equal(poll(&fd, 1, MRM_LONG), 1, "who polls balances is woken when another goes");
	tap_ok(mrm_wait("vms", 1, 1, MRM_LONG), "it is gone");
	rebalance();
	tap_equal(target(0), size, "the other gets all it is");
	if (pread(fd.fd, text, sizeof(text), 0) <= 0)
		tap_bail("cannot read balances");
	mrm_vm_set(vms[0].pid, "min_bytes", "4096");
	tap_equal(poll(&fd, 1, MRM_LONG), 1, "and when one has another min");
	tap_equal(target(0), size, "which changes no target");
	mrm_vm_set(vms[0].pid, "min_bytes", "0");
	close(fd.fd);
	process_start(&vms[1], &config);
	tap_ok(mrm_vm_wait(vms[1].pid, "target_bytes", 1, size, MRM_LONG),
	       "one that comes has a target at once");
	process_stop(&vms[1]);
	tap_ok(process_verify(&vms[0]), "every byte is right");
	process_stop(&vms[0]);
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };
	long size;
	int i;

	mrm_begin();
	mrm_set_number("sample_period", 0);
	mrm_set_number("balance_period", NEVER);
	test_empty_host();
	for (i = 0; i < 2; i++)
		process_start(&vms[i], &config);
	size = mrm_vm_get(vms[0].pid, "adopted_bytes");
	test_room_for_all(size);
	for (i = 0; i < 2; i++)
		fill_all(&vms[i], 1000 + i * PAGES);
	test_states();
	test_targets(size);
	test_balloon(size);
	test_at_once();
	test_better_at_once();
	test_shared(size);
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vms[i]), "every byte is right");
	test_host_pressure();
	test_helped();
	test_departure(size);
	mrm_reload("at the end");
	return tap_done();
}
