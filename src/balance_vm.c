// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator, and the daemon that drives the balloons, say of one VM.
 */
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "balance.h"
#include "vm.h"
#include "vm_memory.h"

static const char *const balloon_words[] = {
	[MRM_BALLOON_NONE] = "none",
	[MRM_BALLOON_ABSENT] = "absent",
	[MRM_BALLOON_DRIVERLESS] = "driverless",
	[MRM_BALLOON_BOOTING] = "booting",
	[MRM_BALLOON_UNRESPONSIVE] = "unresponsive",
	[MRM_BALLOON_OK] = "ok",
};

/* It may have grown just now.  Context: the balance lock.  Return: 0 or -ENOMEM. */
static int update_size(struct mrm_vm *vm)
{
	struct mrm_vm_memory m;
	int err = mrm_vm_memory(vm, &m);

	if (!err)
		vm->balance.size = m.size;
	return err;
}

/**
 * mrm_balance_shares() - a VM's shares
 * @vm: the VM
 *
 * Context: Any.
 * Return: the number that was set, or that its size gives.
 */
unsigned long mrm_balance_shares(const struct mrm_vm *vm)
{
	const struct mrm_balance *b = &vm->balance;
	unsigned long mb = READ_ONCE(b->size) >> (20 - PAGE_SHIFT);
	unsigned int per_mb = READ_ONCE(b->shares_per_mb) ?: MRM_SHARES_NORMAL;

	return READ_ONCE(b->shares) ?: clamp(mb * per_mb, 1UL, MRM_SHARES_MAX);
}

/**
 * mrm_balance_set_shares() - set a VM's shares
 * @vm: the VM
 * @shares: a number up to MRM_SHARES_MAX, or 0: so many a MB of its size
 * @per_mb: that many
 *
 * Context: May sleep; takes the balance lock.
 */
void mrm_balance_set_shares(struct mrm_vm *vm, unsigned long shares, unsigned int per_mb)
{
	mutex_lock(&mrm_balance_lock);
	WRITE_ONCE(vm->balance.shares, shares);
	WRITE_ONCE(vm->balance.shares_per_mb, per_mb);
	mutex_unlock(&mrm_balance_lock);
	mrm_balance_wake();
}

/**
 * mrm_balance_set_min() - promise a VM memory
 * @vm: the VM
 * @pages: how much
 *
 * Context: May sleep; takes the balance lock.
 * Return: 0; -EINVAL if that is more than its max; -ENOSPC if it is more than is
 * not promised to others.
 */
int mrm_balance_set_min(struct mrm_vm *vm, unsigned long pages)
{
	struct mrm_balance *b = &vm->balance;
	int err;

	mutex_lock(&mrm_balance_lock);
	err = update_size(vm);
	if (!err && pages > (b->max ?: b->size))
		err = -EINVAL;
	else if (!err && pages > b->min && !mrm_balance_reserve(pages - b->min))
		err = -ENOSPC;
	else if (!err)
		b->min = pages;
	mutex_unlock(&mrm_balance_lock);
	mrm_balance_wake();
	return err;
}

/**
 * mrm_balance_set_max() - bound what a VM gets
 * @vm: the VM
 * @pages: the most; 0 is its size
 *
 * Context: May sleep; takes the balance lock.
 * Return: 0, or -EINVAL if it is below its min or above its size.
 */
int mrm_balance_set_max(struct mrm_vm *vm, unsigned long pages)
{
	struct mrm_balance *b = &vm->balance;
	int err;

	mutex_lock(&mrm_balance_lock);
	err = update_size(vm);
	if (!err && pages && (pages < b->min || pages > b->size))
		err = -EINVAL;
	if (!err)
		b->max = pages;
	mutex_unlock(&mrm_balance_lock);
	mrm_balance_wake();
	return err;
}

/* Its balloon grows, or somebody says that it follows.  Context: the balance lock. */
static void moves(struct mrm_balance *b)
{
	b->balloon_moved = jiffies;
	b->balloon_stuck = false;
}

/**
 * mrm_balance_set_balloon() - what a VM's balloon holds
 * @vm: the VM
 * @pages: how much
 *
 * Context: May sleep; takes the balance lock.
 * Return: 0, or -EINVAL if that is more than the VM has.
 */
int mrm_balance_set_balloon(struct mrm_vm *vm, unsigned long pages)
{
	int err;

	mutex_lock(&mrm_balance_lock);
	err = update_size(vm);
	if (!err && pages > vm->balance.size)
		err = -EINVAL;
	if (!err && pages > vm->balance.balloon)
		moves(&vm->balance);
	if (!err)
		vm->balance.balloon = pages;
	mutex_unlock(&mrm_balance_lock);
	return err;
}

/**
 * mrm_balance_set_balloon_state() - how a VM's balloon does
 * @vm: the VM
 * @word: one of the words of enum mrm_balloon_state, a newline may follow
 *
 * Context: May sleep; takes the balance lock.
 * Return: 0 or -EINVAL.
 */
int mrm_balance_set_balloon_state(struct mrm_vm *vm, const char *word)
{
	int state = __sysfs_match_string(balloon_words, ARRAY_SIZE(balloon_words), word);
	bool changed;

	if (state < 0)
		return state;
	mutex_lock(&mrm_balance_lock);
	changed = vm->balance.balloon_state != state;
	WRITE_ONCE(vm->balance.balloon_state, state);
	if (state == MRM_BALLOON_OK)
		moves(&vm->balance);
	mutex_unlock(&mrm_balance_lock);
	/* What it does not give is to be taken, or what is taken it gives. */
	if (changed)
		mrm_balance_wake();
	return 0;
}

/**
 * mrm_balance_balloon_word() - how a VM's balloon does
 * @vm: the VM
 * Return: in a word.
 */
const char *mrm_balance_balloon_word(const struct mrm_vm *vm)
{
	return balloon_words[READ_ONCE(vm->balance.balloon_state)];
}
