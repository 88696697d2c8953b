/* SPDX-License-Identifier: GPL-2.0 */
/* What the host's files and a VM's have in common: numbers are read, or refused in words. */
#ifndef MRM_SYSFS_ATTR_H
#define MRM_SYSFS_ATTR_H

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/sysfs.h>

#include "counters.h"

struct mrm_vm;

/**
 * struct mrm_tunable - a number of the host an administrator may set
 * @attr: the file
 * @value: the number
 * @min: the smallest allowed
 * @max: the largest
 * @unit: for messages
 * @changed: called after a change
 */
struct mrm_tunable {
	struct kobj_attribute attr;
	unsigned long *value;
	unsigned long min;
	unsigned long max;
	const char *unit;
	void (*changed)(void);
};

ssize_t mrm_tunable_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf);
ssize_t mrm_tunable_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			  size_t n);

#define MRM_TUNABLE(_name, _value, _min, _max, _unit, _changed)					\
	static struct mrm_tunable tunable_##_name = {						\
		.attr = __ATTR(_name, 0644, mrm_tunable_show, mrm_tunable_store),		\
		.value = &(_value),								\
		.min = _min,									\
		.max = _max,									\
		.unit = _unit,									\
		.changed = _changed,								\
	}

/* A read-only file of the host whose value is an expression. */
#define MRM_HOST_VALUE(_name, _fmt, _expr)							\
	static ssize_t _name##_show(struct kobject *kobj, struct kobj_attribute *attr,		\
				    char *buf)							\
	{											\
		return sysfs_emit(buf, _fmt "\n", _expr);					\
	}											\
	static struct kobj_attribute host_##_name = __ATTR_RO(_name)

#define MRM_HOST_COUNTER(_name, _counter)	\
	MRM_HOST_VALUE(_name, "%ld", mrm_counter_read(&mrm_host_counters, _counter))

/**
 * struct mrm_vm_attr - a file of a VM
 * @attr: the file
 * @counter: the counter it shows, if it is one
 * @show: shows it
 * @store: takes what was written
 */
struct mrm_vm_attr {
	struct attribute attr;
	enum mrm_counter counter;
	ssize_t (*show)(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf);
	ssize_t (*store)(struct mrm_vm *vm, const char *buf, size_t n);
};

#define MRM_VM_ATTR(_name, _mode, _show, _store)						\
	static struct mrm_vm_attr vm_##_name = {						\
		.attr = { .name = #_name, .mode = _mode },					\
		.show = _show,									\
		.store = _store,								\
	}

#define MRM_VM_VALUE(_name, _fmt, _expr)							\
	static ssize_t vm_##_name##_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,	\
					 char *buf)						\
	{											\
		return sysfs_emit(buf, _fmt "\n", _expr);					\
	}											\
	MRM_VM_ATTR(_name, 0444, vm_##_name##_show, NULL)

#define MRM_VM_COUNTER(_name, _counter)								\
	static struct mrm_vm_attr vm_##_name = {						\
		.attr = { .name = #_name, .mode = 0444 },					\
		.counter = _counter,								\
		.show = mrm_vm_counter_show,							\
	}

/* Say in the log what was written to a file, and what it takes; returns -EINVAL. */
static inline ssize_t mrm_attr_refuse(const struct kobject *kobj, const char *name,
				      const char *buf, size_t n, unsigned long min,
				      unsigned long max, const char *unit)
{
	/* What was written may be anything: show a little of it, escaped. */
	pr_warn_ratelimited("%s/%s: \"%*pE\" is not a number from %lu to %lu %s\n",
			    kobject_name(kobj), name, (int)min_t(size_t, n, 32), buf, min, max,
			    unit);
	return -EINVAL;
}

/* A decimal number from @min to @max; returns 0 or an error. */
static inline int mrm_attr_parse(const char *buf, unsigned long min, unsigned long max,
				 unsigned long *value)
{
	int err = kstrtoul(buf, 10, value);

	return err ?: *value < min || *value > max ? -ERANGE : 0;
}

extern const struct attribute_group mrm_sample_host_group;
extern const struct attribute_group mrm_sample_vm_group;
extern const struct attribute_group mrm_balance_host_group;
extern const struct attribute_group mrm_balance_vm_group;

extern const struct attribute_group mrm_reclaim_host_group;
extern const struct attribute_group mrm_reclaim_vm_group;
extern const struct attribute_group mrm_large_host_group;
extern const struct attribute_group mrm_large_vm_group;
extern const struct attribute_group mrm_io_host_group;
extern const struct attribute_group mrm_io_vm_group;

ssize_t mrm_vm_counter_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf);
int mrm_sysfs_vm_add(struct mrm_vm *vm, struct kobject *parent);
void mrm_sysfs_vm_remove(struct mrm_vm *vm);

#endif
