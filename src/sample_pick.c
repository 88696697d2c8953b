// SPDX-License-Identifier: GPL-2.0
/* Which guest pages are sampled.  Pure arithmetic: compiled into the user-space tests as well. */
#include "sample_pick.h"

/**
 * mrm_sample_pick() - the page of one stratum
 * @pages: there are in all, at least 1
 * @n: strata, at least 1
 * @i: the stratum, less than @n
 * @random: uniform in 64 bits
 *
 * The pages are divided into @n strata of equal size, which may begin and end within a
 * page; in each a point is drawn, and the page it falls on is picked.  So every page is
 * as likely as any other, and picks are in order.  A fraction of pages counted among the
 * picks varies no more than among @n independent ones, which the paper has
 * (Waldspurger 2002, 5.3): the variance within strata is all that is left, and what
 * differs between them, as guests' memory does, is gone.
 *
 * Return: the page, less than @pages.
 */
u64 mrm_sample_pick(u64 pages, u32 n, u32 i, u64 random)
{
	/* In nths of a page: stratum i begins at i * pages, and is as long as pages. */
	u64 offset = (u64)((__uint128_t)random * pages >> 64);

	return i * (pages / n) + (i * (pages % n) + offset) / n;
}
