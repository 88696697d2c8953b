// SPDX-License-Identifier: GPL-2.0
/* Hot I/O: the files of the host and of a VM. */
#include <linux/mm.h>

#include "bounce.h"
#include "io.h"
#include "sysfs_attr.h"
#include "vm.h"

MRM_TUNABLE(hot_io_threshold, mrm_io_tunables.threshold, 0, 1000000, "copies (0: off)",
	    mrm_io_changed);
MRM_TUNABLE(hot_io_period, mrm_io_tunables.period, 1, 3600, "seconds", mrm_io_changed);
MRM_TUNABLE(hot_io_max, mrm_io_tunables.max, 0, 4096, "MiB", mrm_io_changed);

MRM_HOST_COUNTER(io_bounces, MRM_BOUNCES);
MRM_HOST_COUNTER(io_bounced_bytes, MRM_BOUNCED_BYTES);
MRM_HOST_COUNTER(io_remapped_pages, MRM_REMAPPED);
MRM_HOST_COUNTER(io_returned_pages, MRM_RETURNED);
MRM_HOST_VALUE(io_low_bytes, "%lu", mrm_counter_read(&mrm_host_counters, MRM_HOT) * PAGE_SIZE);
MRM_HOST_VALUE(io_busy, "%lu", mrm_io_busy());
MRM_HOST_VALUE(io_refused, "%lu", mrm_io_refused());
MRM_HOST_VALUE(io_left, "%lu", mrm_io_left());
MRM_HOST_VALUE(io_missed, "%lu", mrm_bounces_missed());

static struct attribute *host_attrs[] = {
	&tunable_hot_io_threshold.attr.attr,
	&tunable_hot_io_period.attr.attr,
	&tunable_hot_io_max.attr.attr,
	&host_io_bounces.attr,
	&host_io_bounced_bytes.attr,
	&host_io_remapped_pages.attr,
	&host_io_returned_pages.attr,
	&host_io_low_bytes.attr,
	&host_io_busy.attr,
	&host_io_refused.attr,
	&host_io_left.attr,
	&host_io_missed.attr,
	NULL
};

const struct attribute_group mrm_io_host_group = {
	.attrs = host_attrs,
};

MRM_VM_COUNTER(io_bounces, MRM_BOUNCES);
MRM_VM_COUNTER(io_bounced_bytes, MRM_BOUNCED_BYTES);
MRM_VM_COUNTER(io_remapped_pages, MRM_REMAPPED);
MRM_VM_COUNTER(io_returned_pages, MRM_RETURNED);
MRM_VM_VALUE(io_low_bytes, "%lu", mrm_counter_read(&vm->counters, MRM_HOT) * PAGE_SIZE);

static struct attribute *vm_attrs[] = {
	&vm_io_bounces.attr,
	&vm_io_bounced_bytes.attr,
	&vm_io_remapped_pages.attr,
	&vm_io_returned_pages.attr,
	&vm_io_low_bytes.attr,
	NULL
};

const struct attribute_group mrm_io_vm_group = {
	.attrs = vm_attrs,
};
