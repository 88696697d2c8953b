// SPDX-License-Identifier: GPL-2.0
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

#include "host_memory.h"

/* Of what could be given back the kernel takes half as available, or all above a watermark. */
static unsigned long not_available(unsigned long pages, unsigned long mark)
{
	return min(pages / 2, mark);
}

/*
 * What the kernel keeps besides, since it had to break blocks of pages up: up to one and a half
 * times as much as it always does, until kswapd has run (vm.watermark_boost_factor).  Less what
 * si_mem_available() knows of it: its watermarks, of the page cache and of slabs, are raised.
 */
static unsigned long boosted(void)
{
	unsigned long files, slabs, marks = 0, boost = 0, known;
	int node, i;

	for_each_online_node(node) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[i];

			marks += zone->_watermark[WMARK_LOW];
			boost += READ_ONCE(zone->watermark_boost);
		}
	}
	if (!boost)
		return 0;
	files = global_node_page_state(NR_ACTIVE_FILE) + global_node_page_state(NR_INACTIVE_FILE);
	slabs = global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
		global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
	known = not_available(files, marks + boost) - not_available(files, marks) +
		not_available(slabs, marks + boost) - not_available(slabs, marks);
	return boost > known ? boost - known : 0;
}

/**
 * mrm_host_available() - what the kernel has before anybody has to wait for memory
 *
 * Context: Any.
 * Return: pages; what it keeps for now is not there.
 */
unsigned long mrm_host_available(void)
{
	unsigned long available = max(si_mem_available(), 0L), kept = boosted();

	return available > kept ? available - kept : 0;
}

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
	m->free = mrm_host_available();
	m->total = totalram_pages();
	if (limit) {
		m->free = min(m->free, limit > used ? limit - used : 0);
		m->total = limit;
	}
	m->budget = used + m->free;
	if (limit)
		m->budget = min(m->budget, limit);
}
