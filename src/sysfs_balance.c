// SPDX-License-Identifier: GPL-2.0
/* Who gets how much memory: the files of the host and of a VM. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/string.h>

#include "balance.h"
#include "sysfs_attr.h"
#include "vm.h"
#include "vm_memory.h"

#define BALANCE_TUNABLE(_name, _value, _min, _max, _unit)	\
	MRM_TUNABLE(_name, mrm_balance_tunables._value, _min, _max, _unit, mrm_balance_wake)

BALANCE_TUNABLE(idle_tax, idle_tax, 0, MRM_IDLE_TAX_MAX, "per cent");
BALANCE_TUNABLE(balance_period, period, 1, MRM_BALANCE_PERIOD_MAX, "seconds");
BALANCE_TUNABLE(min_free, min_free, 0, MRM_MIN_FREE_MAX, "per cent (0: by the host's size)");
BALANCE_TUNABLE(balloon_max, balloon_max, 0, MRM_BALLOON_MAX_MAX, "per cent");

static ssize_t limit_bytes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(mrm_balance_tunables.limit) << PAGE_SHIFT);
}

static ssize_t limit_bytes_store(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t n)
{
	unsigned long max = totalram_pages() << PAGE_SHIFT, bytes;

	if (mrm_attr_parse(buf, 0, max, &bytes) || (bytes && bytes < MRM_LIMIT_LEAST))
		return mrm_attr_refuse(kobj, attr->attr.name, buf, n, MRM_LIMIT_LEAST, max,
				       "bytes (0: what the host has)");
	WRITE_ONCE(mrm_balance_tunables.limit, bytes >> PAGE_SHIFT);
	mrm_balance_wake();
	return n;
}

static struct kobj_attribute limit_bytes = __ATTR_RW(limit_bytes);

static const char *const states[] = {
	[MRM_HIGH] = "high",
	[MRM_CLEAR] = "clear",
	[MRM_SOFT] = "soft",
	[MRM_HARD] = "hard",
	[MRM_LOW] = "low",
};

static struct mrm_balance_host host(void)
{
	struct mrm_balance_host h;

	mrm_balance_host(&h);
	return h;
}

static unsigned long overcommit_percent(void)
{
	struct mrm_balance_host h = host();

	return h.budget ? mult_frac(h.size, 100UL, h.budget) : 0;
}

MRM_HOST_VALUE(state, "%s", states[host().state]);
MRM_HOST_VALUE(free_bytes, "%lu", host().free << PAGE_SHIFT);
MRM_HOST_VALUE(min_free_bytes, "%lu", host().min_free << PAGE_SHIFT);
MRM_HOST_VALUE(budget_bytes, "%lu", host().budget << PAGE_SHIFT);
MRM_HOST_VALUE(unreserved_bytes, "%lu", host().unreserved << PAGE_SHIFT);
MRM_HOST_VALUE(balances, "%lu", host().balances);
MRM_HOST_VALUE(overcommit_percent, "%lu", overcommit_percent());

static struct attribute *host_attrs[] = {
	&tunable_idle_tax.attr.attr,
	&tunable_balance_period.attr.attr,
	&tunable_min_free.attr.attr,
	&tunable_balloon_max.attr.attr,
	&limit_bytes.attr,
	&host_state.attr,
	&host_free_bytes.attr,
	&host_min_free_bytes.attr,
	&host_budget_bytes.attr,
	&host_unreserved_bytes.attr,
	&host_balances.attr,
	&host_overcommit_percent.attr,
	NULL
};

const struct attribute_group mrm_balance_host_group = {
	.attrs = host_attrs,
};

static ssize_t vm_shares_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", mrm_balance_shares(vm));
}

static ssize_t vm_shares_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	static const char *const words[] = { "high", "normal", "low" };
	static const unsigned int per_mb[] = {
		MRM_SHARES_HIGH, MRM_SHARES_NORMAL, MRM_SHARES_LOW
	};
	int word = sysfs_match_string(words, buf);
	unsigned long shares;

	if (word >= 0) {
		mrm_balance_set_shares(vm, 0, per_mb[word]);
		return n;
	}
	if (mrm_attr_parse(buf, 1, MRM_SHARES_MAX, &shares))
		return mrm_attr_refuse(&vm->kobj, "shares", buf, n, 1, MRM_SHARES_MAX,
				       "or high, normal, low");
	mrm_balance_set_shares(vm, shares, 0);
	return n;
}

/* Bytes that were written to a file of a VM, up to a whole page, and what became of them. */
static ssize_t store_bytes(struct mrm_vm *vm, const char *name, const char *buf, size_t n,
			   int (*set)(struct mrm_vm *vm, unsigned long pages))
{
	unsigned long size = READ_ONCE(vm->balance.size) << PAGE_SHIFT, bytes;
	int err = mrm_attr_parse(buf, 0, LONG_MAX, &bytes) ? -EINVAL :
		  set(vm, PFN_UP(bytes));

	if (err == -ENOSPC)
		pr_warn_ratelimited("%s/%s: %lu bytes are more than is not promised to others\n",
				    kobject_name(&vm->kobj), name, bytes);
	else if (err)
		mrm_attr_refuse(&vm->kobj, name, buf, n, 0, size,
				"bytes with min_bytes <= max_bytes <= size_bytes");
	return err ?: n;
}

static ssize_t vm_min_bytes_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	return store_bytes(vm, "min_bytes", buf, n, mrm_balance_set_min);
}

static ssize_t vm_max_bytes_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	return store_bytes(vm, "max_bytes", buf, n, mrm_balance_set_max);
}

static ssize_t vm_balloon_bytes_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	return store_bytes(vm, "balloon_bytes", buf, n, mrm_balance_set_balloon);
}

static ssize_t vm_balloon_state_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", mrm_balance_balloon_word(vm));
}

static ssize_t vm_balloon_state_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	int err = mrm_balance_set_balloon_state(vm, buf);

	if (err)
		pr_warn_ratelimited("%s/balloon_state: \"%*pE\" is not none, absent, driverless, booting, unresponsive or ok\n",
				    kobject_name(&vm->kobj), (int)min_t(size_t, n, 32), buf);
	return err ?: n;
}

static ssize_t emit_pages(unsigned long pages, char *buf)
{
	return sysfs_emit(buf, "%lu\n", pages << PAGE_SHIFT);
}

static ssize_t vm_min_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return emit_pages(READ_ONCE(vm->balance.min), buf);
}

static ssize_t vm_balloon_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return emit_pages(READ_ONCE(vm->balance.balloon), buf);
}

/* What it has now, not when targets were last computed. */
static ssize_t vm_granted_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	struct mrm_vm_memory m;
	int err = mrm_vm_memory(vm, &m);

	return err ?: emit_pages(m.granted, buf);
}

static ssize_t vm_consumed_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	struct mrm_vm_memory m;
	int err = mrm_vm_memory(vm, &m);

	return err ?: emit_pages(m.consumed, buf);
}

static ssize_t vm_max_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return emit_pages(READ_ONCE(vm->balance.max) ?: READ_ONCE(vm->balance.size), buf);
}

MRM_VM_ATTR(shares, 0644, vm_shares_show, vm_shares_store);
MRM_VM_ATTR(min_bytes, 0644, vm_min_bytes_show, vm_min_bytes_store);
MRM_VM_ATTR(max_bytes, 0644, vm_max_bytes_show, vm_max_bytes_store);
MRM_VM_ATTR(balloon_bytes, 0644, vm_balloon_bytes_show, vm_balloon_bytes_store);
MRM_VM_ATTR(balloon_state, 0644, vm_balloon_state_show, vm_balloon_state_store);
MRM_VM_ATTR(granted_bytes, 0444, vm_granted_bytes_show, NULL);
MRM_VM_ATTR(consumed_bytes, 0444, vm_consumed_bytes_show, NULL);
MRM_VM_VALUE(target_bytes, "%lu", READ_ONCE(vm->balance.target) << PAGE_SHIFT);
MRM_VM_VALUE(balloon_target_bytes, "%lu", READ_ONCE(vm->balance.balloon_target) << PAGE_SHIFT);

static struct attribute *vm_attrs[] = {
	&vm_shares.attr,
	&vm_min_bytes.attr,
	&vm_max_bytes.attr,
	&vm_balloon_bytes.attr,
	&vm_balloon_state.attr,
	&vm_granted_bytes.attr,
	&vm_consumed_bytes.attr,
	&vm_target_bytes.attr,
	&vm_balloon_target_bytes.attr,
	NULL
};

const struct attribute_group mrm_balance_vm_group = {
	.attrs = vm_attrs,
};
