// SPDX-License-Identifier: GPL-2.0
/*
 * Targets: known cases, and random ones against the paper's rule, carried out
 * page by page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "tap.h"
#include "unit.h"

#define VMS_MAX 12
#define CASES 10000
#define MOST MRM_POLICY_PAGES_MAX

/* What is divided among whom. */
struct division {
	struct mrm_policy_vm vms[VMS_MAX];
	unsigned int n;
	u64 total;
	unsigned int tax;
};

/*
 * P * (f + k * (1 - f)) with f = active / P and k = 100 / (100 - tax), times
 * 100 - tax.
 */
static u64 cost(const struct mrm_policy_vm *vm, u64 pages, unsigned int tax)
{
	u64 active = vm->active < pages ? vm->active : pages;

	return (100 - tax) * active + 100 * (pages - active);
}

/* Of a with so many pages and b: -1 if a's ratio of shares to cost is the lower one. */
static int compare_rho(const struct mrm_policy_vm *a, u64 a_pages, const struct mrm_policy_vm *b,
		       u64 b_pages, unsigned int tax)
{
	unsigned __int128 left = (unsigned __int128)a->shares * cost(b, b_pages, tax);
	unsigned __int128 right = (unsigned __int128)b->shares * cost(a, a_pages, tax);

	return (left > right) - (left < right);
}

/* The rule, literally; the targets are where it ends. */
static void revoke(struct division *d)
{
	u64 sum = 0;
	unsigned int i, poorest;

	for (i = 0; i < d->n; i++) {
		d->vms[i].target = d->vms[i].max;
		sum += d->vms[i].max;
	}
	for (; sum > d->total; sum--) {
		poorest = d->n;
		for (i = 0; i < d->n; i++)
			if (d->vms[i].target > d->vms[i].min &&
			    (poorest == d->n ||
			     compare_rho(&d->vms[i], d->vms[i].target, &d->vms[poorest],
					 d->vms[poorest].target, d->tax) < 0))
				poorest = i;
		if (poorest == d->n)
			return;
		d->vms[poorest].target--;
	}
}

/* Min, max and sum hold, and what is returned is what is missing for all mins. */
static bool in_bounds(const struct mrm_policy_vm *vms, unsigned int n, u64 total, u64 missing)
{
	u64 min = 0, max = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (vms[i].target < vms[i].min || vms[i].target > vms[i].max)
			return false;
		min += vms[i].min;
		max += vms[i].max;
		sum += vms[i].target;
	}
	if (min > total)
		return sum == min && missing == min - total;
	return sum == (max < total ? max : total) && !missing;
}

/* Would a page be taken from a before one is taken from b? */
static bool revoked_before(const struct mrm_policy_vm *a, u64 a_pages,
			   const struct mrm_policy_vm *b, u64 b_pages, unsigned int tax)
{
	int order = compare_rho(a, a_pages, b, b_pages, tax);

	return order < 0 || (!order && a < b);
}

/*
 * For any number of pages: all that were taken would be taken before all that were
 * not.  As a VM's ratio grows with each page taken, only one division is so.
 */
static bool as_revoked(const struct mrm_policy_vm *vms, unsigned int n, unsigned int tax)
{
	const struct mrm_policy_vm *next = NULL, *last = NULL, *vm;

	for (vm = vms; vm < vms + n; vm++) {
		if (vm->target > vm->min &&
		    (!next || revoked_before(vm, vm->target, next, next->target, tax)))
			next = vm;
		if (vm->target < vm->max &&
		    (!last || revoked_before(last, last->target + 1, vm, vm->target + 1, tax)))
			last = vm;
	}
	return !next || !last || next == last ||
	       revoked_before(last, last->target + 1, next, next->target, tax);
}

static void print_division(const struct division *got, const struct division *want)
{
	unsigned int i;

	tap_note("%u VMs, total %lu, tax %u", got->n, got->total, got->tax);
	for (i = 0; i < got->n; i++)
		tap_note("shares %lu, min %lu, max %lu, active %lu: got %lu, want %lu",
			 got->vms[i].shares, got->vms[i].min, got->vms[i].max, got->vms[i].active,
			 got->vms[i].target, want->vms[i].target);
}

/* A case for the rule: it must not take more pages than one can wait for. */
typedef void draw_division(struct division *d);

static u64 sum_of_max(const struct division *d)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < d->n; i++)
		sum += d->vms[i].max;
	return sum;
}

static unsigned int draw_tax(void)
{
	static const unsigned int usual[] = { 0, 75, 75, 99 };

	return draw(0, 1) ? usual[draw(0, 3)] : draw(0, 99);
}

static void draw_small(struct division *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		u64 max = draw(0, 250);

		d->vms[i] = (struct mrm_policy_vm){
			.shares = draw(1, 1000), .min = draw(0, max), .max = max,
			.active = draw(0, 300),
		};
	}
	d->total = draw(0, sum_of_max(d) + 5);
}

/* Many pages with equal ratios. */
static void draw_ties(struct division *d)
{
	u64 max = draw(1, 150), active = draw(0, max);
	unsigned int i;

	for (i = 0; i < d->n; i++)
		d->vms[i] = (struct mrm_policy_vm){
			.shares = draw(1, 2), .max = max, .active = draw(0, 2) ? active : 0,
		};
	d->total = draw(0, sum_of_max(d));
}

/* Ratios as close to each other as they can be, or as far apart. */
static void draw_huge(struct division *d)
{
	u64 taken = draw(0, 1000), sum;
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		u64 max = MOST - draw(0, 200), least = draw(0, 1) ? 1 : MRM_SHARES_MAX - 3;
		u64 active = draw(0, 1) ? max + draw(0, 100) - 50 : draw(0, max);

		d->vms[i] = (struct mrm_policy_vm){
			.shares = draw(least, draw(0, 2) ? least + 3 : MRM_SHARES_MAX),
			.min = max - draw(0, 200), .max = max,
			.active = active < MOST ? active : MOST,
		};
	}
	sum = sum_of_max(d);
	d->total = sum - (taken < sum ? taken : sum);
}

static void test_against_rule(const char *what, draw_division *fill, unsigned int cases)
{
	unsigned int i, v, equal = 0, near = 0, held = 0;

	for (i = 0; i < cases; i++) {
		struct division d = { .n = draw(1, VMS_MAX), .tax = draw_tax() }, want;
		bool same = true, close = true;
		u64 missing;

		fill(&d);
		want = d;
		revoke(&want);
		missing = mrm_policy_targets(d.vms, d.n, d.total, d.tax);
		for (v = 0; v < d.n; v++) {
			same &= d.vms[v].target == want.vms[v].target;
			close &= d.vms[v].target + 1 - want.vms[v].target <= 2;
		}
		if (!same && equal == i)
			print_division(&d, &want);
		equal += same;
		near += close;
		held += in_bounds(d.vms, d.n, d.total, missing);
	}
	tap_equal(near, cases, "policy: %u %s cases within a page a VM of revocation page by page",
		  cases, what);
	tap_equal(equal, cases, "policy: %u %s cases: and exactly equal to it", cases, what);
	tap_equal(held, cases, "policy: %u %s cases: min, max and sum hold", cases, what);
}

static void test_rule(void)
{
	test_against_rule("small", draw_small, CASES / 2);
	test_against_rule("tied", draw_ties, CASES / 4);
	test_against_rule("huge", draw_huge, CASES - CASES / 2 - CASES / 4);
}

static u64 at_scale(u64 most)
{
	return draw(0, most >> draw(0, 40));
}

/* Any values that the contract allows, and too many pages to go through them. */
static void test_any(unsigned int n, unsigned int cases)
{
	struct mrm_policy_vm *vms = calloc(n ? n : 1, sizeof(*vms));
	unsigned int i, v, held = 0, right = 0;

	if (!vms)
		tap_bail("no memory");
	for (i = 0; i < cases; i++) {
		bool ties = draw(0, 1);
		unsigned int tax = draw_tax();
		u64 sum = 0, total, missing;

		for (v = 0; v < n; v++) {
			u64 max = at_scale(MOST);

			vms[v] = (struct mrm_policy_vm){
				.shares = 1 + at_scale(MRM_SHARES_MAX - 1),
				.min = draw(0, 2) ? 0 : draw(0, max), .max = max,
				.active = at_scale(MOST),
			};
			if (ties && v && draw(0, 3))
				vms[v] = vms[v - 1];
			sum += vms[v].max;
		}
		total = draw(0, sum);
		missing = mrm_policy_targets(vms, n, total, tax);
		held += in_bounds(vms, n, total, missing);
		right += missing || as_revoked(vms, n, tax);
	}
	free(vms);
	tap_equal(held, cases, "policy: %u cases of %u VMs: min, max and sum hold", cases, n);
	tap_equal(right, cases, "policy: %u cases of %u VMs: what revocation ends with", cases, n);
}

/* The checks above must be able to fail. */
static void test_checks(void)
{
	unsigned int i, v, seen = 0, cases = 0;

	for (i = 0; i < 1000; i++) {
		struct division d = { .n = VMS_MAX, .tax = draw_tax() };

		draw_small(&d);
		mrm_policy_targets(d.vms, d.n, d.total, d.tax);
		for (v = 1; v < d.n; v++) {
			if (d.vms[0].target == d.vms[0].max || d.vms[v].target == d.vms[v].min)
				continue;
			d.vms[0].target++;
			d.vms[v].target--;
			cases++;
			seen += !as_revoked(d.vms, d.n, d.tax);
			break;
		}
	}
	tap_ok(cases > 100 && seen == cases,
	       "policy: a page with the wrong VM is noticed, in %u of %u cases", seen, cases);
}

static void test_known(void)
{
	static const struct {
		struct mrm_policy_vm vms[3];
		unsigned int n, tax;
		u64 total, missing;
		const char *what;
	} cases[] = {
		/* The paper's figure 7, in MB: shares, min, max, active, target. */
		{ { { 10, 0, 256, 20, 84 }, { 10, 0, 512, 512, 276 } }, 2, 75, 360, 0,
		  "figure 7, idle and busy" },
		{ { { 10, 0, 256, 20, 104 }, { 10, 0, 256, 256, 256 } }, 2, 75, 360, 0,
		  "figure 7, no more than max" },
		{ { { 10, 0, 256, 20, 180 }, { 10, 0, 256, 256, 180 } }, 2, 0, 360, 0,
		  "figure 7, no tax" },
		{ { { 10, 120, 256, 20, 120 }, { 10, 0, 256, 256, 240 } }, 2, 75, 360, 0,
		  "no less than min" },
		{ { { 20, 0, 900, 900, 400 }, { 10, 0, 900, 900, 200 },
		    { 5, 0, 900, 900, 100 } }, 3, 75, 700, 0,
		  "as shares are, if all are busy" },
		{ { { 20, 0, 900, 0, 400 }, { 10, 0, 900, 0, 200 },
		    { 5, 0, 900, 0, 100 } }, 3, 75, 700, 0,
		  "as shares are, if all are idle" },
		{ { { 10, 0, 900, 0, 100 }, { 10, 0, 900, 900, 400 } }, 2, 75, 500, 0,
		  "tax 75: idle pages are four times as dear" },
		{ { { 10, 0, 900, 0, 50 }, { 10, 0, 9000, 9000, 5000 } }, 2, 99, 5050, 0,
		  "tax 99: a hundred times" },
		{ { { 1, 0, 900, 0, 100 }, { 4, 0, 900, 900, 400 } }, 2, 0, 500, 0,
		  "no tax: only shares count" },
		{ { { 10, 0, 100, 100, 66 }, { 10, 0, 100, 100, 67 },
		    { 10, 0, 100, 100, 67 } }, 3, 75, 200, 0,
		  "of equals, the first gives" },
		{ { { 10, 0, 100, 9000, 50 }, { 10, 0, 100, 100, 50 } }, 2, 75, 100, 0,
		  "more active than max" },
		{ { { 10, 50, 100, 0, 50 }, { 10, 60, 100, 100, 60 } }, 2, 75, 100, 10,
		  "not enough for min" },
		{ { { 10, 50, 100, 0, 50 }, { 10, 50, 100, 100, 50 } }, 2, 75, 100, 0,
		  "just enough for min" },
		{ { { 10, 50, 100, 0, 100 }, { 10, 50, 100, 100, 100 } }, 2, 75, 200, 0,
		  "just enough for max" },
		{ { { 10, 50, 100, 0, 100 }, { 10, 50, 100, 100, 100 } }, 2, 75, 900, 0,
		  "more than enough" },
		{ { { 10, 70, 70, 0, 70 }, { 10, 0, 100, 100, 30 } }, 2, 75, 100, 0,
		  "min is max" },
		{ { { 10, 0, 0, 0, 0 }, { 10, 0, 100, 100, 50 } }, 2, 75, 50, 0,
		  "a VM with nothing" },
		{ { { 10, 10, 100, 50, 60 } }, 1, 75, 60, 0,
		  "one VM" },
		{ { { 10, 10, 100, 50, 10 } }, 1, 75, 0, 10,
		  "one VM, and nothing" },
		{ { { 10, 0, 100, 50, 0 } }, 1, 75, 0, 0,
		  "one VM without min, and nothing" },
		{ { { 0, 0, 0, 0, 0 } }, 0, 75, 100, 0,
		  "no VM" },
		{ { { 0, 0, 0, 0, 0 } }, 0, 75, 0, 0,
		  "no VM, and nothing" },
		{ { { 1, 0, MOST, 0, 10 },
		    { MRM_SHARES_MAX, 0, MOST, MOST, MOST - 10 } }, 2, 99, MOST, 0,
		  "extremes, against the idle one" },
		{ { { 1, 0, MOST, MOST, 109951 },
		    { MRM_SHARES_MAX, 0, MOST, 0, MOST - 109951 } }, 2, 99, MOST, 0,
		  "extremes, against the busy one" },
		{ { { 1, MOST, MOST, 0, MOST }, { 1, MOST, MOST, MOST, MOST },
		    { 1, MOST, MOST, 0, MOST } }, 3, 99, 0, 3 * MOST,
		  "all missing" },
	};
	unsigned int i, v;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mrm_policy_vm vms[3];
		u64 missing;

		memcpy(vms, cases[i].vms, sizeof(vms));
		missing = mrm_policy_targets(vms, cases[i].n, cases[i].total, cases[i].tax);
		for (v = 0; v < cases[i].n; v++)
			tap_equal(vms[v].target, cases[i].vms[v].target, "policy: %s: VM %u of %u",
				  cases[i].what, v + 1, cases[i].n);
		tap_equal(missing, cases[i].missing, "policy: %s: missing", cases[i].what);
	}
}

/* Equal shares, tax 75, one VM with a active pages, one busy: P1 = (T + 3a) / 5. */
static void test_formula(void)
{
	unsigned int cases = 0, right = 0;
	u64 total, active;

	for (total = 1; total <= 2000; total += 7) {
		for (active = 0; active <= total / 2; active += 3) {
			struct mrm_policy_vm vms[] = {
				{ .shares = 7, .max = 4000, .active = active },
				{ .shares = 7, .max = 4000, .active = 4000 },
			};
			long off;

			mrm_policy_targets(vms, 2, total, 75);
			off = 5 * (long)vms[0].target - (long)(total + 3 * active);
			cases++;
			right += off > -5 && off < 5;
		}
	}
	tap_equal(right, cases, "policy: P1 = (T + 3a) / 5 to a page, for %u T and a", cases);
}

/* Two pages with equal ratios, and one with the nearest ratio that there can be. */
static void test_nearest(void)
{
	unsigned int right = 0, cases = 1000;
	u64 shares;

	for (shares = MRM_SHARES_MAX; shares > MRM_SHARES_MAX - cases; shares--) {
		struct mrm_policy_vm vms[] = {
			{ .shares = shares, .max = 1, .active = 1 },
			{ .shares = shares, .max = 1, .active = 1 },
			{ .shares = shares - 1, .max = 1, .active = 1 },
		};
		bool good;

		mrm_policy_targets(vms, 3, 2, 99);
		good = vms[0].target && vms[1].target;
		mrm_policy_targets(vms, 3, 1, 99);
		right += good && vms[1].target;
	}
	tap_equal(right, cases, "policy: %u ratios as near to each other as can be", cases);
}

/* A page more for all takes none from anybody, whoever may be tied. */
static void test_monotonic(void)
{
	unsigned int i, v, fell = 0;

	for (i = 0; i < 100; i++) {
		struct division d = { .n = draw(2, VMS_MAX), .tax = draw_tax() }, before;
		u64 most;

		if (i % 2)
			draw_ties(&d);
		else
			draw_small(&d);
		most = sum_of_max(&d);
		d.total = 0;
		mrm_policy_targets(d.vms, d.n, 0, d.tax);
		while (d.total++ < most) {
			before = d;
			mrm_policy_targets(d.vms, d.n, d.total, d.tax);
			for (v = 0; v < d.n; v++)
				fell += d.vms[v].target < before.vms[v].target;
		}
	}
	tap_equal(fell, 0, "policy: with more to divide, nobody gets less");
}

/**
 * test_policy() - targets
 */
void test_policy(void)
{
	test_known();
	test_formula();
	test_nearest();
	test_rule();
	test_checks();
	test_any(0, 10);
	test_any(1, 1000);
	test_any(2, 10000);
	test_any(7, 10000);
	test_any(100, 200);
	test_any(10000, 3);
	test_monotonic();
}
