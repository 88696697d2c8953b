// SPDX-License-Identifier: GPL-2.0
#include <linux/minmax.h>
#include <linux/mm.h>

#include "host_memory.h"

/**
 * mrm_host_memory() - what VMs may use of the host
 * @used: what they use, pages
 * @limit: the most that they may use, pages; 0 is what the host has
 * @m: the answer
 *
 * What others use of the host counts in either case: memory that is not available
 * is not free, whatever the limit.
 *
 * Context: Any.
 */
void mrm_host_memory(unsigned long used, unsigned long limit, struct mrm_host_memory *m)
{
	m->free = max(si_mem_available(), 0L);
	m->total = totalram_pages();
	if (limit) {
		m->free = min(m->free, limit > used ? limit - used : 0);
		m->total = limit;
	}
	m->budget = used + m->free;
	if (limit)
		m->budget = min(m->budget, limit);
}
