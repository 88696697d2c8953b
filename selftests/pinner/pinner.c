// SPDX-License-Identifier: GPL-2.0
/*
 * Pins a page of the process that loads this module for long, and only to be read, as RDMA does
 * with memory that is registered without a right to write to it.  "value" is what whoever pinned
 * it reads there.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

static unsigned long address;
module_param(address, ulong, 0400);

static struct page *page;
static struct mm_struct *mm;

static int read_value(char *buffer, const struct kernel_param *kp)
{
	u64 value;

	if (!page)
		return -ENXIO;
	memcpy_from_page((char *)&value, page, 0, sizeof(value));
	return sysfs_emit(buffer, "%llu\n", value);
}

static const struct kernel_param_ops value_ops = {
	.get = read_value,
};
module_param_cb(value, &value_ops, NULL, 0400);

static int __init pinner_init(void)
{
	int pinned;

	mm = current->mm;
	mmgrab(mm);
	atomic64_inc(&mm->pinned_vm);
	pinned = pin_user_pages_fast(address, 1, FOLL_LONGTERM, &page);
	if (pinned == 1)
		return 0;
	atomic64_dec(&mm->pinned_vm);
	mmdrop(mm);
	return pinned < 0 ? pinned : -EFAULT;
}
module_init(pinner_init);

static void __exit pinner_exit(void)
{
	unpin_user_page(page);
	atomic64_dec(&mm->pinned_vm);
	mmdrop(mm);
}
module_exit(pinner_exit);

MODULE_DESCRIPTION("A page is pinned to be read");
MODULE_LICENSE("GPL");
