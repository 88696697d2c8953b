/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Known contents
 *
 * What a guest page must hold follows from one number, its state:
 *
 *   bits 0-31   key; 0 fills the page with zeroes.  With bit 31 only a quarter of it is
 *               filled, and the rest zero: it can be compressed, the others cannot
 *   bits 32-40  the one word that was overwritten since ...
 *   bit 41      ... if this is set
 *
 * So each writer keeps 8 bytes for a page, and every byte can be verified at
 * any time by anybody.  Pages of equal state are equal.  Compiled for the guest
 * as well.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdint.h>

#define PAGE_SIZE	4096UL
#define PAGE_WORDS	(PAGE_SIZE / sizeof(uint64_t))
#define POKED		(1ULL << 41)
#define THIN		(1U << 31)
#define THIN_WORDS	(PAGE_WORDS / 4)

static inline uint64_t pattern_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* A small random generator: returns a number from 0 to @n - 1. */
static inline uint32_t pattern_random(uint64_t *seed, uint32_t n)
{
	*seed += 0x9e3779b97f4a7c15ULL;
	return (pattern_mix(*seed) >> 32) * n >> 32;
}

/**
 * struct pattern - contents of a page, ready to be written or compared
 * @base: first word
 * @step: from each word to the next
 * @words: how many are filled
 * @poke: the word that differs, PAGE_WORDS = none
 * @poke_value: what it holds
 */
struct pattern {
	uint64_t base, step;
	uint32_t words, poke;
	uint64_t poke_value;
};

static inline struct pattern pattern_of(uint64_t state)
{
	uint32_t key = state;
	struct pattern p = {
		.base = key ? pattern_mix(key) : 0,
		.step = key ? pattern_mix(~(uint64_t)key) : 0,
		.words = key & THIN ? THIN_WORDS : PAGE_WORDS,
		.poke = state & POKED ? state >> 32 & (PAGE_WORDS - 1) : PAGE_WORDS,
	};

	p.poke_value = ~(p.base + p.poke * p.step);
	return p;
}

static inline uint64_t pattern_poke(uint64_t state, uint32_t word)
{
	return (uint32_t)state | POKED | (uint64_t)(word & (PAGE_WORDS - 1)) << 32;
}

static inline uint64_t pattern_word(const struct pattern *p, uint32_t i)
{
	if (i == p->poke)
		return p->poke_value;
	return i < p->words ? p->base + i * p->step : 0;
}

static inline void pattern_fill(volatile uint64_t *page, uint64_t state)
{
	struct pattern p = pattern_of(state);
	uint64_t value = p.base;
	uint32_t i;

	for (i = 0; i < p.words; i++, value += p.step)
		page[i] = value;
	for (; i < PAGE_WORDS; i++)
		page[i] = 0;
	if (p.poke < PAGE_WORDS)
		page[p.poke] = p.poke_value;
}

/* Returns the first word that is wrong, or PAGE_WORDS. */
static inline uint32_t pattern_check(const volatile uint64_t *page, uint64_t state)
{
	struct pattern p = pattern_of(state);
	uint64_t value = p.base;
	uint32_t i;

	for (i = 0; i < p.words; i++, value += p.step)
		if (page[i] != (i == p.poke ? p.poke_value : value))
			return i;
	for (; i < PAGE_WORDS; i++)
		if (page[i] != (i == p.poke ? p.poke_value : 0))
			return i;
	return i;
}

#endif
