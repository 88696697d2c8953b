// SPDX-License-Identifier: GPL-2.0
/* Guest pages of 2 MiB: the files of the host and of a VM. */
#include <linux/mm.h>

#include "large.h"
#include "sysfs_attr.h"
#include "vm.h"

static unsigned long bytes_of(const struct mrm_counters *counters, enum mrm_counter parts)
{
	return max(mrm_counter_read(counters, parts), 0L) * PAGE_SIZE;
}

MRM_TUNABLE(alloc_guest_large_page, mrm_large_tunables.enabled, 0, 1, "(off or on)",
	    mrm_large_changed);
MRM_TUNABLE(large_break_pct, mrm_large_tunables.break_pct, 1, 100, "per cent", mrm_large_changed);
MRM_TUNABLE(large_rebuild_rate, mrm_large_tunables.rebuild_rate, 0, MRM_LARGE_REBUILD_MAX,
	    "large pages a second (0: none)", mrm_large_changed);

MRM_HOST_COUNTER(large_pages, MRM_LARGE);
MRM_HOST_COUNTER(large_pages_broken, MRM_LARGE_BROKEN);
MRM_HOST_COUNTER(large_pages_rebuilt, MRM_LARGE_REBUILT);
MRM_HOST_COUNTER(large_pages_failed, MRM_LARGE_FAILED);
MRM_HOST_VALUE(large_held_bytes, "%lu", bytes_of(&mrm_host_counters, MRM_LARGE_HELD));
MRM_HOST_VALUE(large_untouched_bytes, "%lu", bytes_of(&mrm_host_counters, MRM_LARGE_UNTOUCHED));

static struct attribute *host_attrs[] = {
	&tunable_alloc_guest_large_page.attr.attr,
	&tunable_large_break_pct.attr.attr,
	&tunable_large_rebuild_rate.attr.attr,
	&host_large_pages.attr,
	&host_large_pages_broken.attr,
	&host_large_pages_rebuilt.attr,
	&host_large_pages_failed.attr,
	&host_large_held_bytes.attr,
	&host_large_untouched_bytes.attr,
	NULL
};

const struct attribute_group mrm_large_host_group = {
	.attrs = host_attrs,
};

static ssize_t vm_alloc_guest_large_page_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr,
					      char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(vm->large));
}

static ssize_t vm_alloc_guest_large_page_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	unsigned long value;

	if (mrm_attr_parse(buf, 0, 1, &value))
		return mrm_attr_refuse(&vm->kobj, "alloc_guest_large_page", buf, n, 0, 1,
				       "(off or on)");
	WRITE_ONCE(vm->large, value);
	return n;
}

MRM_VM_ATTR(alloc_guest_large_page, 0644, vm_alloc_guest_large_page_show,
	    vm_alloc_guest_large_page_store);
MRM_VM_COUNTER(large_pages, MRM_LARGE);
MRM_VM_COUNTER(large_pages_broken, MRM_LARGE_BROKEN);
MRM_VM_COUNTER(large_pages_rebuilt, MRM_LARGE_REBUILT);
MRM_VM_COUNTER(large_pages_failed, MRM_LARGE_FAILED);
MRM_VM_VALUE(large_held_bytes, "%lu", bytes_of(&vm->counters, MRM_LARGE_HELD));
MRM_VM_VALUE(large_untouched_bytes, "%lu", bytes_of(&vm->counters, MRM_LARGE_UNTOUCHED));

static struct attribute *vm_attrs[] = {
	&vm_alloc_guest_large_page.attr,
	&vm_large_pages.attr,
	&vm_large_pages_broken.attr,
	&vm_large_pages_rebuilt.attr,
	&vm_large_pages_failed.attr,
	&vm_large_held_bytes.attr,
	&vm_large_untouched_bytes.attr,
	NULL
};

const struct attribute_group mrm_large_vm_group = {
	.attrs = vm_attrs,
};
