// SPDX-License-Identifier: GPL-2.0
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "counters.h"
#include "frame.h"
#include "guest_large.h"
#include "guest_limit.h"
#include "guest_page.h"
#include "vm.h"

#define LOOK		16	/* large frames, that one fault looks at */
#define WORTH_IT	32	/* parts that are zero, of those that are broken first */
#define VAIN		HZ	/* jiffies, after which those without zeroes are looked at again */

/* One fault at a time: what it breaks is enough for 500 others.  Taken before what breaks. */
static DEFINE_MUTEX(lock);

/* What its guest does with it meanwhile is of no matter: it is a guess. */
static unsigned int count_zeroes(struct mrm_vm *vm, unsigned long first)
{
	unsigned int i, zeroes = 0;
	struct page *part;

	for (i = 0; i < MRM_LARGE_PAGES; i++) {
		part = mrm_guest_page_get(vm, first + i);
		if (!part)
			continue;
		zeroes += !PageHWPoison(part) && mrm_frame_contents_zero(part);
		put_page(part);
	}
	return zeroes;
}

/* Return: whether that gave something back. */
static bool break_one(struct mrm_vm *vm, unsigned long first, unsigned int least)
{
	struct mrm_large_look look;
	unsigned long index;
	unsigned int freed;

	if (!mrm_guest_large_find(vm, first, &index) ||
	    !mrm_guest_large_look(vm, index, &look) ||
	    (!look.broken && count_zeroes(vm, first) < least))
		return false;
	return !mrm_guest_large_break(vm, index, NULL, true, &freed) && (look.broken || freed);
}

static bool has_large(const struct mrm_counters *counters)
{
	return mrm_counter_read(counters, MRM_LARGE) > 0 ||
	       mrm_counter_read(counters, MRM_LARGE_HELD) > 0;
}

/* Those that hold many zeroes first, then those that hold any. */
static void end_pass(struct mrm_limit *l)
{
	l->next = 0;
	if (l->worth) {
		l->worth = 0;
	} else if (!l->thorough) {
		l->thorough = true;
	} else {
		l->thorough = false;
		l->vain_until = (jiffies + VAIN) | 1;
	}
}

/* Break one, if one is found among the next.  *looks: how many may be looked at. */
static bool relieve(struct mrm_vm *vm, unsigned int *looks)
{
	struct mrm_limit *l = &vm->limit;

	if (!has_large(&vm->counters))
		return false;
	if (l->vain_until && time_before(jiffies, l->vain_until))
		return false;
	while (*looks) {
		unsigned long first;

		if (!xa_find(&vm->pages, &l->next, ULONG_MAX, MRM_MARK_PRIVATE)) {
			end_pass(l);
			return false;
		}
		first = round_down(l->next, MRM_LARGE_PAGES);
		l->next = first + MRM_LARGE_PAGES;
		--*looks;
		if (break_one(vm, first, l->thorough ? 1 : WORTH_IT)) {
			l->worth++;
			return true;
		}
	}
	return false;
}

/* Of those that the same cgroup pays for, the VM itself first. */
static void relieve_any(struct mrm_vm *vm, struct mem_cgroup *memcg)
{
	unsigned int looks = LOOK;
	struct mrm_vm *other;
	unsigned long id = 0;
	bool done;

	done = relieve(vm, &looks);
	while (!done && looks && (other = mrm_vm_next(&id))) {
		if (other != vm && mem_cgroup_is_descendant(other->memcg, memcg))
			done = relieve(other, &looks);
		mrm_vm_put(other);
	}
}

/**
 * mrm_guest_limit_mind() - memory is about to be taken for a VM
 * @vm: the VM
 *
 * Context: In a fault, without the lock of a frame; may sleep, but not for memory.
 */
void mrm_guest_limit_mind(struct mrm_vm *vm)
{
	struct mem_cgroup *memcg;

	if (!has_large(&mrm_host_counters) || !mrm_frame_short_memcg(vm, 0))
		return;
	mutex_lock(&lock);
	memcg = mrm_frame_short_memcg(vm, 0);
	if (memcg)
		relieve_any(vm, memcg);
	mutex_unlock(&lock);
}
