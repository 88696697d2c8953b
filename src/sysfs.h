/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/kernel/mrm: tunables and counters, one value a file. */
#ifndef MRM_SYSFS_H
#define MRM_SYSFS_H

int mrm_sysfs_init(void);
void mrm_sysfs_exit(void);

#endif
