// SPDX-License-Identifier: GPL-2.0
#include "unit.h"

static u64 state;

/**
 * draw_seed() - begin a series of draws
 * @seed: another seed, another series
 */
void draw_seed(u64 seed)
{
	state = seed;
}

/**
 * draw() - a random number (splitmix64)
 * @low: the smallest it may be
 * @high: the largest it may be
 * Return: @low to @high.
 */
u64 draw(u64 low, u64 high)
{
	u64 z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return low + (z ^ z >> 31) % (high - low + 1);
}
