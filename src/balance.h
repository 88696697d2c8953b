/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Who gets how much memory (Waldspurger 2002, 5 and 6.3)
 *
 * Every balance_period, and at once when a parameter was changed, a VM came,
 * grew or went, or free memory crossed a threshold, all VMs get new targets:
 * what they should have of the machine's memory.  The arithmetic is in policy.c;
 * here its numbers are gathered, and what it says is kept.
 *
 * A VM is taken to want what it has, what its balloon holds and some room to
 * grow; memory that nobody is about to use is not kept for him while others need
 * it.  So targets add up to all there is but the minimum that stays free.
 *
 * One lock, the balance lock, protects the tunables and what is kept for each
 * VM.  A change of a tunable wakes the thread; readers see the last numbers.
 */
#ifndef MRM_BALANCE_H
#define MRM_BALANCE_H

#include <linux/mutex.h>
#include <linux/types.h>

#include "policy.h"

struct mrm_vm;

#define MRM_SHARES_HIGH		20	/* a MB of the VM's size, as in ESX */
#define MRM_SHARES_NORMAL	10
#define MRM_SHARES_LOW		5
#define MRM_IDLE_TAX_MAX	99	/* per cent */
#define MRM_BALANCE_PERIOD_MAX	3600	/* s */
#define MRM_MIN_FREE_MAX	50	/* per cent */
#define MRM_BALLOON_MAX_MAX	99	/* per cent */
#define MRM_LIMIT_LEAST		(64UL << 20)	/* bytes */

/**
 * struct mrm_balance_tunables - what an administrator may set
 * @idle_tax: part of its idle memory that may be taken from a VM, per cent
 * @period: seconds between rebalances
 * @min_free: memory that stays free, per cent of all; 0 is ESX's sliding scale
 * @balloon_max: the most a balloon may hold, per cent of a VM's size
 * @limit: the most that VMs may use, pages; 0 is what the host has
 */
struct mrm_balance_tunables {
	unsigned long idle_tax;
	unsigned long period;
	unsigned long min_free;
	unsigned long balloon_max;
	unsigned long limit;
};

/**
 * struct mrm_balance_host - the last numbers of the host, in pages
 * @budget: what VMs may use, used or not
 * @free: what is left of it
 * @min_free: the threshold of the state high
 * @unreserved: may be promised as the min of more VMs
 * @size: of all VMs
 * @state: of the host
 * @balances: rebalances so far
 */
struct mrm_balance_host {
	unsigned long budget;
	unsigned long free;
	unsigned long min_free;
	unsigned long unreserved;
	unsigned long size;
	enum mrm_state state;
	unsigned long balances;
};

extern struct mrm_balance_tunables mrm_balance_tunables;
extern struct mutex mrm_balance_lock;

void mrm_balance_wake(void);
void mrm_balance_look(void);
void mrm_balance_host(struct mrm_balance_host *host);
void mrm_balance_on_change(void (*fn)(bool state, bool targets));
bool mrm_balance_reserve(unsigned long pages);

unsigned long mrm_balance_shares(const struct mrm_vm *vm);
void mrm_balance_set_shares(struct mrm_vm *vm, unsigned long shares, unsigned int per_mb);
int mrm_balance_set_min(struct mrm_vm *vm, unsigned long pages);
int mrm_balance_set_max(struct mrm_vm *vm, unsigned long pages);
int mrm_balance_set_balloon(struct mrm_vm *vm, unsigned long pages);
int mrm_balance_set_balloon_state(struct mrm_vm *vm, const char *word);
const char *mrm_balance_balloon_word(const struct mrm_vm *vm);

int mrm_balance_init(void);
void mrm_balance_exit(void);

#endif
