// SPDX-License-Identifier: GPL-2.0
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#include "counters.h"
#include "frame.h"
#include "large_reserve.h"

static LIST_HEAD(pages);
static unsigned long nr_pages;
static DEFINE_SPINLOCK(lock);	/* protects both; a leaf */

static struct page *take(void)
{
	struct page *page;

	spin_lock(&lock);
	page = list_first_entry_or_null(&pages, struct page, lru);
	if (page) {
		list_del(&page->lru);
		nr_pages--;
	}
	spin_unlock(&lock);
	return page;
}

/**
 * mrm_large_reserve_give() - give a page of the reserve back to the kernel
 *
 * Context: Any but interrupts.
 * Return: false if there is none.
 */
bool mrm_large_reserve_give(void)
{
	struct page *page = take();

	if (page)
		__free_page(page);
	return page;
}

/**
 * mrm_large_reserve_fill() - have it full while there are large frames, and empty else
 *
 * Context: May sleep, but not for memory: what cannot be had now is had the next time.
 */
void mrm_large_reserve_fill(void)
{
	struct page *page;

	if (mrm_counter_read(&mrm_host_counters, MRM_LARGE) <= 0 &&
	    mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD) <= 0) {
		mrm_large_reserve_free();
		return;
	}
	while (READ_ONCE(nr_pages) < MRM_LARGE_PAGES) {
		page = alloc_page(GFP_NOWAIT | __GFP_HIGHMEM | __GFP_NOMEMALLOC | __GFP_NOWARN);
		if (!page)
			return;
		spin_lock(&lock);
		list_add(&page->lru, &pages);
		nr_pages++;
		spin_unlock(&lock);
	}
}

/**
 * mrm_large_reserve_free() - give all of it back
 */
void mrm_large_reserve_free(void)
{
	while (mrm_large_reserve_give())
		;
}

/**
 * mrm_large_reserve_bytes() - memory that is kept
 * Return: bytes.
 */
size_t mrm_large_reserve_bytes(void)
{
	return READ_ONCE(nr_pages) * PAGE_SIZE;
}
