/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SHARING_H
#define MRM_SHARING_H

#include <linux/types.h>

struct mrm_vm;

/**
 * struct mrm_sharing - what a VM's sharing saves, and what it costs us
 * @saved: guest pages saved: its shared guest pages less its part of the
 *	frames, each divided among the guest pages that name it
 * @saved_within: guest pages saved if it were alone: its shared guest pages
 *	less the different frames they name
 * @overhead: bytes of our metadata
 */
struct mrm_sharing {
	unsigned long saved;
	unsigned long saved_within;
	unsigned long overhead;
};

int mrm_sharing_count(struct mrm_vm *vm, struct mrm_sharing *out);
ssize_t mrm_sharing_overhead(void);

#endif
