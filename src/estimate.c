// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM uses, from what its samples say.  Pure arithmetic: compiled into
 * the user-space tests as well.
 */
#include "estimate.h"

/* The fraction that was touched, to the nearest. */
static u32 fraction(u32 touched, u32 samples)
{
	return (((u64)touched << MRM_ESTIMATE_SHIFT) + samples / 2) / samples;
}

/* @eighths of the way from @from to @to, rounded up in its direction, to arrive some day. */
static u32 towards(u32 from, u32 to, u32 eighths)
{
	if (to > from)
		return from + ((to - from) * eighths + 7) / 8;
	return from - ((from - to) * eighths + 7) / 8;
}

/**
 * mrm_estimate_add() - a period is complete
 * @e: the averages
 * @touched: sampled pages that were touched in it
 * @samples: sampled pages, at least @touched; another number than before is
 *	fine, as is 0: such a period says nothing, and is not counted
 *
 * A new period has a weight of 7/8 in the fast average, and of 1/8 in the slow
 * one (Waldspurger 2002, 5.3).  The first is both.
 */
void mrm_estimate_add(struct mrm_estimate *e, u32 touched, u32 samples)
{
	u32 now;

	if (!samples)
		return;
	now = fraction(touched, samples);
	e->slow = e->periods ? towards(e->slow, now, 1) : now;
	e->fast = e->periods ? towards(e->fast, now, 7) : now;
	e->periods++;
}

/**
 * mrm_estimate_active() - the estimate
 * @e: the averages
 * @touched: sampled pages that were touched so far in the running period
 * @samples: sampled pages in it, 0 if none runs
 *
 * The largest of the slow average, the fast one, and what the fast one would be if the
 * running period ended now.  So a VM that begins to use memory gets it before
 * the period is over, and one that no longer does keeps it for a while
 * (Waldspurger 2002, 5.3).  Of the first period, what was touched so far is all
 * that is known.
 *
 * Return: the fraction of the VM's pages that is active, 2^MRM_ESTIMATE_SHIFT
 * being all of them.
 */
u32 mrm_estimate_active(const struct mrm_estimate *e, u32 touched, u32 samples)
{
	struct mrm_estimate running = *e;
	u32 most = e->slow > e->fast ? e->slow : e->fast;

	mrm_estimate_add(&running, touched, samples);
	return running.fast > most ? running.fast : most;
}

/**
 * mrm_estimate_pages() - a fraction of a VM's pages
 * @fraction: of all, 2^MRM_ESTIMATE_SHIFT being all
 * @pages: all there are, up to 2^40
 * Return: pages, to the nearest.
 */
u64 mrm_estimate_pages(u32 fraction, u64 pages)
{
	return (pages * fraction + (1ULL << (MRM_ESTIMATE_SHIFT - 1))) >> MRM_ESTIMATE_SHIFT;
}
