// SPDX-License-Identifier: GPL-2.0
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "compat.h"
#include "guest_large.h"
#include "guest_page.h"
#include "large.h"
#include "large_rebuild.h"
#include "large_walk.h"
#include "vm.h"
#include "vm_memory.h"

#define ROUND		HZ		/* jiffies, in which so many are rebuilt */
#define LOOK_FOR	(HZ / 4)	/* that choosing takes at most */
#define SEEN_AFTER	(HZ / 2)	/* that they have to be touched */
#define TOO_LATE	(2 * HZ)	/* after which a touch tells nothing */
#define REMAP_AFTER	(3 * HZ)	/* after the last that was rebuilt */
#define MOST_TRIES	3
#define MOST_FAILED	16		/* of a VM in a round: the next may be on other nodes */

/**
 * struct candidate - what may be rebuilt in this round: seen to be worth it, and unmapped
 * @vm: its id
 * @tries: how often it could not be, for the moment
 * @first: guest page
 * @since: what is touched since then, jiffies, is in use
 */
struct candidate {
	u32 vm;
	unsigned int tries;
	unsigned long first, since;
};

/* The thread's alone, as is all that is here. */
static struct candidate candidates[MRM_LARGE_REBUILD_MAX];
static unsigned int nr_candidates, most_candidates;
static unsigned int most_frames = UINT_MAX;	/* that there seem to be, when they ran out */
static unsigned int failed;	/* guest pages of the VM for which there was no frame */
static unsigned long next_round, choose_until;
static bool (*go_on)(void);

static unsigned int rate(void)
{
	return READ_ONCE(mrm_large_tunables.enabled) ?
	       READ_ONCE(mrm_large_tunables.rebuild_rate) : 0;
}

static bool may_choose(void)
{
	return nr_candidates < most_candidates && failed < MOST_FAILED &&
	       time_before(jiffies, choose_until) && go_on();
}

static bool is_candidate(const struct mrm_vm *vm, unsigned long first)
{
	unsigned int i;

	for (i = 0; i < nr_candidates; i++)
		if (candidates[i].vm == vm->id && candidates[i].first == first)
			return true;
	return false;
}

static void choose_fn(struct mrm_vm *vm, unsigned long first, void *unused)
{
	int err;

	if (is_candidate(vm, first))
		return;
	err = mrm_guest_large_may_rebuild(vm, first);
	failed += err == -ENOMEM;
	if (err)
		return;
	candidates[nr_candidates++] = (struct candidate){
		.vm = vm->id, .first = first, .since = jiffies
	};
	mrm_guest_large_unmap(vm, first);
}

/* What is above a max that somebody set is taken, however much the host has. */
static bool may_have_more(struct mrm_vm *vm)
{
	unsigned long max = READ_ONCE(vm->balance.max);
	struct mrm_vm_memory m;

	if (!max)
		return true;
	return !mrm_vm_memory(vm, &m) && (m.size <= max || m.consumed + MRM_LARGE_PAGES <= max);
}

/* Not always from the beginning: what is pinned there would be all there is. */
static void choose_of(struct mrm_vm *vm)
{
	if (!READ_ONCE(vm->large) || mrm_vm_not_to_take(vm) || !may_have_more(vm))
		return;
	vm->rebuild_next = mrm_large_walk(vm, vm->rebuild_next, choose_fn, NULL, may_choose);
	if (failed)
		mrm_count(vm, MRM_LARGE_FAILED, 1);
	failed = 0;
}

/* The first VM is another in each round: there may be no room for what others have. */
static void choose(void)
{
	static unsigned long first;
	unsigned long vms = mrm_nr_vms(), id = first;
	struct mrm_vm *vm;

	choose_until = jiffies + LOOK_FOR;
	while (may_choose() && vms--) {
		vm = mrm_vm_next_in_turn(&id);
		if (!vm)
			return;
		choose_of(vm);
		mrm_vm_put(vm);
	}
	vm = mrm_vm_next_in_turn(&first);
	if (vm)
		mrm_vm_put(vm);
}

/* Return: as mrm_guest_large_rebuild(). */
static int rebuild(struct mrm_vm *vm, const struct candidate *c)
{
	int err = mrm_guest_large_rebuild(vm, c->first);

	/* When no more come page tables are taken out of their way. */
	if (!err)
		WRITE_ONCE(vm->remap_at, jiffies + REMAP_AFTER);
	return err;
}

/* It was in use, but locked or pinned for the moment. */
static bool try_again(struct candidate *c, int err)
{
	return (err == -EBUSY || err == -EAGAIN) && ++c->tries < MOST_TRIES;
}

static void rebuild_chosen(void)
{
	unsigned int i, chosen = nr_candidates, rebuilt = 0;
	bool ran_out = false;
	struct mrm_vm *vm;
	int err;

	nr_candidates = 0;
	for (i = 0; i < chosen && i < rate() && go_on(); i++) {
		struct candidate *c = &candidates[i];

		if (time_after(jiffies, c->since + TOO_LATE))
			continue;
		vm = mrm_vm_of_id(c->vm);
		if (!vm)
			continue;
		err = rebuild(vm, c);
		mrm_vm_put(vm);
		rebuilt += !err;
		ran_out |= err == -ENOMEM;
		if (try_again(c, err)) {
			c->since = jiffies;
			candidates[nr_candidates++] = *c;
		}
		mrm_cond_resched();
	}
	/* One that is free is enough for all to be chosen. */
	if (ran_out)
		most_frames = rebuilt + 1;
	else if (rebuilt)
		most_frames = UINT_MAX;
}

/* One that is in use and mapped in 4 KiB is to fault, and be mapped anew: remap.h. */
static void show_fn(struct mrm_vm *vm, unsigned long first, void *unused)
{
	struct mrm_large_look look;

	if (mrm_guest_large_look(vm, first, &look) && look.rebuilt &&
	    mrm_guest_page_is_mapped(vm, first))
		mrm_guest_large_unmap(vm, first);
}

static void show(void)
{
	unsigned long id = 0;
	struct mrm_vm *vm;

	while (go_on() && (vm = mrm_vm_next(&id))) {
		if (atomic_read(&vm->rebuilt) && time_after(jiffies, vm->remap_at))
			mrm_large_walk(vm, 0, show_fn, NULL, go_on);
		mrm_vm_put(vm);
	}
}

/**
 * mrm_large_rebuild() - rebuild what is in use
 * @wake: woken when memory gets short
 * @plentiful: whether it is not, and the thread is to go on
 *
 * Does nothing if it was called a moment ago, however often the thread is woken.
 *
 * Context: The thread of large.c; sleeps.
 */
void mrm_large_rebuild(wait_queue_head_t *wake, bool (*plentiful)(void))
{
	if (next_round && time_before(jiffies, next_round))
		return;
	next_round = (jiffies + ROUND) | 1;
	go_on = plentiful;
	most_candidates = min(rate(), most_frames);
	choose();
	if (nr_candidates)
		wait_event_freezable_timeout(*wake, !plentiful(), SEEN_AFTER);
	rebuild_chosen();
	show();
}

/**
 * mrm_large_rebuild_in() - when it is to be called again
 * @most: at most, jiffies
 *
 * Return: in how many jiffies.
 */
unsigned long mrm_large_rebuild_in(unsigned long most)
{
	return next_round && time_before(jiffies, next_round) ? min(next_round - jiffies, most) :
	       most;
}
