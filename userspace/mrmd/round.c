// SPDX-License-Identifier: GPL-2.0
/*
 * What may be handed out while guests are still giving: what was free beyond the
 * host's own need, and what has been given since.  When nobody gives any more,
 * because all is given or because the rest does not listen, the others are not
 * kept waiting: the kernel knows who does not listen, and takes from it otherwise.
 */
#include "round.h"

/**
 * round_begin() - there are new targets
 * @round: begins anew
 * @free: memory that is free, in bytes
 * @min_free: what should stay free, in bytes
 */
void round_begin(struct round *round, uint64_t free, uint64_t min_free)
{
	round->credit = free > min_free ? free - min_free : 0;
}

/**
 * round_given() - a guest's memory has changed
 * @round: the round
 * @before: what it had, in bytes
 * @now: what it has; less: it has given
 */
void round_given(struct round *round, uint64_t before, uint64_t now)
{
	if (now < before)
		round->credit += before - now;
}

/**
 * round_credit() - how much the next guest may be given
 * @round: the round
 * @giving: guests that are still giving
 *
 * Return: bytes.
 */
uint64_t round_credit(const struct round *round, unsigned int giving)
{
	return giving ? round->credit : UINT64_MAX;
}

/**
 * round_granted() - a guest was given some
 * @round: the round
 * @bytes: how much more its target is
 */
void round_granted(struct round *round, uint64_t bytes)
{
	round->credit = round->credit > bytes ? round->credit - bytes : 0;
}
