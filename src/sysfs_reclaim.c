// SPDX-License-Identifier: GPL-2.0
/* Memory that is taken without the guests' help: the files of the host and of a VM. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "balance.h"
#include "swap.h"
#include "sysfs_attr.h"
#include "vm.h"
#include "zip.h"

MRM_TUNABLE(zip_max, mrm_zip_max, 0, MRM_ZIP_MAX_MAX, "per cent (0: nothing is zipped)",
	    mrm_balance_wake);

static ssize_t zip_algorithm_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", mrm_zip_algorithm());
}

static ssize_t zip_algorithm_store(struct kobject *kobj, struct kobj_attribute *attr,
				   const char *buf, size_t n)
{
	int err = mrm_zip_set_algorithm(buf);

	if (err == -EINVAL)
		pr_warn_ratelimited("%s/zip_algorithm: \"%*pE\" is not lz4 or zstd\n",
				    kobject_name(kobj), (int)min_t(size_t, n, 32), buf);
	return err ?: n;
}

static struct kobj_attribute zip_algorithm = __ATTR_RW(zip_algorithm);

MRM_HOST_COUNTER(zipped_pages, MRM_ZIPPED);
MRM_HOST_COUNTER(zip_bytes, MRM_ZIPPED_BYTES);
MRM_HOST_VALUE(zip_frames, "%lu", mrm_zip_frames());
MRM_HOST_COUNTER(zips, MRM_ZIPS);
MRM_HOST_COUNTER(unzips, MRM_UNZIPS);
MRM_HOST_COUNTER(zip_misfits, MRM_MISFITS);
MRM_HOST_COUNTER(swapped_pages, MRM_SWAPPED);
MRM_HOST_COUNTER(swap_cached_pages, MRM_SWAP_CACHED);
MRM_HOST_COUNTER(swap_outs, MRM_SWAP_OUTS);
MRM_HOST_COUNTER(swap_kept, MRM_SWAP_KEPT);
MRM_HOST_COUNTER(swap_ins, MRM_SWAP_INS);
MRM_HOST_COUNTER(swap_aheads, MRM_SWAP_AHEADS);
MRM_HOST_COUNTER(read_errors, MRM_READ_ERRORS);
MRM_HOST_COUNTER(reclaimed_bytes, MRM_RECLAIMED_BYTES);

static struct attribute *host_attrs[] = {
	&tunable_zip_max.attr.attr,
	&zip_algorithm.attr,
	&host_zipped_pages.attr,
	&host_zip_bytes.attr,
	&host_zip_frames.attr,
	&host_zips.attr,
	&host_unzips.attr,
	&host_zip_misfits.attr,
	&host_swapped_pages.attr,
	&host_swap_cached_pages.attr,
	&host_swap_outs.attr,
	&host_swap_kept.attr,
	&host_swap_ins.attr,
	&host_swap_aheads.attr,
	&host_read_errors.attr,
	&host_reclaimed_bytes.attr,
	NULL
};

const struct attribute_group mrm_reclaim_host_group = {
	.attrs = host_attrs,
};

static ssize_t vm_swap_file_show(struct mrm_vm *vm, const struct mrm_vm_attr *attr, char *buf)
{
	return mrm_swap_show(vm, buf);
}

static ssize_t vm_swap_file_store(struct mrm_vm *vm, const char *buf, size_t n)
{
	unsigned long fd;
	int err;

	if (mrm_attr_parse(buf, 0, INT_MAX, &fd))
		return mrm_attr_refuse(&vm->kobj, "swap_file", buf, n, 0, INT_MAX,
				       "(a file descriptor)");
	err = mrm_swap_open(vm, fd);
	if (err == -EBUSY)
		pr_warn_ratelimited("%s/swap_file: it has another one, or the file is another VM's\n",
				    kobject_name(&vm->kobj));
	mrm_balance_wake();
	return err ?: n;
}

MRM_VM_ATTR(swap_file, 0600, vm_swap_file_show, vm_swap_file_store);
MRM_VM_VALUE(swap_free_pages, "%lu", mrm_swap_free_slots(vm));
MRM_VM_VALUE(swap_bad_pages, "%lu", mrm_swap_bad_slots(vm));
MRM_VM_COUNTER(swapped_pages, MRM_SWAPPED);
MRM_VM_COUNTER(swap_cached_pages, MRM_SWAP_CACHED);
MRM_VM_COUNTER(swap_outs, MRM_SWAP_OUTS);
MRM_VM_COUNTER(swap_kept, MRM_SWAP_KEPT);
MRM_VM_COUNTER(swap_ins, MRM_SWAP_INS);
MRM_VM_COUNTER(swap_aheads, MRM_SWAP_AHEADS);
MRM_VM_COUNTER(zipped_pages, MRM_ZIPPED);
MRM_VM_COUNTER(zip_bytes, MRM_ZIPPED_BYTES);
MRM_VM_COUNTER(zips, MRM_ZIPS);
MRM_VM_COUNTER(unzips, MRM_UNZIPS);
MRM_VM_COUNTER(zip_misfits, MRM_MISFITS);
MRM_VM_VALUE(blocked_vcpus, "%d", atomic_read(&vm->blocked));
MRM_VM_COUNTER(blocks, MRM_BLOCKS);
MRM_VM_COUNTER(read_errors, MRM_READ_ERRORS);
MRM_VM_COUNTER(reclaimed_bytes, MRM_RECLAIMED_BYTES);

static struct attribute *vm_attrs[] = {
	&vm_zipped_pages.attr,
	&vm_zip_bytes.attr,
	&vm_zips.attr,
	&vm_unzips.attr,
	&vm_zip_misfits.attr,
	&vm_swap_file.attr,
	&vm_swap_free_pages.attr,
	&vm_swap_bad_pages.attr,
	&vm_swapped_pages.attr,
	&vm_swap_cached_pages.attr,
	&vm_swap_outs.attr,
	&vm_swap_kept.attr,
	&vm_swap_ins.attr,
	&vm_swap_aheads.attr,
	&vm_blocked_vcpus.attr,
	&vm_blocks.attr,
	&vm_read_errors.attr,
	&vm_reclaimed_bytes.attr,
	NULL
};

const struct attribute_group mrm_reclaim_vm_group = {
	.attrs = vm_attrs,
};
