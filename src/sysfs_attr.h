/* SPDX-License-Identifier: GPL-2.0 */
/* What the host's files and a VM's have in common: numbers are read, or refused in words. */
#ifndef MRM_SYSFS_ATTR_H
#define MRM_SYSFS_ATTR_H

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/minmax.h>
#include <linux/printk.h>

struct mrm_vm;

/* Say in the log what was written to a file, and what it takes; returns -EINVAL. */
static inline ssize_t mrm_attr_refuse(const struct kobject *kobj, const char *name,
				      const char *buf, size_t n, unsigned long max,
				      const char *unit)
{
	/* What was written may be anything: show a little of it, escaped. */
	pr_warn_ratelimited("%s/%s: \"%*pE\" is not a number from 0 to %lu %s\n",
			    kobject_name(kobj), name, (int)min_t(size_t, n, 32), buf, max, unit);
	return -EINVAL;
}

/* A decimal number from 0 to @max; returns 0 or an error. */
static inline int mrm_attr_parse(const char *buf, unsigned long max, unsigned long *value)
{
	int err = kstrtoul(buf, 10, value);

	return err ?: *value > max ? -ERANGE : 0;
}

int mrm_sysfs_vm_add(struct mrm_vm *vm, struct kobject *parent);
void mrm_sysfs_vm_remove(struct mrm_vm *vm);

#endif
