// SPDX-License-Identifier: GPL-2.0
/*
 * kvm_mrm: memory resource management for KVM.  This file starts and stops the
 * parts, in order; Documentation/ and the DOC comments in the headers say what
 * they are.
 */
#include <linux/module.h>

#include "adopt.h"
#include "balance.h"
#include "debugfs.h"
#include "discard.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_file.h"
#include "guest_swap.h"
#include "io.h"
#include "large.h"
#include "large_scan.h"
#include "pressure.h"
#include "reclaim.h"
#include "sample.h"
#include "scan.h"
#include "sysfs.h"
#include "vm.h"
#include "zip.h"

static int __init mrm_init(void)
{
	int err;

	mrm_frame_init();
	err = mrm_frame_table_init();
	if (err)
		return err;
	err = mrm_zip_init();
	if (err)
		goto table;
	err = mrm_guest_file_init();
	if (err)
		goto zip;
	err = mrm_sysfs_init();
	if (err)
		goto guest_file;
	mrm_debugfs_init();
	err = mrm_vm_init();
	if (err)
		goto debugfs;
	err = mrm_scan_init();
	if (err)
		goto vm;
	err = mrm_sample_init();
	if (err)
		goto scan;
	err = mrm_guest_swap_init();
	if (err)
		goto sample;
	err = mrm_reclaim_init();
	if (err)
		goto guest_swap;
	err = mrm_large_init();
	if (err)
		goto reclaim;
	err = mrm_io_init();
	if (err)
		goto large;
	err = mrm_balance_init();
	if (err)
		goto io;
	err = mrm_pressure_init();
	if (err)
		goto balance;
	err = mrm_discard_init();
	if (err)
		goto pressure;
	/* Last: from here on there are VMs. */
	err = mrm_adopt_init();
	if (err)
		goto discard;
	return 0;
discard:
	mrm_discard_exit();
pressure:
	mrm_pressure_exit();
balance:
	mrm_balance_exit();
io:
	mrm_io_exit();
large:
	mrm_large_exit();
reclaim:
	mrm_reclaim_exit();
guest_swap:
	mrm_guest_swap_exit();
sample:
	mrm_sample_exit();
scan:
	mrm_scan_exit();
	mrm_large_scan_forget();
vm:
	mrm_vm_exit();
debugfs:
	mrm_debugfs_exit();
	mrm_sysfs_exit();
guest_file:
	mrm_guest_file_exit();
zip:
	mrm_zip_exit();
table:
	mrm_frame_table_exit();
	return err;
}

static void __exit mrm_exit(void)
{
	mrm_adopt_exit();
	mrm_discard_exit();
	mrm_pressure_exit();
	mrm_balance_exit();
	mrm_io_exit();
	mrm_large_exit();
	mrm_reclaim_exit();
	mrm_guest_swap_exit();
	mrm_sample_exit();
	mrm_scan_exit();
	mrm_large_scan_forget();
	/* VMs are unlisted while sysfs and debugfs still can remove theirs. */
	mrm_vm_exit();
	mrm_debugfs_exit();
	mrm_sysfs_exit();
	mrm_guest_file_exit();
	mrm_zip_exit();
	mrm_frame_table_exit();
}

module_init(mrm_init);
module_exit(mrm_exit);

MODULE_DESCRIPTION("Memory resource management for KVM");
MODULE_LICENSE("GPL");
MODULE_VERSION(MRM_VERSION);
/* By symbol, too (kvm_get_kvm): kvm.ko cannot go while we have probes in it. */
MODULE_SOFTDEP("pre: kvm");
