/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_HOST_MEMORY_H
#define MRM_HOST_MEMORY_H

/**
 * struct mrm_host_memory - what VMs may use of the host, in pages of 4 KiB
 * @budget: all of it, used or not
 * @free: what is left of it
 * @total: what the thresholds of the states are a part of: the host's memory, or
 *	the limit; unlike @budget it does not change with what others use
 */
struct mrm_host_memory {
	unsigned long budget;
	unsigned long free;
	unsigned long total;
};

unsigned long mrm_host_available(void);
void mrm_host_memory(unsigned long used, unsigned long limit, struct mrm_host_memory *m);

#endif
