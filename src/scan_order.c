// SPDX-License-Identifier: GPL-2.0
/*
 * The order in which a pass visits a VM: random, so that no guest's layout
 * suits it badly (Waldspurger 2002, 4.3), each place once, and remembered in a
 * few bytes.  A small Feistel network is a permutation of 0 to 4^k - 1;
 * numbers outside the range are sent through it again until they are inside.
 *
 * Pure arithmetic: compiled into the user-space tests as well.
 */
#include "scan_order.h"

static u64 splitmix(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/**
 * mrm_scan_order_init() - draw an order
 * @o: what to set up
 * @n: how many places there are, up to 2^62
 * @seed: another seed, another order
 */
void mrm_scan_order_init(struct mrm_scan_order *o, u64 n, u64 seed)
{
	int i;

	o->n = n;
	o->half_bits = 1;
	while (o->half_bits < 31 && 1ULL << (2 * o->half_bits) < n)
		o->half_bits++;
	for (i = 0; i < MRM_ORDER_ROUNDS; i++)
		o->key[i] = splitmix(&seed);
}

/**
 * mrm_scan_order_at() - the i-th place
 * @o: the order
 * @i: 0 to n - 1
 * Return: 0 to n - 1, each for exactly one i.
 */
u64 mrm_scan_order_at(const struct mrm_scan_order *o, u64 i)
{
	u64 mask = (1ULL << o->half_bits) - 1;
	int r;

	do {
		u64 left = i >> o->half_bits, right = i & mask;

		for (r = 0; r < MRM_ORDER_ROUNDS; r++) {
			u64 f = (right ^ o->key[r]) * 0x9e3779b97f4a7c15ULL;
			u64 swap = left ^ (f >> 32 & mask);

			left = right;
			right = swap;
		}
		i = left << o->half_bits | right;
	} while (i >= o->n);
	return i;
}
