// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets memory.  Pure arithmetic: compiled into the user-space tests as
 * well.
 */
#include "policy.h"

/*
 * Min-funding revocation takes a page from the VM that pays the fewest shares
 * for its pages, where an idle page is charged as k = 1 / (1 - tax) active ones:
 *
 *	rho = shares / (pages * (f + k * (1 - f)))	(Waldspurger 2002, 5.1, 5.2)
 *
 * Its inverse, the load on a share, is counted here in active pages, times
 * 100 - tax to be rid of the fraction:
 *
 *	load = ((100 - tax) * active pages + 100 * idle pages) / shares
 *
 * It grows with each page, so what revocation leaves are the pages with the
 * smallest loads.  They are found by the largest load that they may have.
 *
 * As shares are at most 10^9, different loads are at least 10^-18 apart: in
 * units of 2^-60 no more than one load is in a unit.  The largest is below
 * 100 * 2^40, so they have 107 bits.
 */
#define LOAD_SHIFT	60
#define LOAD_BITS	107

static u64 lesser(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 greater(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* a - b, or 0. */
static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* The pages, from min to max, that a VM has while none may have a load above @load. */
static u64 pages_at(const struct mrm_policy_vm *vm, unsigned int tax, unsigned __int128 load)
{
	/* load * shares, in two parts as it may have 137 bits. */
	unsigned __int128 high = (load >> 32) * vm->shares;
	u64 low = (u64)(u32)load * vm->shares >> 32;
	unsigned __int128 cost = (high + low) >> (LOAD_SHIFT - 32);
	u64 pages;

	if (cost >= 100 * vm->max)
		return vm->max;
	if (cost <= (100 - tax) * vm->active)
		pages = (u64)cost / (100 - tax);
	else
		pages = ((u64)cost + tax * vm->active) / 100;
	return greater(vm->min, lesser(pages, vm->max));
}

/* What all VMs have then, or any number above @enough. */
static u64 sum_at(const struct mrm_policy_vm *vms, unsigned int n, unsigned int tax,
		  unsigned __int128 load, u64 enough)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < n && sum <= enough; i++)
		sum += pages_at(&vms[i], tax, load);
	return sum;
}

/**
 * mrm_policy_targets() - what each VM should have
 * @vms: the VMs
 * @n: how many; up to 2^23, for the sum of their pages not to overflow
 * @total: pages to divide among them
 * @idle_tax: per cent of a VM's idle pages that may be taken from it, 0 to 99
 *
 * All VMs get their max if it fits, and their min if not even that does.
 * Otherwise the targets add up to @total, and are exactly those that
 * min-funding revocation ends with: each VM begins at its max, and while the sum
 * is above @total, a page is taken from the VM with the lowest adjusted
 * shares-per-page ratio that is above its min; of several, from the first in
 * @vms (Waldspurger 2002, 5.1 and 5.2).
 *
 * Takes O(n) time: @vms is gone through 107 times at the most, one a bit of the
 * load, and fewer if no two VMs have the same.  Needs no memory.
 *
 * Context: any.
 * Return: pages that are missing for each VM to have its min.
 */
u64 mrm_policy_targets(struct mrm_policy_vm *vms, unsigned int n, u64 total,
		       unsigned int idle_tax)
{
	unsigned __int128 load = 0, next;
	u64 min = 0, max = 0, sum, left = total;
	unsigned int i, bit;

	for (i = 0; i < n; i++) {
		min += vms[i].min;
		max += vms[i].max;
	}
	if (min >= total || max <= total) {
		for (i = 0; i < n; i++)
			vms[i].target = max <= total ? vms[i].max : vms[i].min;
		return less(min, total);
	}

	/* The largest load with which the sum is not above the total. */
	for (bit = LOAD_BITS; bit--; ) {
		next = load | (unsigned __int128)1 << bit;
		sum = sum_at(vms, n, idle_tax, next, total);
		if (sum <= total)
			load = next;
		if (sum == total)
			break;
	}
	for (i = 0; i < n; i++) {
		vms[i].target = pages_at(&vms[i], idle_tax, load);
		left -= vms[i].target;
	}
	/* One unit more is too much: the pages that it adds, one a VM, have equal loads. */
	for (i = n; left && i--; ) {
		if (pages_at(&vms[i], idle_tax, load + 1) > vms[i].target) {
			vms[i].target++;
			left--;
		}
	}
	return 0;
}

/**
 * mrm_policy_min_free() - the free memory to aim at
 * @budget: pages for VMs
 * @percent: of it; 0 is automatic, ESX's sliding scale (Mem.MemMinFreePct): 6 per
 *	cent of the first 4 GiB, 4 of those to 12, 2 of those to 28, 1 of the rest
 * Return: pages.
 */
u64 mrm_policy_min_free(u64 budget, unsigned int percent)
{
	static const struct {
		u64 up_to;
		unsigned int percent;
	} scale[] = {
		{ 4ULL << 18, 6 }, { 12ULL << 18, 4 }, { 28ULL << 18, 2 }, { ~0ULL, 1 },
	};
	u64 from = 0, hundredths = 0;
	unsigned int i;

	if (percent)
		return budget * percent / 100;
	for (i = 0; from < budget; i++) {
		hundredths += (lesser(budget, scale[i].up_to) - from) * scale[i].percent;
		from = lesser(budget, scale[i].up_to);
	}
	return hundredths / 100;
}

/* Per cent of min_free below which a state is entered. */
static const unsigned int enter[] = {
	[MRM_CLEAR] = 100, [MRM_SOFT] = 64, [MRM_HARD] = 32, [MRM_LOW] = 16,
};

/**
 * mrm_policy_threshold() - where the next worse state begins
 * @state: now
 * @min_free: pages to aim at
 * Return: it is entered when fewer pages are free; 0 in the state low.
 */
u64 mrm_policy_threshold(enum mrm_state state, u64 min_free)
{
	return state == MRM_LOW ? 0 : (min_free * enter[state + 1] + 99) / 100;
}

/* Per cent of min_free at which a state is left for the better. */
static const unsigned int leave[] = {
	[MRM_CLEAR] = 118, [MRM_SOFT] = 82, [MRM_HARD] = 48, [MRM_LOW] = 24,
};

/**
 * mrm_policy_relief() - where the next better state begins
 * @state: now
 * @min_free: pages to aim at
 * Return: this state is left when so many pages are free; U64_MAX in the state high.
 */
u64 mrm_policy_relief(enum mrm_state state, u64 min_free)
{
	return state == MRM_HIGH ? ~0ULL : (min_free * leave[state] + 99) / 100;
}

/**
 * mrm_policy_state() - how short the host is of memory
 * @state: until now
 * @free: pages
 * @min_free: pages to aim at
 *
 * ESX's thresholds: clear is below @min_free, soft below 64 per cent of it, hard below 32,
 * low below 16.  A state is entered as soon as its threshold is crossed, and left
 * for the better only when free memory is half way from it to the next
 * threshold above: clear at 118 per cent, as if there were one at 136, soft at 82, hard at 48,
 * low at 24 (Waldspurger 2002, 6.3: "significantly exceeding").  So a change of
 * less than 8 per cent of @min_free cannot go back and forth between two states.
 * Half way, not all of it, as what is reclaimed is meant to end at @min_free, and
 * may fall a little short.
 *
 * Return: the state now; it can skip some.
 */
enum mrm_state mrm_policy_state(enum mrm_state state, u64 free, u64 min_free)
{
	while (state < MRM_LOW && free * 100 < min_free * enter[state + 1])
		state++;
	while (state > MRM_HIGH && free * 100 >= min_free * leave[state])
		state--;
	return state;
}

/**
 * mrm_policy_balloon_limit() - the most that a VM's balloon may hold
 * @b: the VM now
 * Return: pages.
 */
u64 mrm_policy_balloon_limit(const struct mrm_balloon *b)
{
	return lesser(less(b->size, greater(b->target, b->floor)), b->size * b->percent / 100);
}

/**
 * mrm_policy_take() - what is to be taken from a VM without its help
 * @t: the VM now
 *
 * In the state soft what a balloon cannot give (Waldspurger 2002, 6.3); below, all that it
 * has above its target, whatever its balloon does: what that brings besides goes to
 * where free memory should be.  In any state what is above its max, unless a balloon does it.
 *
 * Return: pages.
 */
u64 mrm_policy_take(const struct mrm_take *t)
{
	if (t->state <= MRM_SOFT && t->balloons)
		return 0;
	return less(t->consumed, t->state <= MRM_CLEAR ? t->max : t->target);
}

/**
 * mrm_policy_balloon() - what a VM's balloon should hold
 * @b: the VM now
 *
 * The balloon is right when what the guest can use, less what sharing saves of
 * it, is the VM's target: then the guest cannot have more than its target, and
 * can have all of it.
 *
 *   - It grows to that while memory is reclaimed, if the VM has more than its
 *     target.  If it has more than its max, the balloon grows at any time, to
 *     leave it that.  A VM that does not use its target is let alone.
 *   - It shrinks to that while there is enough memory.  Being the point to which
 *     it grew, a change of the host's state alone moves no balloon.
 *   - While memory is reclaimed, more saved is no reason to shrink: that memory
 *     is what the host lacks.
 *   - In any state, the guest can use its target and its floor, and no more is in
 *     the balloon than @b->percent allows, even if that shrinks it at once.  So
 *     targets that rise, and what an administrator sets, take effect at once.
 *
 * Zero pages do not count as saved.  They are mostly the guest's free memory, which
 * it gives to the balloon first, and that gives the host nothing: for each the
 * balloon would have to grow by another, in one rebalance after the other.  And a
 * guest would be given more for not using what it has.
 *
 * How fast the guest can follow is not considered here.
 *
 * Return: pages.
 */
u64 mrm_policy_balloon(const struct mrm_balloon *b)
{
	u64 limit = mrm_policy_balloon_limit(b);
	u64 aim = b->reclaiming ? b->target : b->max;
	u64 pages = b->held;

	/* What it has is no more than what the guest can use, so this is above held. */
	if (b->consumed > aim)
		pages = less(b->size, aim + b->saved);
	else if (!b->reclaiming)
		pages = lesser(pages, less(b->size, b->target + b->saved));
	return lesser(pages, limit);
}
