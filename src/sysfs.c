// SPDX-License-Identifier: GPL-2.0
/* The host's files, and the directory of the VMs'. */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/sysfs.h>

#include "balance.h"
#include "frame_table.h"
#include "io.h"
#include "large_reserve.h"
#include "large_scan.h"
#include "salt.h"
#include "scan.h"
#include "share.h"
#include "sharing.h"
#include "sysfs.h"
#include "sysfs_attr.h"
#include "vm.h"
#include "vm_events.h"

static struct kobject *root, *vm_root;

/**
 * mrm_tunable_show() - show a tunable
 * @kobj: the host's directory
 * @attr: of a struct mrm_tunable
 * @buf: a page
 * Return: bytes.
 */
ssize_t mrm_tunable_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct mrm_tunable *t = container_of(attr, struct mrm_tunable, attr);

	return sysfs_emit(buf, "%lu\n", READ_ONCE(*t->value));
}

/**
 * mrm_tunable_store() - take what was written to a tunable
 * @kobj: the host's directory
 * @attr: of a struct mrm_tunable
 * @buf: what was written
 * @n: bytes
 * Return: @n, or -EINVAL: it is out of range, and the old value stays.
 */
ssize_t mrm_tunable_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			  size_t n)
{
	struct mrm_tunable *t = container_of(attr, struct mrm_tunable, attr);
	unsigned long value;

	if (mrm_attr_parse(buf, t->min, t->max, &value))
		return mrm_attr_refuse(kobj, attr->attr.name, buf, n, t->min, t->max, t->unit);
	WRITE_ONCE(*t->value, value);
	t->changed();
	return n;
}

#define SCAN_TUNABLE(_name, _value, _max, _unit)	\
	MRM_TUNABLE(_name, _value, 0, _max, _unit, mrm_scan_wake)

SCAN_TUNABLE(share_scan_time, mrm_scan_tunables.scan_time, MRM_SCAN_TIME_MAX, "seconds");
SCAN_TUNABLE(share_rate_max, mrm_scan_tunables.rate_max, MRM_SCAN_RATE_MAX, "pages/s");
SCAN_TUNABLE(share_cpu_max, mrm_scan_tunables.cpu_max, MRM_SCAN_CPU_MAX, "per cent");

static ssize_t share_force_salting_show(struct kobject *kobj, struct kobj_attribute *attr,
					char *buf)
{
	return sysfs_emit(buf, "%u\n", mrm_salt_mode());
}

static ssize_t share_force_salting_store(struct kobject *kobj, struct kobj_attribute *attr,
					 const char *buf, size_t n)
{
	unsigned long mode;
	int err;

	if (mrm_attr_parse(buf, 0, MRM_SALT_FORCE, &mode))
		return mrm_attr_refuse(kobj, attr->attr.name, buf, n, 0, MRM_SALT_FORCE,
				       "(a mode)");
	err = mrm_share_set_force_salting(mode);
	return err ?: n;
}

static struct kobj_attribute share_force_salting = __ATTR_RW(share_force_salting);

static ssize_t share_scan_now_store(struct kobject *kobj, struct kobj_attribute *attr,
				    const char *buf, size_t n)
{
	unsigned long value;
	int err;

	if (mrm_attr_parse(buf, 1, 1, &value))
		return mrm_attr_refuse(kobj, attr->attr.name, buf, n, 1, 1, "(write 1)");
	err = mrm_scan_now();
	if (err)
		pr_warn_ratelimited("share_scan_now: scanning is stopped, share_cpu_max is 0\n");
	return err ?: n;
}

static ssize_t share_scan_now_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", mrm_scan_pending());
}

static struct kobj_attribute share_scan_now = __ATTR_RW(share_scan_now);

static unsigned long host_adopted_pages(void)
{
	unsigned long id = 0, pages = 0;
	struct mrm_vm *vm;

	while ((vm = mrm_vm_next(&id))) {
		pages += atomic_long_read(&vm->adopted);
		mrm_vm_put(vm);
	}
	return pages;
}

static long host_resident(void)
{
	return mrm_counter_read(&mrm_host_counters, MRM_PRIVATE) +
	       mrm_counter_read(&mrm_host_counters, MRM_SHARED);
}

static long host_saved(void)
{
	return max(mrm_counter_read(&mrm_host_counters, MRM_SHARED) - mrm_shared_frames(), 0L);
}

MRM_HOST_VALUE(vms, "%lu", mrm_nr_vms());
MRM_HOST_VALUE(adopted_bytes, "%lu", host_adopted_pages() << PAGE_SHIFT);
MRM_HOST_VALUE(resident_pages, "%ld", host_resident());
MRM_HOST_COUNTER(private_pages, MRM_PRIVATE);
MRM_HOST_COUNTER(shared_pages, MRM_SHARED);
MRM_HOST_VALUE(shared_frames, "%ld", mrm_shared_frames());
MRM_HOST_COUNTER(zero_pages, MRM_ZERO);
MRM_HOST_VALUE(zero_frames, "%ld", mrm_zero_frames());
MRM_HOST_VALUE(saved_pages, "%ld", host_saved());
MRM_HOST_COUNTER(scanned_pages, MRM_SCANNED);
MRM_HOST_COUNTER(hinted_pages, MRM_HINTED);
MRM_HOST_COUNTER(broken_pages, MRM_BROKEN);
MRM_HOST_COUNTER(owned_pages, MRM_OWNED);
MRM_HOST_COUNTER(ineligible_pages, MRM_INELIGIBLE);
MRM_HOST_COUNTER(discarded_pages, MRM_DISCARDED);
MRM_HOST_VALUE(full_scans, "%lu", mrm_scan_rounds());
MRM_HOST_VALUE(scan_cpu_ns, "%llu", mrm_scan_cpu_ns());

static ssize_t overhead_bytes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	ssize_t bytes = mrm_sharing_overhead();

	if (bytes < 0)
		return bytes;
	bytes += mrm_frame_table_bytes() + mrm_large_scan_bytes() +
		 mrm_large_reserve_bytes() + mrm_io_bytes();
	return sysfs_emit(buf, "%zd\n", bytes);
}

static struct kobj_attribute host_overhead_bytes = __ATTR_RO(overhead_bytes);

static struct attribute *root_attrs[] = {
	&tunable_share_scan_time.attr.attr,
	&tunable_share_rate_max.attr.attr,
	&tunable_share_cpu_max.attr.attr,
	&share_force_salting.attr,
	&share_scan_now.attr,
	&host_vms.attr,
	&host_adopted_bytes.attr,
	&host_resident_pages.attr,
	&host_private_pages.attr,
	&host_shared_pages.attr,
	&host_shared_frames.attr,
	&host_zero_pages.attr,
	&host_zero_frames.attr,
	&host_saved_pages.attr,
	&host_scanned_pages.attr,
	&host_hinted_pages.attr,
	&host_broken_pages.attr,
	&host_owned_pages.attr,
	&host_ineligible_pages.attr,
	&host_discarded_pages.attr,
	&host_full_scans.attr,
	&host_scan_cpu_ns.attr,
	&host_overhead_bytes.attr,
	NULL
};

static const struct attribute_group root_group = {
	.attrs = root_attrs,
};

static const struct attribute_group *root_groups[] = {
	&root_group,
	&mrm_sample_host_group,
	&mrm_balance_host_group,
	&mrm_reclaim_host_group,
	&mrm_large_host_group,
	&mrm_io_host_group,
	NULL
};

/* poll() on these files wakes when VMs come and go, and after each round. */
static void notify(const char *name)
{
	sysfs_notify(root, NULL, name);
}

static int vm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct mrm_vm *vm = data;

	if (event == MRM_VM_ADDED) {
		if (mrm_sysfs_vm_add(vm, vm_root))
			pr_warn("VM %d (%s): no sysfs directory\n", vm->pid, vm->name);
	} else if (event == MRM_VM_REMOVED) {
		mrm_sysfs_vm_remove(vm);
	} else if (event == MRM_VM_RESIZED) {
		return NOTIFY_OK;
	}
	notify("vms");
	mrm_scan_wake();
	mrm_sample_wake();
	return NOTIFY_OK;
}

static struct notifier_block vm_nb = {
	.notifier_call = vm_event,
};

static void round_complete(void)
{
	notify("full_scans");
	notify("share_scan_now");
}

static void rebalanced(bool state, bool targets)
{
	if (targets)
		notify("balances");
	if (state)
		notify("state");
}

/**
 * mrm_sysfs_init() - make the files; before the first VM is listed
 * Return: 0 or an error.
 */
int mrm_sysfs_init(void)
{
	int err;

	root = kobject_create_and_add("mrm", kernel_kobj);
	if (!root)
		return -ENOMEM;
	vm_root = kobject_create_and_add("vm", root);
	err = vm_root ? sysfs_create_groups(root, root_groups) : -ENOMEM;
	if (err) {
		kobject_put(vm_root);
		kobject_put(root);
		return err;
	}
	mrm_vm_register_notifier(&vm_nb);
	mrm_scan_on_round(round_complete);
	mrm_balance_on_change(rebalanced);
	return 0;
}

/**
 * mrm_sysfs_exit() - remove the files; after the last VM is gone
 */
void mrm_sysfs_exit(void)
{
	mrm_balance_on_change(NULL);
	mrm_scan_on_round(NULL);
	mrm_vm_unregister_notifier(&vm_nb);
	sysfs_remove_groups(root, root_groups);
	kobject_put(vm_root);
	kobject_put(root);
}
