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

#define ROUND		HZ		/* jiffies, in which so many are rebuilt */
#define LOOK_FOR	(HZ / 4)	/* that choosing takes at most */
#define SEEN_AFTER	(HZ / 2)	/* that they have to be touched */
#define TOO_LATE	(2 * HZ)	/* after which a touch tells nothing */
#define NONE_FOR	(60 * HZ)	/* after there was no frame for a VM */
#define REMAP_AFTER	(3 * HZ)	/* after the last that was rebuilt */
#define MOST_TRIES	3

/**
 * struct candidate - what may be rebuilt in this round: seen to be worth it, and unmapped
 * @vm: its id
 * @tries: how often it could not be, for the moment
 * @first: guest page
 * @unmapped: when, jiffies
 */
struct candidate {
	u32 vm;
	unsigned int tries;
	unsigned long first, unmapped;
};

/* The thread's alone, as is all that is here. */
static struct candidate candidates[MRM_LARGE_REBUILD_MAX];
static unsigned int nr_candidates, most_candidates;
static unsigned long next_round, choose_until;
static bool (*go_on)(void);

static unsigned int rate(void)
{
	return READ_ONCE(mrm_large_tunables.enabled) ?
	       READ_ONCE(mrm_large_tunables.rebuild_rate) : 0;
}

static bool may_choose(void)
{
	return nr_candidates < most_candidates && time_before(jiffies, choose_until) && go_on();
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
	if (!mrm_guest_large_may_rebuild(vm, first) || is_candidate(vm, first))
		return;
	candidates[nr_candidates++] = (struct candidate){
		.vm = vm->id, .first = first, .unmapped = jiffies
	};
	mrm_guest_large_unmap(vm, first);
	/* That there are frames for it again is to be seen before more are unmapped. */
	if (vm->none_until)
		most_candidates = nr_candidates;
}

/* Not always from the beginning: what is pinned there would be all there is. */
static void choose_of(struct mrm_vm *vm)
{
	unsigned int most = most_candidates;

	if (!READ_ONCE(vm->large) || mrm_vm_not_to_take(vm) ||
	    (vm->none_until && time_before(jiffies, vm->none_until)))
		return;
	vm->rebuild_next = mrm_large_walk(vm, vm->rebuild_next, choose_fn, NULL, may_choose);
	most_candidates = most;
}

/* The first VM is another in each round: there may be no room for what others have. */
static void choose(void)
{
	static unsigned long first;
	unsigned long vms = mrm_nr_vms(), id = first;
	struct mrm_vm *vm;

	choose_until = jiffies + LOOK_FOR;
	while (may_choose() && vms--) {
		vm = mrm_vm_next(&id);
		if (!vm) {
			id = 0;
			vm = mrm_vm_next(&id);
		}
		if (!vm)
			return;
		choose_of(vm);
		mrm_vm_put(vm);
	}
	vm = mrm_vm_next(&first);
	if (vm)
		mrm_vm_put(vm);
	else
		first = 0;
}

/* Return: whether it is to be tried again: it was in use, but locked, or pinned. */
static bool rebuild(struct mrm_vm *vm, struct candidate *c)
{
	int err;

	if ((vm->none_until && time_before(jiffies, vm->none_until)) ||
	    time_after(jiffies, c->unmapped + TOO_LATE))
		return false;
	err = mrm_guest_large_rebuild(vm, c->first);
	if (err == -ENOMEM)
		/* 0 is for none. */
		vm->none_until = (jiffies + NONE_FOR) | 1;
	if (err)
		return (err == -EBUSY || err == -EAGAIN) && ++c->tries < MOST_TRIES;
	vm->none_until = 0;
	/* When no more come page tables are taken out of their way. */
	WRITE_ONCE(vm->remap_at, jiffies + REMAP_AFTER);
	return false;
}

static void rebuild_chosen(void)
{
	unsigned int i, chosen = nr_candidates;
	struct mrm_vm *vm;

	nr_candidates = 0;
	for (i = 0; i < chosen && i < rate() && go_on(); i++) {
		struct candidate *c = &candidates[i];

		vm = mrm_vm_of_id(c->vm);
		if (!vm)
			continue;
		if (rebuild(vm, c)) {
			c->unmapped = jiffies;
			candidates[nr_candidates++] = *c;
		}
		mrm_vm_put(vm);
		mrm_cond_resched();
	}
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
	most_candidates = rate();
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
