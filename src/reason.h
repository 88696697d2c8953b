/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_REASON_H
#define MRM_REASON_H

/**
 * enum mrm_reason - why a piece of guest RAM was not adopted
 *
 * The words for each are in reason.c.
 *
 * @MRM_ADOPTED: it was
 * @MRM_TOO_SMALL: under 2 MiB: firmware and the like
 * @MRM_HUGETLB: the administrator gave it hugetlb pages
 * @MRM_FILE: memfd, as virtiofs and vhost-user need, or another file
 * @MRM_LOCKED: <locked/>
 * @MRM_POPULATED: something was written to it before it was a memory slot
 * @MRM_NUMA: mbind() was used on it
 * @MRM_USERFAULT: userfaultfd watches it
 * @MRM_DEVICE: a device's memory
 * @MRM_PROTECTED: not readable and writable
 * @MRM_GUEST_MEMFD: not in the process at all
 * @MRM_SEVERAL: not one private anonymous mapping
 * @MRM_LATE: it ran before the module was loaded
 * @MRM_NO_MEMORY: the host had no memory for the mapping
 * @MRM_NR_REASONS: how many there are
 */
enum mrm_reason {
	MRM_ADOPTED,
	MRM_TOO_SMALL,
	MRM_HUGETLB,
	MRM_FILE,
	MRM_LOCKED,
	MRM_POPULATED,
	MRM_NUMA,
	MRM_USERFAULT,
	MRM_DEVICE,
	MRM_PROTECTED,
	MRM_GUEST_MEMFD,
	MRM_SEVERAL,
	MRM_LATE,
	MRM_NO_MEMORY,
	MRM_NR_REASONS
};

const char *mrm_reason_words(enum mrm_reason reason);

#endif
