// SPDX-License-Identifier: GPL-2.0
#include <linux/ctype.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "frame_table.h"
#include "reason.h"
#include "salt.h"
#include "scan.h"
#include "share.h"
#include "sharing.h"
#include "sysfs.h"
#include "vm.h"
#include "vm_events.h"

static struct kobject *root, *vm_root;

/**
 * struct tunable - a number an administrator may set
 * @attr: the file
 * @value: the number
 * @max: the largest allowed; the smallest is 0
 * @unit: for messages
 */
struct tunable {
	struct kobj_attribute attr;
	unsigned long *value;
	unsigned long max;
	const char *unit;
};

static ssize_t refuse(const struct kobject *kobj, const char *name, const char *buf, size_t n,
		      unsigned long max, const char *unit)
{
	/* What was written may be anything: show a little of it, escaped. */
	pr_warn_ratelimited("%s/%s: \"%*pE\" is not a number from 0 to %lu %s\n",
			    kobject_name(kobj), name, (int)min_t(size_t, n, 32), buf, max, unit);
	return -EINVAL;
}

static int parse(const char *buf, unsigned long max, unsigned long *value)
{
	int err = kstrtoul(buf, 10, value);

	return err ?: *value > max ? -ERANGE : 0;
}

static ssize_t tunable_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct tunable *t = container_of(attr, struct tunable, attr);

	return sysfs_emit(buf, "%lu\n", READ_ONCE(*t->value));
}

static ssize_t tunable_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			     size_t n)
{
	struct tunable *t = container_of(attr, struct tunable, attr);
	unsigned long value;

	if (parse(buf, t->max, &value))
		return refuse(kobj, attr->attr.name, buf, n, t->max, t->unit);
	WRITE_ONCE(*t->value, value);
	mrm_scan_wake();
	return n;
}

#define TUNABLE(_name, _value, _max, _unit)					\
	static struct tunable tunable_##_name = {				\
		.attr = __ATTR(_name, 0644, tunable_show, tunable_store),	\
		.value = &(_value),						\
		.max = _max,							\
		.unit = _unit,							\
	}

TUNABLE(share_scan_time, mrm_scan_tunables.scan_time, MRM_SCAN_TIME_MAX, "seconds");
TUNABLE(share_rate_max, mrm_scan_tunables.rate_max, MRM_SCAN_RATE_MAX, "pages/s");
TUNABLE(share_cpu_max, mrm_scan_tunables.cpu_max, MRM_SCAN_CPU_MAX, "per cent");

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

	if (parse(buf, MRM_SALT_FORCE, &mode))
		return refuse(kobj, attr->attr.name, buf, n, MRM_SALT_FORCE, "(a mode)");
	err = mrm_share_set_force_salting(mode);
	return err ?: n;
}

static struct kobj_attribute share_force_salting = __ATTR_RW(share_force_salting);

static ssize_t share_scan_now_store(struct kobject *kobj, struct kobj_attribute *attr,
				    const char *buf, size_t n)
{
	unsigned long value;
	int err;

	if (parse(buf, 1, &value) || !value)
		return refuse(kobj, attr->attr.name, buf, n, 1, "(write 1)");
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

/* A read-only file of the host whose value is an expression. */
#define HOST_VALUE(_name, _fmt, _expr)							\
	static ssize_t _name##_show(struct kobject *kobj, struct kobj_attribute *attr,	\
				    char *buf)						\
	{										\
		return sysfs_emit(buf, _fmt "\n", _expr);				\
	}										\
	static struct kobj_attribute host_##_name = __ATTR_RO(_name)

#define HOST_COUNTER(_name, _counter)	\
	HOST_VALUE(_name, "%ld", mrm_counter_read(&mrm_host_counters, _counter))

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

HOST_VALUE(vms, "%lu", mrm_nr_vms());
HOST_VALUE(adopted_bytes, "%lu", host_adopted_pages() << PAGE_SHIFT);
HOST_VALUE(resident_pages, "%ld", host_resident());
HOST_COUNTER(private_pages, MRM_PRIVATE);
HOST_COUNTER(shared_pages, MRM_SHARED);
HOST_VALUE(shared_frames, "%ld", mrm_shared_frames());
HOST_COUNTER(zero_pages, MRM_ZERO);
HOST_VALUE(zero_frames, "%ld", mrm_zero_frames());
HOST_VALUE(saved_pages, "%ld", host_saved());
HOST_COUNTER(scanned_pages, MRM_SCANNED);
HOST_COUNTER(hinted_pages, MRM_HINTED);
HOST_COUNTER(broken_pages, MRM_BROKEN);
HOST_COUNTER(ineligible_pages, MRM_INELIGIBLE);
HOST_COUNTER(discarded_pages, MRM_DISCARDED);
HOST_VALUE(full_scans, "%lu", mrm_scan_rounds());
HOST_VALUE(scan_cpu_ns, "%llu", mrm_scan_cpu_ns());

static ssize_t overhead_bytes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	ssize_t bytes = mrm_sharing_host_overhead();

	return bytes < 0 ? bytes : sysfs_emit(buf, "%zd\n", bytes);
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

/**
 * struct vm_attr - a file of a VM
 * @attr: the file
 * @counter: the counter it shows, where @show is vm_counter_show()
 * @show: shows it
 * @store: takes what was written
 */
struct vm_attr {
	struct attribute attr;
	enum mrm_counter counter;
	ssize_t (*show)(struct mrm_vm *vm, const struct vm_attr *attr, char *buf);
	ssize_t (*store)(struct mrm_vm *vm, const char *buf, size_t n);
};

#define VM_ATTR(_name, _mode, _show, _store)						\
	static struct vm_attr vm_##_name = {						\
		.attr = { .name = #_name, .mode = _mode },				\
		.show = _show,								\
		.store = _store,							\
	}

#define VM_VALUE(_name, _fmt, _expr)							\
	static ssize_t vm_##_name##_show(struct mrm_vm *vm, const struct vm_attr *attr,	\
					 char *buf)					\
	{										\
		return sysfs_emit(buf, _fmt "\n", _expr);				\
	}										\
	VM_ATTR(_name, 0444, vm_##_name##_show, NULL)

static ssize_t vm_counter_show(struct mrm_vm *vm, const struct vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", mrm_counter_read(&vm->counters, attr->counter));
}

#define VM_COUNTER(_name, _counter)							\
	static struct vm_attr vm_##_name = {						\
		.attr = { .name = #_name, .mode = 0444 },				\
		.counter = _counter,							\
		.show = vm_counter_show,						\
	}

/* What a walk finds, for which there may be no memory. */
#define VM_SHARING(_name, _member)							\
	static ssize_t vm_##_name##_show(struct mrm_vm *vm, const struct vm_attr *attr,	\
					 char *buf)					\
	{										\
		struct mrm_sharing s;							\
		int err = mrm_sharing_count(vm, &s);					\
											\
		return err ?: sysfs_emit(buf, "%lu\n", s._member);			\
	}										\
	VM_ATTR(_name, 0444, vm_##_name##_show, NULL)

static ssize_t vm_not_adopted_bytes_show(struct mrm_vm *vm, const struct vm_attr *attr, char *buf)
{
	enum mrm_reason reason;
	long pages = mrm_vm_not_adopted(vm, &reason);

	return pages < 0 ? pages : sysfs_emit(buf, "%lu\n", pages << PAGE_SHIFT);
}

static ssize_t vm_not_adopted_reason_show(struct mrm_vm *vm, const struct vm_attr *attr, char *buf)
{
	enum mrm_reason reason;
	long pages = mrm_vm_not_adopted(vm, &reason);

	return pages < 0 ? pages : sysfs_emit(buf, "%s\n", pages ? mrm_reason_words(reason) : "");
}

static ssize_t vm_share_show(struct mrm_vm *vm, const struct vm_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(vm->share));
}

static ssize_t vm_share_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	unsigned long value;
	int err;

	if (parse(buf, 1, &value))
		return refuse(&vm->kobj, "share", buf, n, 1, "(off or on)");
	err = mrm_share_set_enabled(vm, value);
	mrm_scan_wake();
	return err ?: n;
}

static ssize_t vm_salt_show(struct mrm_vm *vm, const struct vm_attr *attr, char *buf)
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

VM_VALUE(pid, "%d", vm->pid);
VM_VALUE(name, "%s", vm->name);
VM_VALUE(adopted_bytes, "%lu", atomic_long_read(&vm->adopted) << PAGE_SHIFT);
VM_ATTR(not_adopted_bytes, 0444, vm_not_adopted_bytes_show, NULL);
VM_ATTR(not_adopted_reason, 0444, vm_not_adopted_reason_show, NULL);
VM_VALUE(resident_pages, "%ld", mrm_vm_resident(vm));
VM_COUNTER(private_pages, MRM_PRIVATE);
VM_COUNTER(shared_pages, MRM_SHARED);
VM_COUNTER(zero_pages, MRM_ZERO);
VM_SHARING(saved_pages, saved);
VM_SHARING(saved_within_pages, saved_within);
VM_COUNTER(scanned_pages, MRM_SCANNED);
VM_COUNTER(hinted_pages, MRM_HINTED);
VM_COUNTER(broken_pages, MRM_BROKEN);
VM_COUNTER(ineligible_pages, MRM_INELIGIBLE);
VM_COUNTER(discarded_pages, MRM_DISCARDED);
VM_VALUE(full_scans, "%ld", atomic_long_read(&vm->full_scans));
VM_COUNTER(scan_cpu_ns, MRM_SCAN_NS);
VM_SHARING(overhead_bytes, overhead);
VM_VALUE(share_state, "%s", READ_ONCE(vm->share_state));
VM_ATTR(share, 0644, vm_share_show, vm_share_store);
VM_ATTR(salt, 0600, vm_salt_show, vm_salt_store);

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
ATTRIBUTE_GROUPS(vm);

static ssize_t vm_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct vm_attr *a = container_of(attr, struct vm_attr, attr);

	return a->show(container_of(kobj, struct mrm_vm, kobj), a, buf);
}

static ssize_t vm_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			     size_t n)
{
	struct vm_attr *a = container_of(attr, struct vm_attr, attr);

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

/* poll() on these files wakes when VMs come and go, and after each round. */
static void notify(const char *name)
{
	sysfs_notify(root, NULL, name);
}

static int vm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct mrm_vm *vm = data;

	if (event == MRM_VM_ADDED) {
		if (kobject_init_and_add(&vm->kobj, &vm_ktype, vm_root, "%s", vm->dir))
			pr_warn("VM %d (%s): no sysfs directory\n", vm->pid, vm->name);
	} else if (event == MRM_VM_REMOVED) {
		if (vm->kobj.state_in_sysfs)
			kobject_del(&vm->kobj);
		kobject_put(&vm->kobj);
		wait_for_completion(&vm->kobj_gone);
	}
	notify("vms");
	mrm_scan_wake();
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
	err = vm_root ? sysfs_create_group(root, &root_group) : -ENOMEM;
	if (err) {
		kobject_put(vm_root);
		kobject_put(root);
		return err;
	}
	mrm_vm_register_notifier(&vm_nb);
	mrm_scan_on_round(round_complete);
	return 0;
}

/**
 * mrm_sysfs_exit() - remove the files; after the last VM is gone
 */
void mrm_sysfs_exit(void)
{
	mrm_scan_on_round(NULL);
	mrm_vm_unregister_notifier(&vm_nb);
	sysfs_remove_group(root, &root_group);
	kobject_put(vm_root);
	kobject_put(root);
}
