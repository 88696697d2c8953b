/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Policy
 *
 * Who gets memory: numbers in, numbers out.  No locks, no allocation, no kernel
 * structures, integers only; the caller takes one consistent look at its VMs
 * and passes it.  Compiled into the user-space tests as well.
 *
 * Memory is counted in pages of 4 KiB.  No quantity of one VM, nor shares times
 * it, overflows while pages are up to 2^40 and shares up to 10^9.
 *
 * Contracts are not checked here: who reads numbers from an administrator
 * refuses those that are out of range.
 */
#ifndef MRM_POLICY_H
#define MRM_POLICY_H

#include "scan_order.h"		/* u64 in kernel and user space */

#define MRM_SHARES_MAX		1000000000UL
#define MRM_POLICY_PAGES_MAX	0x10000000000ULL	/* 2^40 */

/**
 * struct mrm_policy_vm - what a VM's target depends on
 * @shares: 1 to MRM_SHARES_MAX
 * @min: pages it keeps whatever happens
 * @max: pages it gets while there is enough, at least @min
 * @active: pages it is estimated to use; may be above @max
 * @target: result: pages it should have, @min to @max
 *
 * Pages are up to MRM_POLICY_PAGES_MAX each.
 */
struct mrm_policy_vm {
	u64 shares;
	u64 min;
	u64 max;
	u64 active;
	u64 target;
};

/**
 * enum mrm_state - how short the host is of memory (Waldspurger 2002, 6.3)
 * @MRM_HIGH: enough, nothing is reclaimed
 * @MRM_CLEAR: large frames are broken, so that what is in them can be shared (ESXi 6)
 * @MRM_SOFT: reclaimed by ballooning
 * @MRM_HARD: reclaimed without the guests' help
 * @MRM_LOW: and VMs above their target wait
 */
enum mrm_state { MRM_HIGH, MRM_CLEAR, MRM_SOFT, MRM_HARD, MRM_LOW };

/**
 * struct mrm_balloon - what a VM's balloon depends on
 * @size: pages of guest RAM
 * @max: pages the VM may have at the most, up to @size
 * @target: pages it should have, from its min to @max
 * @floor: pages a guest survives on
 * @consumed: pages it has: guest pages that hold something, less all that
 *	sharing saves
 * @saved: pages that sharing saves, but for zero pages
 * @held: pages in the balloon now
 * @percent: of @size that may be in the balloon, 0 to 99
 * @reclaiming: the state is below clear
 */
struct mrm_balloon {
	u64 size;
	u64 max;
	u64 target;
	u64 floor;
	u64 consumed;
	u64 saved;
	u64 held;
	unsigned int percent;
	bool reclaiming;
};

/**
 * struct mrm_take - what is to be taken from a VM without its help depends on
 * @consumed: pages it has
 * @target: pages it should have
 * @max: pages it may have at the most
 * @balloons: its balloon follows, and is not full
 * @state: of the host
 */
struct mrm_take {
	u64 consumed;
	u64 target;
	u64 max;
	bool balloons;
	enum mrm_state state;
};

u64 mrm_policy_targets(struct mrm_policy_vm *vms, unsigned int n, u64 total,
		       unsigned int idle_tax);
u64 mrm_policy_min_free(u64 budget, unsigned int percent);
enum mrm_state mrm_policy_state(enum mrm_state state, u64 free, u64 min_free);
u64 mrm_policy_threshold(enum mrm_state state, u64 min_free);
u64 mrm_policy_relief(enum mrm_state state, u64 min_free);
u64 mrm_policy_balloon(const struct mrm_balloon *b);
u64 mrm_policy_balloon_limit(const struct mrm_balloon *b);
u64 mrm_policy_take(const struct mrm_take *t);

#endif
