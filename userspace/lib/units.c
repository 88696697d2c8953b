// SPDX-License-Identifier: GPL-2.0
/* Amounts as people read them. */
#include <inttypes.h>
#include <stdio.h>

#include "sysfs.h"
#include "units.h"

static uint64_t times(uint64_t pages, uint64_t size)
{
	return pages > UINT64_MAX / size ? UINT64_MAX : pages * size;
}

/**
 * mrm_pages_to_bytes() - size of guest pages
 * @pages: pages of MRM_PAGE_SIZE
 *
 * Return: bytes, the largest number when they are more.
 */
uint64_t mrm_pages_to_bytes(uint64_t pages)
{
	return times(pages, MRM_PAGE_SIZE);
}

/**
 * mrm_value_to_bytes() - a counter, in bytes if it counts memory
 * @unit: what @value counts
 * @value: the counter as the kernel gives it
 *
 * Return: bytes, the largest number when they are more; @value if it is no memory.
 */
uint64_t mrm_value_to_bytes(enum mrm_unit unit, uint64_t value)
{
	if (unit == MRM_PAGES)
		return mrm_pages_to_bytes(value);
	return unit == MRM_LARGE_PAGES ? times(value, MRM_LARGE_PAGE_SIZE) : value;
}

/**
 * mrm_format_mib() - a size in MiB with one decimal, without the unit
 * @to: receives the text
 * @size: bytes at @to, at best MRM_UNIT_MAX
 * @bytes: the size
 *
 * Return: @to.
 */
const char *mrm_format_mib(char *to, size_t size, uint64_t bytes)
{
	uint64_t mib = bytes >> 20;
	uint64_t tenths = ((bytes & ((1 << 20) - 1)) * 10 + (1 << 19)) >> 20;

	if (tenths == 10) {
		mib++;
		tenths = 0;
	}
	snprintf(to, size, "%" PRIu64 ".%" PRIu64, mib, tenths);
	return to;
}

/**
 * mrm_format_seconds() - a time in seconds with two decimals, without the unit
 * @to: receives the text
 * @size: bytes at @to, at best MRM_UNIT_MAX
 * @ns: the time in nanoseconds
 *
 * Return: @to.
 */
const char *mrm_format_seconds(char *to, size_t size, uint64_t ns)
{
	uint64_t seconds = ns / 1000000000;
	uint64_t hundredths = (ns % 1000000000 + 5000000) / 10000000;

	if (hundredths == 100) {
		seconds++;
		hundredths = 0;
	}
	snprintf(to, size, "%" PRIu64 ".%02" PRIu64, seconds, hundredths);
	return to;
}

/**
 * mrm_format_value() - a counter with its unit
 * @to: receives the text
 * @size: bytes at @to, at best MRM_UNIT_MAX
 * @unit: what @value counts
 * @value: the counter as the kernel gives it
 *
 * Return: @to.
 */
const char *mrm_format_value(char *to, size_t size, enum mrm_unit unit, uint64_t value)
{
	char number[MRM_UNIT_MAX];

	switch (unit) {
	case MRM_PAGES:
	case MRM_LARGE_PAGES:
	case MRM_BYTES:
		value = mrm_value_to_bytes(unit, value);
		snprintf(to, size, "%s MiB", mrm_format_mib(number, sizeof(number), value));
		break;
	case MRM_NS:
		snprintf(to, size, "%s s", mrm_format_seconds(number, sizeof(number), value));
		break;
	case MRM_PERCENT:
		snprintf(to, size, "%" PRIu64 " %%", value);
		break;
	case MRM_COUNT:
		snprintf(to, size, "%" PRIu64, value);
		break;
	}
	return to;
}

/**
 * mrm_format_percent() - a part of a whole in percent with one decimal
 * @to: receives the text, "-" when there is no whole
 * @size: bytes at @to, at best MRM_UNIT_MAX
 * @part: in the unit of @whole
 * @whole: may be 0
 *
 * Return: @to.
 */
const char *mrm_format_percent(char *to, size_t size, uint64_t part, uint64_t whole)
{
	if (whole)
		snprintf(to, size, "%.1f %%", 100.0 * part / whole);
	else
		snprintf(to, size, "-");
	return to;
}
