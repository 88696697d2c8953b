/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_ROUND_H
#define MRMD_ROUND_H

#include <stdint.h>

/**
 * struct round - a rebalance: who gives first, then who gets (xapi's squeezed)
 * @credit: memory that may be handed out before all have given, in bytes
 */
struct round {
	uint64_t credit;
};

void round_begin(struct round *round, uint64_t free, uint64_t min_free);
void round_given(struct round *round, uint64_t before, uint64_t now);
uint64_t round_credit(const struct round *round, unsigned int giving);
void round_granted(struct round *round, uint64_t bytes);

#endif
