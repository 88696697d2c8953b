// SPDX-License-Identifier: GPL-2.0
/* The files of a VM. */
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/kobject.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "reason.h"
#include "salt.h"
#include "scan.h"
#include "share.h"
#include "sharing.h"
#include "sysfs_attr.h"
#include "vm.h"

/**
 * mrm_vm_counter_show() - show a counter of a VM
 * @vm: the VM
 * @attr: of the file
 * @buf: a page
 * Return: bytes.
 */
ssize_t mrm_vm_counter_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", mrm_counter_read(&vm->counters, attr->counter));
}

/* What a walk finds, for which there may be no memory. */
#define VM_SHARING(_name, _member)							\
	static ssize_t vm_##_name##_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,	\
					 char *buf)					\
	{										\
		struct mrm_sharing s;							\
		int err = mrm_sharing_count(vm, &s);					\
											\
		return err ?: sysfs_emit(buf, "%lu\n", s._member);			\
	}										\
	MRM_VM_ATTR(_name, 0444, vm_##_name##_show, NULL)

static ssize_t vm_not_adopted_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,
					 char *buf)
{
	enum mrm_reason reason;
	long pages = mrm_vm_not_adopted(vm, &reason);

	return pages < 0 ? pages : sysfs_emit(buf, "%lu\n", pages << PAGE_SHIFT);
}

static ssize_t vm_not_adopted_reason_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,
					  char *buf)
{
	enum mrm_reason reason;
	long pages = mrm_vm_not_adopted(vm, &reason);

	return pages < 0 ? pages : sysfs_emit(buf, "%s\n", pages ? mrm_reason_words(reason) : "");
}

static ssize_t vm_share_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(vm->share));
}

static ssize_t vm_share_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	unsigned long value;
	int err;

	if (mrm_attr_parse(buf, 0, 1, &value))
		return mrm_attr_refuse(&vm->kobj, "share", buf, n, 0, 1, "(off or on)");
	err = mrm_share_set_enabled(vm, value);
	mrm_scan_wake();
	return err ?: n;
}

static ssize_t vm_salt_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return mrm_share_show_salt(vm, buf);
}

static ssize_t vm_salt_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	size_t len = n && buf[n - 1] == '\n' ? n - 1 : n, i;
	char text[MRM_SALT_MAX];
	int err;

	for (i = 0; i < len && len < MRM_SALT_MAX && isascii(buf[i]) && isprint(buf[i]); i++)
		text[i] = buf[i];
	if (i < len) {
		/* The salt is a secret: the log does not say what it was. */
		pr_warn_ratelimited("%s/salt: not 0 to %d printable characters (%zu given)\n",
				    kobject_name(&vm->kobj), MRM_SALT_MAX - 1, len);
		return -EINVAL;
	}
	text[len] = '\0';
	err = mrm_share_set_salt(vm, text);
	memzero_explicit(text, sizeof(text));
	return err ?: n;
}

MRM_VM_VALUE(pid, "%d", vm->pid);
MRM_VM_VALUE(name, "%s", vm->name);
MRM_VM_VALUE(adopted_bytes, "%lu", atomic_long_read(&vm->adopted) << PAGE_SHIFT);
MRM_VM_ATTR(not_adopted_bytes, 0444, vm_not_adopted_bytes_show, NULL);
MRM_VM_ATTR(not_adopted_reason, 0444, vm_not_adopted_reason_show, NULL);
MRM_VM_VALUE(resident_pages, "%ld", mrm_vm_resident(vm));
MRM_VM_COUNTER(private_pages, MRM_PRIVATE);
MRM_VM_COUNTER(shared_pages, MRM_SHARED);
MRM_VM_COUNTER(zero_pages, MRM_ZERO);
VM_SHARING(saved_pages, saved);
VM_SHARING(saved_within_pages, saved_within);
MRM_VM_COUNTER(scanned_pages, MRM_SCANNED);
MRM_VM_COUNTER(hinted_pages, MRM_HINTED);
MRM_VM_COUNTER(broken_pages, MRM_BROKEN);
MRM_VM_COUNTER(owned_pages, MRM_OWNED);
MRM_VM_COUNTER(ineligible_pages, MRM_INELIGIBLE);
MRM_VM_COUNTER(discarded_pages, MRM_DISCARDED);
MRM_VM_VALUE(full_scans, "%ld", atomic_long_read(&vm->full_scans));
MRM_VM_COUNTER(scan_cpu_ns, MRM_SCAN_NS);
VM_SHARING(overhead_bytes, overhead);
MRM_VM_VALUE(share_state, "%s", READ_ONCE(vm->share_state));
MRM_VM_ATTR(share, 0644, vm_share_show, vm_share_store);
MRM_VM_ATTR(salt, 0600, vm_salt_show, vm_salt_store);

static struct attribute *vm_attrs[] = {
	&vm_pid.attr,
	&vm_name.attr,
	&vm_adopted_bytes.attr,
	&vm_not_adopted_bytes.attr,
	&vm_not_adopted_reason.attr,
	&vm_resident_pages.attr,
	&vm_private_pages.attr,
	&vm_shared_pages.attr,
	&vm_zero_pages.attr,
	&vm_saved_pages.attr,
	&vm_saved_within_pages.attr,
	&vm_scanned_pages.attr,
	&vm_hinted_pages.attr,
	&vm_broken_pages.attr,
	&vm_owned_pages.attr,
	&vm_ineligible_pages.attr,
	&vm_discarded_pages.attr,
	&vm_full_scans.attr,
	&vm_scan_cpu_ns.attr,
	&vm_overhead_bytes.attr,
	&vm_share_state.attr,
	&vm_share.attr,
	&vm_salt.attr,
	NULL
};

static const struct attribute_group vm_group = {
	.attrs = vm_attrs,
};

static const struct attribute_group *vm_groups[] = {
	&vm_group,
	&mrm_sample_vm_group,
	&mrm_balance_vm_group,
	&mrm_reclaim_vm_group,
	&mrm_large_vm_group,
	&mrm_io_vm_group,
	NULL
};

static ssize_t vm_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct mrm_vm_attr *a = container_of(attr, struct mrm_vm_attr, attr);

	return a->show(container_of(kobj, struct mrm_vm, kobj), a, buf);
}

static ssize_t vm_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			     size_t n)
{
	struct mrm_vm_attr *a = container_of(attr, struct mrm_vm_attr, attr);

	return a->store ? a->store(container_of(kobj, struct mrm_vm, kobj), buf, n) : -EACCES;
}

static const struct sysfs_ops vm_sysfs_ops = {
	.show = vm_attr_show,
	.store = vm_attr_store,
};

static void vm_kobj_release(struct kobject *kobj)
{
	complete(&container_of(kobj, struct mrm_vm, kobj)->kobj_gone);
}

static const struct kobj_type vm_ktype = {
	.release = vm_kobj_release,
	.sysfs_ops = &vm_sysfs_ops,
	.default_groups = vm_groups,
};

/**
 * mrm_sysfs_vm_add() - make a VM's directory
 * @vm: the VM
 * @parent: the directory to put it in
 * Return: 0 or an error; mrm_sysfs_vm_remove() is due either way.
 */
int mrm_sysfs_vm_add(struct mrm_vm *vm, struct kobject *parent)
{
	return kobject_init_and_add(&vm->kobj, &vm_ktype, parent, "%s", vm->dir);
}

/**
 * mrm_sysfs_vm_remove() - remove it, and wait for whoever has a file of it open
 * @vm: the VM
 *
 * Context: May sleep.
 */
void mrm_sysfs_vm_remove(struct mrm_vm *vm)
{
	if (vm->kobj.state_in_sysfs)
		kobject_del(&vm->kobj);
	kobject_put(&vm->kobj);
	wait_for_completion(&vm->kobj_gone);
}
