// SPDX-License-Identifier: GPL-2.0
/* What VMs use: the files of the host and of a VM. */
#include <linux/mm.h>

#include "sample.h"
#include "sample_touch.h"
#include "sysfs_attr.h"
#include "vm.h"

#define SAMPLE_TUNABLE(_name, _value, _min, _max, _unit)	\
	MRM_TUNABLE(_name, mrm_sample_tunables._value, _min, _max, _unit, mrm_sample_wake)

SAMPLE_TUNABLE(sample_period, period, 0, MRM_SAMPLE_PERIOD_MAX, "seconds");
SAMPLE_TUNABLE(sample_pages, pages, 1, MRM_SAMPLE_PAGES_MAX, "guest pages");
SAMPLE_TUNABLE(sample_method, method, 0, MRM_TOUCH_DROPPED, "(a method)");
MRM_HOST_VALUE(sample_cpu_ns, "%llu", mrm_sample_cpu_ns());

static struct attribute *host_attrs[] = {
	&tunable_sample_period.attr.attr,
	&tunable_sample_pages.attr.attr,
	&tunable_sample_method.attr.attr,
	&host_sample_cpu_ns.attr,
	NULL
};

const struct attribute_group mrm_sample_host_group = {
	.attrs = host_attrs,
};

static ssize_t emit_pages(long pages, char *buf)
{
	return pages < 0 ? pages : sysfs_emit(buf, "%lu\n", pages << PAGE_SHIFT);
}

static ssize_t emit_fraction(struct mrm_vm *vm, u32 fraction, char *buf)
{
	long size = mrm_vm_size_pages(vm);

	return emit_pages(size < 0 ? size : (long)mrm_estimate_pages(fraction, size), buf);
}

static ssize_t vm_size_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return emit_pages(mrm_vm_size_pages(vm), buf);
}

static ssize_t vm_active_bytes_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return emit_pages(mrm_sample_active_pages(vm), buf);
}

#define VM_FRACTION(_name, _member)								\
	static ssize_t vm_##_name##_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,	\
					 char *buf)						\
	{											\
		return emit_fraction(vm, READ_ONCE(vm->sample._member), buf);			\
	}											\
	MRM_VM_ATTR(_name, 0444, vm_##_name##_show, NULL)

MRM_VM_ATTR(size_bytes, 0444, vm_size_bytes_show, NULL);
MRM_VM_ATTR(active_bytes, 0444, vm_active_bytes_show, NULL);
VM_FRACTION(active_slow_bytes, slow);
VM_FRACTION(active_fast_bytes, fast);
VM_FRACTION(touched_bytes, touched);
MRM_VM_VALUE(samples, "%ld", mrm_counter_read(&vm->counters, MRM_SAMPLES));
MRM_VM_VALUE(sample_faults, "%ld", mrm_counter_read(&vm->counters, MRM_SAMPLE_FAULTS));
MRM_VM_VALUE(running_ns, "%llu", READ_ONCE(vm->sample.running_ns));

static struct attribute *vm_attrs[] = {
	&vm_size_bytes.attr,
	&vm_active_bytes.attr,
	&vm_active_slow_bytes.attr,
	&vm_active_fast_bytes.attr,
	&vm_touched_bytes.attr,
	&vm_samples.attr,
	&vm_sample_faults.attr,
	&vm_running_ns.attr,
	NULL
};

const struct attribute_group mrm_sample_vm_group = {
	.attrs = vm_attrs,
};
