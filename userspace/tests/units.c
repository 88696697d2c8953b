// SPDX-License-Identifier: GPL-2.0
#include "tap.h"
#include "units.h"

/**
 * test_units() - amounts as people read them
 */
void test_units(void)
{
	static const struct {
		enum mrm_unit unit;
		uint64_t value;
		const char *text;
	} cases[] = {
		{ MRM_BYTES, 0, "0.0 MiB" },
		{ MRM_BYTES, 1 << 20, "1.0 MiB" },
		{ MRM_BYTES, (1 << 20) + (1 << 19), "1.5 MiB" },
		{ MRM_BYTES, (2 << 20) - 1, "2.0 MiB" },
		{ MRM_BYTES, 52428, "0.0 MiB" },
		{ MRM_BYTES, 52429, "0.1 MiB" },
		{ MRM_BYTES, UINT64_MAX, "17592186044416.0 MiB" },
		{ MRM_PAGES, 256, "1.0 MiB" },
		{ MRM_PAGES, 8192, "32.0 MiB" },
		{ MRM_PAGES, UINT64_MAX, "17592186044416.0 MiB" },
		{ MRM_LARGE_PAGES, 3, "6.0 MiB" },
		{ MRM_LARGE_PAGES, UINT64_MAX, "17592186044416.0 MiB" },
		{ MRM_COUNT, UINT64_MAX, "18446744073709551615" },
		{ MRM_NS, 0, "0.00 s" },
		{ MRM_NS, 1234567890, "1.23 s" },
		{ MRM_NS, 1999999999, "2.00 s" },
		{ MRM_NS, UINT64_MAX, "18446744073.71 s" },
	};
	char text[MRM_UNIT_MAX];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_text(mrm_format_value(text, sizeof(text), cases[i].unit, cases[i].value),
			 cases[i].text, "amount");
	tap_ok(mrm_value_to_bytes(MRM_LARGE_PAGES, 3) == 6 << 20 &&
		       mrm_value_to_bytes(MRM_PAGES, 3) == 12288 &&
		       mrm_value_to_bytes(MRM_BYTES, 3) == 3 && mrm_value_to_bytes(MRM_NS, 3) == 3,
	       "memory in bytes, and what is no memory");
	tap_text(mrm_format_percent(text, sizeof(text), 1, 3), "33.3 %", "percent");
	tap_text(mrm_format_percent(text, sizeof(text), 1, 0), "-", "percent of nothing");
}
