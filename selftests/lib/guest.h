/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The guest
 *
 * A program of some hundred bytes (guest_code.c) in long mode.  It asks for a
 * command by writing to a port, does it, and asks again.  What it needs lives
 * in the control slot, which is shared memory and so never adopted; RAM is all
 * the test's.
 *
 * Control slot, at guest physical address 0:
 *
 *   0x001000  code
 *   0x008000  page tables: the first 4 GiB, one to one
 *   0x010000  for each vCPU: struct guest_area, and its stack
 *   0x030000  owner of each page of RAM, a byte
 *   0x040000  state of each page of RAM, see pattern.h
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>

#include "pattern.h"

#define GUEST_CODE	0x1000UL
#define GUEST_TABLES	0x8000UL
#define GUEST_AREAS	0x10000UL
#define GUEST_AREA_SIZE	0x4000UL
#define GUEST_VCPUS	8U
#define GUEST_OWNERS	0x30000UL
#define GUEST_STATES	0x40000UL
#define GUEST_MAX_PAGES	0x10000UL
#define GUEST_CONTROL	(GUEST_STATES + 8 * GUEST_MAX_PAGES)
#define GUEST_RAM	0x400000UL	/* guest physical address of RAM */
#define GUEST_PORT	0x10

/**
 * enum guest_command - what the guest is told to do to pages @first ... of RAM
 * @GUEST_FILL: write each page to its state
 * @GUEST_VERIFY: compare each page with its state
 * @GUEST_POKE: write only the poked word of each page
 * @GUEST_TOUCH: write the first word of each page again, with what it holds
 * @GUEST_READ: read one byte of each page
 * @GUEST_CHURN: @count random changes and checks of pages that have @owner
 * @GUEST_WORK: read and write a word of each page that has @owner, @count times over
 * @GUEST_HALT: wait for an interrupt; see vm_nap()
 */
enum guest_command {
	GUEST_FILL = 1,
	GUEST_VERIFY,
	GUEST_POKE,
	GUEST_TOUCH,
	GUEST_READ,
	GUEST_CHURN,
	GUEST_WORK,
	GUEST_HALT,
};

/**
 * struct guest_wrong - a page that is not what it should be
 * @page: number in RAM
 * @word: the first word that is wrong
 * @state: what it should be
 * @got: that word
 */
struct guest_wrong {
	uint64_t page, word, state, got;
};

/**
 * struct guest_work - a command
 * @command: enum guest_command
 * @keys: GUEST_CHURN: how many different contents there are
 * @owner: GUEST_CHURN, GUEST_WORK: whose pages
 * @first: first page; GUEST_CHURN, GUEST_WORK: of the range
 * @count: pages; GUEST_CHURN, GUEST_WORK: how many changes, how many times
 * @pages: GUEST_CHURN, GUEST_WORK: pages in the range
 * @seed: GUEST_CHURN: of the random generator
 */
struct guest_work {
	uint32_t command, keys, owner;
	uint64_t first, count, pages, seed;
};

/**
 * struct guest_area - of one vCPU
 * @work: what to do
 * @failed: nothing, or 1 for a page that was wrong
 * @wrong: that page
 */
struct guest_area {
	struct guest_work work;
	uint64_t failed;
	struct guest_wrong wrong;
};

/**
 * struct guest_view - where RAM and its tables are seen from
 * @ram: RAM
 * @states: state of each page
 * @owners: owner of each page
 */
struct guest_view {
	uint8_t *ram;
	volatile uint64_t *states;
	volatile uint8_t *owners;
};

/* The guest's program, in the host's: guest_blob.S. */
extern const uint8_t guest_blob[], guest_blob_end[];

static inline volatile uint64_t *guest_page(const struct guest_view *view, uint64_t page)
{
	return (volatile uint64_t *)(view->ram + page * PAGE_SIZE);
}

/* Returns 0, or 1 with @wrong filled in. */
static inline int guest_check(const struct guest_view *view, uint64_t page,
			      struct guest_wrong *wrong)
{
	volatile uint64_t *p = guest_page(view, page);
	uint64_t state = view->states[page];
	uint32_t word = pattern_check(p, state);

	if (word == PAGE_WORDS)
		return 0;
	wrong->page = page;
	wrong->word = word;
	wrong->state = state;
	wrong->got = p[word];
	return 1;
}

static inline void guest_poke(const struct guest_view *view, uint64_t page)
{
	struct pattern p = pattern_of(view->states[page]);

	if (p.poke < PAGE_WORDS)
		guest_page(view, page)[p.poke] = p.poke_value;
}

/* One random change; what the page held before is always verified first. */
static inline int guest_churn_page(const struct guest_view *view, uint64_t page, uint32_t keys,
				   uint64_t *seed, struct guest_wrong *wrong)
{
	uint32_t what = pattern_random(seed, 16);

	if (guest_check(view, page, wrong))
		return 1;
	if (what < 6)
		return 0;
	if (what < 12) {
		uint32_t key = pattern_random(seed, keys);

		/* Key 0 is the zero page. */
		view->states[page] = key % 2 ? key | THIN : key;
		pattern_fill(guest_page(view, page), view->states[page]);
	} else {
		uint64_t state = view->states[page];

		/* One word at a time differs: take the last poke back first. */
		if (state & POKED) {
			struct pattern plain = pattern_of((uint32_t)state);
			uint32_t word = pattern_of(state).poke;

			guest_page(view, page)[word] = pattern_word(&plain, word);
		}
		view->states[page] = pattern_poke(state, pattern_random(seed, 4) * 160);
		guest_poke(view, page);
	}
	return guest_check(view, page, wrong);
}

/* Does a command; the same for the guest and for user space. */
static inline int guest_do(const struct guest_view *view, struct guest_work *work,
			   struct guest_wrong *wrong)
{
	uint64_t i, page;

	if (work->command == GUEST_CHURN) {
		for (i = 0; i < work->count;) {
			page = work->first + pattern_random(&work->seed, work->pages);
			if (view->owners[page] != work->owner)
				continue;
			i++;
			if (guest_churn_page(view, page, work->keys, &work->seed, wrong))
				return 1;
		}
		return 0;
	}
	if (work->command == GUEST_WORK) {
		for (i = 0; i < work->count; i++) {
			for (page = work->first; page < work->first + work->pages; page++) {
				volatile uint64_t *p = guest_page(view, page);

				if (view->owners[page] == work->owner)
					*p = *p;
			}
		}
		return 0;
	}
	for (page = work->first; page < work->first + work->count; page++) {
		volatile uint64_t *p = guest_page(view, page);
		struct pattern pattern;

		switch (work->command) {
		case GUEST_FILL:
			pattern_fill(p, view->states[page]);
			break;
		case GUEST_VERIFY:
			if (guest_check(view, page, wrong))
				return 1;
			break;
		case GUEST_POKE:
			guest_poke(view, page);
			break;
		case GUEST_TOUCH:
			pattern = pattern_of(view->states[page]);
			p[0] = pattern_word(&pattern, 0);
			break;
		case GUEST_READ:
			(void)*(volatile uint8_t *)p;
			break;
		default:
			return 1;
		}
	}
	return 0;
}

#endif
