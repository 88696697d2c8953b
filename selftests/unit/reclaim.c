// SPDX-License-Identifier: GPL-2.0
/*
 * What is reclaimed when: free memory to aim at, states, balloons, and what is
 * taken without them.
 */
#include <stdlib.h>

#include "policy.h"
#include "tap.h"
#include "unit.h"

#define MIB 256ULL		/* pages */
#define GIB (1024 * MIB)

static void test_min_free(void)
{
	static const struct {
		u64 budget;
		unsigned int percent;
		u64 pages;
	} cases[] = {
		{ 0, 0, 0 },
		{ 0, 6, 0 },
		{ 64 * MIB, 0, 983 },
		{ 1 * GIB, 0, 15728 },
		{ 4 * GIB, 0, 62914 },
		{ 4 * GIB + 100, 0, 62918 },
		{ 12 * GIB, 0, 146800 },
		{ 12 * GIB + 100, 0, 146802 },
		{ 28 * GIB, 0, 230686 },
		{ 28 * GIB + 1000, 0, 230696 },
		{ 100 * GIB, 0, 419430 },
		{ MRM_POLICY_PAGES_MAX, 0, 10995273564 },
		{ 28 * GIB, 1, 73400 },
		{ 28 * GIB, 50, 14 * GIB },
		{ MRM_POLICY_PAGES_MAX, 50, MRM_POLICY_PAGES_MAX / 2 },
	};
	u64 budget, last = 0, pages, fell = 0;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_equal(mrm_policy_min_free(cases[i].budget, cases[i].percent), cases[i].pages,
			  "reclaim: min_free of %lu pages, %u per cent", cases[i].budget,
			  cases[i].percent);
	for (budget = 0; budget < 32 * GIB; budget += 997, last = pages) {
		pages = mrm_policy_min_free(budget, 0);
		fell += pages < last;
	}
	tap_equal(fell, 0, "reclaim: more budget, never less min_free");
}

/* From every state, with min_free 100 and thus free in per cent of it. */
static void test_state(void)
{
	/* The better states begin at .up when they are come to from below. */
	static const struct {
		unsigned int below, up;
	} bounds[] = { { 100, 118 }, { 64, 82 }, { 32, 48 }, { 16, 24 } };
	unsigned int from, free, i, wrong = 0, moved = 0, again, jitter, changes = 0;

	for (from = MRM_HIGH; from <= MRM_LOW; from++) {
		for (free = 0; free <= 300; free++) {
			unsigned int want = 0, got = mrm_policy_state(from, free, 100);

			for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
				want += free < (i < from ? bounds[i].up : bounds[i].below);
			wrong += got != want;
			again = mrm_policy_state(got, free, 100);
			moved += again != got;
		}
	}
	tap_equal(wrong, 0, "reclaim: the next state, from each state, for all free memory");
	tap_equal(moved, 0, "reclaim: a state that was just entered is not left at once");

	/* Up and down by less than 8 per cent around any point: at most one way each. */
	for (from = MRM_HIGH; from <= MRM_LOW; from++) {
		for (free = 0; free <= 140; free++) {
			for (jitter = 1; jitter < 8; jitter++) {
				unsigned int state, next, n = 0;

				state = mrm_policy_state(from, free, 100);
				for (i = 0; i < 20; i++) {
					next = mrm_policy_state(state, free + jitter * (i % 2),
								100);
					n += next != state;
					state = next;
				}
				changes += n > 1;
			}
		}
	}
	tap_equal(changes, 0, "reclaim: free memory that goes to and fro changes the state once");
	for (wrong = 0, from = MRM_HIGH; from < MRM_LOW; from++) {
		for (i = 1; i <= 1000; i++) {
			free = mrm_policy_threshold(from, i);
			wrong += mrm_policy_state(from, free, i) > from;
			wrong += free && mrm_policy_state(from, free - 1, i) <= from;
		}
	}
	tap_equal(wrong, 0, "reclaim: below its threshold the next worse state begins");
	tap_equal(mrm_policy_threshold(MRM_LOW, 100), 0, "reclaim: low is the worst");
	for (wrong = 0, from = MRM_CLEAR; from <= MRM_LOW; from++) {
		for (i = 1; i <= 1000; i++) {
			free = mrm_policy_relief(from, i);
			wrong += mrm_policy_state(from, free, i) >= from;
			wrong += mrm_policy_state(from, free - 1, i) < from;
		}
	}
	tap_equal(wrong, 0, "reclaim: where it is relieved a state is left, and not before");
	tap_equal(mrm_policy_relief(MRM_HIGH, 100) > 1ULL << 62, 1, "reclaim: high is the best");
	tap_equal(mrm_policy_state(MRM_HIGH, 0, 0), MRM_HIGH, "reclaim: no budget, no shortage");
	tap_equal(mrm_policy_state(MRM_LOW, 0, 0), MRM_HIGH, "reclaim: no budget any more");
	tap_equal(mrm_policy_state(MRM_HIGH, 100, 100), MRM_HIGH, "reclaim: at 100 per cent, high");
	tap_equal(mrm_policy_state(MRM_HIGH, 99, 100), MRM_CLEAR, "reclaim: below it, clear");
	tap_equal(mrm_policy_state(MRM_CLEAR, 117, 100), MRM_CLEAR, "reclaim: at 117, still");
	tap_equal(mrm_policy_state(MRM_CLEAR, 118, 100), MRM_HIGH, "reclaim: at 118 no longer");
	tap_equal(mrm_policy_state(MRM_HIGH, 64, 100), MRM_CLEAR, "reclaim: at 64 per cent, clear");
	tap_equal(mrm_policy_state(MRM_HIGH, 63, 100), MRM_SOFT, "reclaim: below it, soft");
	tap_equal(mrm_policy_state(MRM_SOFT, 81, 100), MRM_SOFT, "reclaim: at 81 per cent, still");
	tap_equal(mrm_policy_state(MRM_SOFT, 82, 100), MRM_CLEAR, "reclaim: at 82 no longer");
	tap_equal(mrm_policy_state(MRM_HIGH, 0, 100), MRM_LOW, "reclaim: all gone at once");
	tap_equal(mrm_policy_state(MRM_LOW, 118, 100), MRM_HIGH, "reclaim: all back at once");
	tap_equal(mrm_policy_state(MRM_HIGH, MRM_POLICY_PAGES_MAX * 16 / 25,
				   MRM_POLICY_PAGES_MAX), MRM_SOFT,
		  "reclaim: less than a page below 64 per cent of 2^40");
	tap_equal(mrm_policy_state(MRM_HIGH, MRM_POLICY_PAGES_MAX * 16 / 25 + 1,
				   MRM_POLICY_PAGES_MAX), MRM_CLEAR,
		  "reclaim: less than a page above it");
}

static void test_balloon_cases(void)
{
	static const struct {
		struct mrm_balloon b;
		u64 want;
		const char *what;
	} cases[] = {
		/* size, max, target, floor, consumed, saved, held, percent, reclaiming */
		{ { 256, 256, 104, 20, 256, 0, 0, 65, false }, 0, "enough: nothing is taken" },
		{ { 256, 256, 104, 20, 256, 0, 0, 65, true }, 152, "short: down to the target" },
		{ { 256, 256, 104, 20, 226, 30, 0, 65, true }, 122,
		  "short: what it shares is extra" },
		{ { 256, 256, 104, 20, 104, 0, 0, 65, true }, 0, "short: it has just its target" },
		{ { 256, 256, 104, 20, 50, 0, 0, 65, true }, 0,
		  "short: it does not use its target" },
		{ { 256, 256, 50, 20, 256, 0, 0, 65, true }, 166, "short: 65 per cent" },
		{ { 256, 256, 50, 20, 256, 0, 0, 0, true }, 0, "short: no balloon allowed" },
		{ { 256, 256, 50, 128, 256, 0, 0, 65, true }, 128, "short: the floor is higher" },
		{ { 256, 256, 50, 999, 256, 0, 0, 65, true }, 0, "short: a floor above its size" },
		{ { 256, 256, 104, 20, 100, 20, 136, 65, true }, 136, "short: at its target" },
		{ { 256, 256, 104, 20, 100, 50, 136, 65, true }, 136,
		  "short: more saved is for the host" },
		{ { 256, 256, 104, 20, 124, 0, 132, 65, true }, 152, "short: less saved" },
		{ { 256, 256, 150, 20, 100, 0, 152, 65, true }, 106, "short: the target rose" },
		{ { 256, 256, 110, 20, 100, 20, 136, 65, true }, 136,
		  "short: it rose, but not above what the guest can use" },
		{ { 256, 256, 104, 20, 100, 0, 152, 65, false }, 152, "enough: at its target" },
		{ { 256, 256, 104, 20, 70, 30, 152, 65, false }, 122,
		  "enough: what it saves is its own" },
		{ { 256, 256, 256, 20, 100, 0, 152, 65, false }, 0, "enough for all" },
		{ { 256, 128, 128, 20, 256, 0, 0, 65, false }, 128,
		  "enough: no more than its max" },
		{ { 256, 128, 128, 20, 236, 20, 0, 65, false }, 108,
		  "enough: max, and what it saves" },
		{ { 256, 128, 104, 20, 108, 20, 128, 65, false }, 128,
		  "enough: between target and max" },
		{ { 256, 256, 104, 20, 90, 0, 166, 40, true }, 102, "balloon_max was lowered" },
		{ { 256, 256, 104, 150, 90, 0, 166, 65, true }, 106, "the floor was raised" },
		{ { 0, 0, 0, 0, 0, 0, 0, 65, true }, 0, "a VM without RAM" },
		{ { 1ULL << 40, 1ULL << 40, 1, 1, 1ULL << 40, 0, 0, 99, true },
		  1088516511498, "2^40" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_equal(mrm_policy_balloon(&cases[i].b), cases[i].want, "reclaim: balloon: %s",
			  cases[i].what);
}

static struct mrm_balloon draw_balloon(void)
{
	u64 size = draw(1, 1ULL << draw(1, 40)), granted;
	struct mrm_balloon b = {
		.size = size, .max = draw(0, size), .floor = draw(0, size / 2),
		.held = draw(0, 1) ? draw(0, size) : 0, .percent = draw(0, 99),
		.reclaiming = draw(0, 1),
	};

	b.target = draw(0, b.max);
	granted = draw(0, size - b.held);
	b.saved = draw(0, 1) ? draw(0, granted) : 0;
	b.consumed = draw(0, 1) ? granted - b.saved : draw(0, granted - b.saved);
	return b;
}

static void test_balloon_properties(void)
{
	unsigned int i, bounds = 0, least = 0, exact = 0, alone = 0, deflates = 0, still = 0;

	for (i = 0; i < 100000; i++) {
		struct mrm_balloon b = draw_balloon();
		u64 needs = b.target > b.floor ? b.target : b.floor, can_use;
		u64 most = b.size * b.percent / 100, want = mrm_policy_balloon(&b);

		bounds += want > most;
		least += want && b.size - want < needs;
		can_use = b.size - want;
		if (b.reclaiming && b.consumed > b.target)
			exact += can_use > b.target + b.saved && want < most &&
				 can_use > needs;
		if (b.reclaiming && b.consumed <= b.target)
			alone += want > b.held;
		if (!b.reclaiming && b.consumed <= b.max)
			deflates += want > b.held;

		/* When the guest has followed, it stays, and in the other state as well. */
		b.held = want;
		if (b.consumed + b.saved > can_use)
			b.consumed = can_use > b.saved ? can_use - b.saved : 0;
		still += mrm_policy_balloon(&b) != want;
		if (b.reclaiming && b.consumed >= b.target) {
			b.reclaiming = false;
			still += mrm_policy_balloon(&b) != want;
		}
	}
	tap_equal(bounds, 0, "reclaim: balloon: never above its part of the VM");
	tap_equal(least, 0, "reclaim: balloon: always leaves the target and the floor");
	tap_equal(exact, 0, "reclaim: balloon: leaves no more than that, if it may");
	tap_equal(alone, 0, "reclaim: balloon: takes nothing from who is not above its target");
	tap_equal(deflates, 0, "reclaim: balloon: grows only while memory is reclaimed");
	tap_equal(still, 0, "reclaim: balloon: a guest that has followed is let alone");
}

/*
 * A host in the small: guests that fill all memory that they can use, as
 * caches do, with a part of it in use, a part shared, and free pages that are shared
 * zero pages; balloons that move by so many pages a round.
 */
#define GUESTS 4

/**
 * struct guest - one of the host's guests
 * @b: what is known of it
 * @vm: what is decided on
 * @granted: pages that hold something
 * @zero: per cent of @granted that are zero pages until the balloon takes them
 * @zero_pages: what they are now
 * @alike: per cent of the others that sharing saves
 * @pace: pages a round by which the balloon, and what is granted, move
 * @turns: times the balloon began to move in the other direction
 * @direction: of its last move
 */
struct guest {
	struct mrm_balloon b;
	struct mrm_policy_vm vm;
	u64 granted, zero_pages;
	unsigned int zero, alike;
	u64 pace;
	unsigned int turns;
	int direction;
};

/**
 * struct world - a host
 * @guest: its guests
 * @budget: pages
 * @min_free: of them
 * @state: now
 * @changes: of the state
 */
struct world {
	struct guest guest[GUESTS];
	u64 budget, min_free;
	enum mrm_state state;
	unsigned int changes;
};

static u64 toward(u64 from, u64 to, u64 pace)
{
	if (to > from)
		return to - from < pace ? to : from + pace;
	return from - to < pace ? to : from - pace;
}

static void run_guest(struct guest *g, u64 balloon)
{
	u64 held = toward(g->b.held, balloon, g->pace), can_use;
	int direction = (held > g->b.held) - (held < g->b.held);

	if (direction && direction == -g->direction)
		g->turns++;
	g->direction = direction ? direction : g->direction;
	g->b.held = held;
	can_use = g->b.size - held;
	/* The balloon takes what is not in use first. */
	if (g->granted > can_use) {
		u64 taken = g->granted - can_use;

		g->zero_pages -= taken < g->zero_pages ? taken : g->zero_pages;
		g->granted = can_use;
	} else {
		g->granted = toward(g->granted, can_use, g->pace);
	}
	g->b.saved = (g->granted - g->zero_pages) * g->alike / 100;
	g->b.consumed = g->granted - g->zero_pages - g->b.saved;
}

static void run_world(struct world *w, unsigned int rounds)
{
	struct mrm_policy_vm vms[GUESTS];
	unsigned int i;

	while (rounds--) {
		u64 used = 0, free;
		enum mrm_state state;

		for (i = 0; i < GUESTS; i++) {
			used += w->guest[i].b.consumed;
			vms[i] = w->guest[i].vm;
		}
		free = used < w->budget ? w->budget - used : 0;
		state = mrm_policy_state(w->state, free, w->min_free);
		w->changes += state != w->state;
		w->state = state;
		mrm_policy_targets(vms, GUESTS, w->budget - w->min_free, 75);
		for (i = 0; i < GUESTS; i++) {
			struct mrm_balloon *b = &w->guest[i].b;

			b->target = vms[i].target;
			b->reclaiming = state > MRM_CLEAR;
			run_guest(&w->guest[i], mrm_policy_balloon(b));
		}
	}
}

static void draw_world(struct world *w)
{
	u64 sum = 0;
	unsigned int i;

	*w = (struct world){};
	for (i = 0; i < GUESTS; i++) {
		u64 size = draw(64, 1024) * MIB;
		struct guest *g = &w->guest[i];

		*g = (struct guest){
			.b = { .size = size, .floor = size / 8, .percent = 65 },
			.vm = { .shares = draw(1, 4) * size, .min = draw(0, size / 4),
				.max = size, .active = draw(0, size) },
			.zero = draw(0, 1) ? draw(0, 50) : 0,
			.alike = draw(0, 1) ? draw(0, 40) : 0,
			.pace = size / draw(4, 40),
		};
		g->b.max = g->vm.max;
		g->granted = draw(size / 4, size);
		g->zero_pages = g->granted * g->zero / 100;
		sum += size;
	}
	w->budget = draw(sum / 2, sum * 6 / 5);
	w->min_free = mrm_policy_min_free(w->budget, 0);
}

/* How much of a guest is above its target and can be had by its balloon. */
static bool reclaimable(const struct guest *g)
{
	u64 needs = g->b.target > g->b.floor ? g->b.target : g->b.floor;
	u64 most = g->b.size * g->b.percent / 100;

	if (needs > g->b.size)
		needs = g->b.size;
	if (most > g->b.size - needs)
		most = g->b.size - needs;
	/* What is left of a part that is shared is rounded. */
	return g->b.consumed > g->b.target + 1 && g->b.held < most;
}

static void test_balloon_loop(void)
{
	unsigned int worlds = 2000, i, v, phase;
	unsigned int settled = 0, reclaimed = 0, turned = 0, shorts = 0;

	for (i = 0; i < worlds; i++) {
		struct world w, before;

		draw_world(&w);
		for (phase = 0; phase < 3; phase++) {
			bool same = true, left = false, turns = false;

			/* Others use memory now. */
			for (v = 0; v < GUESTS; v++) {
				w.guest[v].vm.active = draw(0, w.guest[v].b.size);
				w.guest[v].turns = 0;
				w.guest[v].direction = 0;
			}
			run_world(&w, 300);
			before = w;
			run_world(&w, 50);
			for (v = 0; v < GUESTS; v++) {
				turns |= w.guest[v].turns > 1;
				same &= w.guest[v].b.held == before.guest[v].b.held;
				left |= w.state > MRM_CLEAR && reclaimable(&w.guest[v]);
			}
			same &= w.changes == before.changes;
			settled += same;
			reclaimed += !left;
			turned += turns;
			shorts += w.state > MRM_CLEAR;
		}
	}
	tap_note("in %u of %u cases balloons alone do not lead to the state high", shorts,
		 3 * worlds);
	tap_equal(settled, 3 * worlds, "reclaim: balloons of %u hosts settle", worlds);
	tap_equal(reclaimed, 3 * worlds, "reclaim: and then all above target is reclaimed");
	tap_equal(turned, 0, "reclaim: and no balloon turned more than once on its way");
}

#define TAKE_MAX 1000	/* the max of each */

static void test_take(void)
{
	static const struct {
		enum mrm_state state;
		bool balloons;
		u64 consumed, target, pages;
	} cases[] = {
		{ MRM_HIGH, false, 200, 100, 0 },
		{ MRM_HIGH, true, 200, 100, 0 },
		{ MRM_HIGH, false, TAKE_MAX + 7, 100, 7 },
		{ MRM_HIGH, true, TAKE_MAX + 7, 100, 0 },
		{ MRM_CLEAR, false, 200, 100, 0 },
		{ MRM_CLEAR, false, TAKE_MAX + 7, 100, 7 },
		{ MRM_SOFT, true, 200, 100, 0 },
		{ MRM_SOFT, false, 200, 100, 100 },
		{ MRM_SOFT, false, 100, 100, 0 },
		{ MRM_SOFT, false, 99, 100, 0 },
		{ MRM_HARD, true, 200, 100, 100 },
		{ MRM_HARD, false, 200, 100, 100 },
		{ MRM_HARD, true, 50, 100, 0 },
		{ MRM_LOW, true, 101, 100, 1 },
		{ MRM_LOW, false, MRM_POLICY_PAGES_MAX, 0, MRM_POLICY_PAGES_MAX },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mrm_take take = {
			.consumed = cases[i].consumed, .target = cases[i].target, .max = TAKE_MAX,
			.balloons = cases[i].balloons, .state = cases[i].state,
		};
		const char *how = take.balloons ? "balloons" : "no balloon";

		tap_equal(mrm_policy_take(&take), cases[i].pages,
			  "reclaim: state %d, %s, %lu of %lu: taken without the guest's help",
			  cases[i].state, how, cases[i].consumed, cases[i].target);
	}
}

/**
 * test_reclaim() - min_free, states, balloons, what is taken without them
 */
void test_reclaim(void)
{
	test_min_free();
	test_state();
	test_balloon_cases();
	test_balloon_properties();
	test_balloon_loop();
	test_take();
}
