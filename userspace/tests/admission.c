// SPDX-License-Identifier: GPL-2.0
/* Which guests may start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admission.h"
#include "tap.h"

#define MIB (1ull << 20)

static struct admitted *list;
static char why[MRM_WHY_MAX];

/* Ask for a guest of 512 MiB, which has an overhead of 2 MiB. */
static int ask(const char *name, const char *min, uint64_t unreserved, uint64_t now)
{
	struct mrm_domain domain = { .name = (char *)name, .size = 512 * MIB };

	mrm_settings_put(&domain.settings, MRM_MIN, min, domain.wrong);
	return admission_ask(&list, &domain, &unreserved, now, why);
}

/**
 * test_admission() - admission of guests
 */
void test_admission(void)
{
	struct mrm_domain domain = { .name = "old", .size = 512 * MIB };

	tap_ok(admission_overhead(512 * MIB) == 2 * MIB, "overhead of a guest");
	tap_ok(!ask("a", "98MiB", 100 * MIB, 0), "a min that fits");
	tap_ok(ask("b", "98MiB", 199 * MIB, 0) == -ENOSPC, "one that does not fit beside it");
	tap_has(why,
		"guest b is to have 98.0 MiB always (its min), and 2.0 MiB of overhead, but "
		"only 199.0 MiB are unreserved, of which 100.0 MiB are for guests that are "
		"starting",
		"is refused in a sentence");
	tap_ok(!ask("b", "98MiB", 200 * MIB, 0), "one that fits to the byte");
	tap_ok(!ask("b", "98MiB", 200 * MIB, 0), "asked for again, it counts once");
	tap_ok(ask("c", "", 200 * MIB, 0) == -ENOSPC, "without a min there is the overhead");
	admission_done(&list, "a");
	tap_ok(!ask("c", "98MiB", 200 * MIB, 0), "what is released is free");
	tap_ok(ask("d", "1MiB", 200 * MIB, ADMISSION_MS - 1) == -ENOSPC &&
		       !ask("d", "1MiB", 200 * MIB, ADMISSION_MS),
	       "what never came is forgotten");
	tap_ok(ask("d", "1GiB", UINT64_MAX, 0) == -EINVAL, "a min above the memory");
	tap_has(why, "its min, 1GiB, is more than its memory", "is said");
	tap_ok(ask("d", "16000000TiB", UINT64_MAX, 0) == -EINVAL, "one that is huge, too");
	tap_ok(ask("e", "some", UINT64_MAX, 0) == -EINVAL, "settings that are not understood");
	tap_has(why, "guest e: <mrm:memory> in its XML: min is a size", "are, too");
	tap_ok(!admission_ask(&list, &domain, NULL, 0, why), "a module that says nothing");
	admission_done(&list, "nobody");
	admission_done(&list, "old");
	admission_done(&list, "d");
	admission_done(&list, "c");
	admission_done(&list, "b");
	tap_ok(!list, "nothing is left");
}
