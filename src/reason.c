// SPDX-License-Identifier: GPL-2.0
#include "reason.h"

static const char * const words[MRM_NR_REASONS] = {
	[MRM_ADOPTED] = "adopted",
	[MRM_TOO_SMALL] = "smaller than 2 MiB",
	[MRM_HUGETLB] = "hugetlb pages",
	[MRM_FILE] = "memfd or another file",
	[MRM_LOCKED] = "locked in memory",
	[MRM_POPULATED] = "populated before KVM knew of it",
	[MRM_NUMA] = "bound to NUMA nodes",
	[MRM_USERFAULT] = "watched by userfaultfd",
	[MRM_DEVICE] = "device memory",
	[MRM_PROTECTED] = "not readable and writable",
	[MRM_GUEST_MEMFD] = "guest_memfd",
	[MRM_SEVERAL] = "not one private anonymous mapping",
	[MRM_LATE] = "started before the module",
	[MRM_NO_MEMORY] = "no memory to adopt it",
};

/**
 * mrm_reason_words() - why, in words
 * @reason: the reason
 * Return: a constant string.
 */
const char *mrm_reason_words(enum mrm_reason reason)
{
	return words[reason];
}
