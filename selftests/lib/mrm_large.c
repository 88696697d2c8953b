// SPDX-License-Identifier: GPL-2.0
/* Tests that are not about large pages, with these (MRM_LARGE). */
#include <stdlib.h>

#include "mrm.h"
#include "pattern.h"
#include "setting.h"
#include "vm.h"

#define LARGE_PAGES	(HUGE_SIZE / PAGE_SIZE)
#define SETTLE_MS	(MRM_LONG / 10)
#define MOST_PASSES	20

/**
 * mrm_large() - do guest pages get large frames, in a test that is not about these?
 *
 * While memory is plentiful, and there are any; each of the test's VMs.
 *
 * Return: true if MRM_LARGE says so.
 */
bool mrm_large(void)
{
	return setting("MRM_LARGE", 0);
}

/**
 * mrm_without_large() - this test has frames of 4 KiB, whatever MRM_LARGE says
 *
 * Before mrm_begin().
 */
void mrm_without_large(void)
{
	unsetenv("MRM_LARGE");
}

/**
 * mrm_touched_pages() - guest pages that have a frame when some were touched first
 * @first: the first that was touched
 * @count: how many
 *
 * Of RAM that begins at a multiple of 2 MiB, has whole ones where these are, and nothing in them.
 *
 * Return: so many; with large frames all that are in theirs.
 */
size_t mrm_touched_pages(size_t first, size_t count)
{
	size_t end = first + count;

	if (!mrm_large())
		return count;
	return (end + LARGE_PAGES - 1) / LARGE_PAGES * LARGE_PAGES -
	       first / LARGE_PAGES * LARGE_PAGES;
}

/**
 * mrm_settle() - wait until what is left in broken large frames has moved out
 *
 * The module does that in a thread, within a second or two, but not where a part is pinned: then
 * it is not waited for long.  Without large frames this does nothing.
 */
void mrm_settle(void)
{
	if (mrm_large())
		mrm_wait_count("large_held_bytes", 0, 0, SETTLE_MS);
}

/* What a pass may change. */
struct progress {
	long broken, shared, hinted;
};

static struct progress progress(void)
{
	mrm_settle();
	return (struct progress){
		.broken = mrm_get("large_pages_broken"),
		.shared = mrm_get("shared_pages"),
		.hinted = mrm_get("hinted_pages"),
	};
}

static bool is_same(const struct progress *a, const struct progress *b)
{
	return a->broken == b->broken && a->shared == b->shared && a->hinted == b->hinted;
}

/**
 * mrm_share_all() - have all guest pages shared that can be, of VMs that are at rest
 *
 * That is one pass.  With large frames it is passes until one has changed nothing: what the first
 * breaks is shared in the second, and of two that are equal the one that was scanned first is
 * broken only then.  Zeroes that were in them are nothing then: see process_read_zeroes().
 *
 * Return: how many passes it took; 0 if the scanner did not finish.
 */
unsigned int mrm_share_all(void)
{
	struct progress before, now;
	unsigned int passes = 0;

	if (!mrm_large())
		return mrm_full_pass();
	now = progress();
	do {
		before = now;
		if (!mrm_full_pass())
			return 0;
		passes++;
		now = progress();
	} while (!is_same(&before, &now) && passes < MOST_PASSES);
	return passes;
}
