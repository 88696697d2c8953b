// SPDX-License-Identifier: GPL-2.0
/*
 * How long it takes to decide on the targets of many VMs.  Reports and never
 * asserts; compiled without sanitizers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy.h"

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* VMs of up to 64 GiB; if they are equal, their pages have equal ratios, the worst case. */
static u64 fill(struct mrm_policy_vm *vms, unsigned int n, bool equal)
{
	u64 size, sum = 0;
	unsigned int i;

	srandom(1);
	for (i = 0; i < n; i++) {
		size = equal ? 1 << 20 : 1 << 18 | random() % (1 << 24);
		vms[i] = (struct mrm_policy_vm){
			.shares = size >> 8 << 1, .min = size / 8, .max = size,
			.active = equal ? size / 4 : random() % size,
		};
		sum += size;
	}
	return sum;
}

/* The best of several runs, on average from little memory to almost enough. */
static double best_us(struct mrm_policy_vm *vms, unsigned int n, bool equal)
{
	const unsigned int totals = 16;
	u64 sum = fill(vms, n, equal);
	double mean = 0, best = 0, us;
	unsigned int i, run;

	for (i = 0; i < totals; i++) {
		for (run = 0; run < 5 + 5000 / n; run++) {
			us = now_us();
			mrm_policy_targets(vms, n, sum * (i + 4) / (totals + 4) + 1, 75);
			us = now_us() - us;
			if (!run || us < best)
				best = us;
		}
		mean += best / totals;
	}
	return mean;
}

int main(void)
{
	static const char * const what[] = { "different", "equal" };
	struct mrm_policy_vm *vms = malloc(10000 * sizeof(*vms));
	unsigned int equal, n;
	double us, ten = 0;

	if (!vms)
		return 1;
	for (equal = 0; equal < 2; equal++) {
		for (n = 10; n <= 10000; n *= 10) {
			us = best_us(vms, n, equal);
			printf("# policy: %u VMs in %.0f us (%s ones)", n, us, what[equal]);
			if (n == 10)
				ten = us;
			else
				printf(", %.1f times as long as 10 (n log n: %.0f)", us / ten,
				       n / 10 * log10(n));
			printf("\n");
		}
	}
	free(vms);
	return 0;
}
