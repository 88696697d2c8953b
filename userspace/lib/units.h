/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_UNITS_H
#define MRM_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Room for whatever a function below writes. */
#define MRM_UNIT_MAX 40

/**
 * enum mrm_unit - what a counter counts
 * @MRM_BYTES: memory in bytes
 * @MRM_PAGES: memory in pages of MRM_PAGE_SIZE
 * @MRM_LARGE_PAGES: memory in pages of MRM_LARGE_PAGE_SIZE
 * @MRM_COUNT: things, or events since the start
 * @MRM_NS: time in nanoseconds
 * @MRM_PERCENT: hundredths of a whole
 */
enum mrm_unit {
	MRM_BYTES,
	MRM_PAGES,
	MRM_LARGE_PAGES,
	MRM_COUNT,
	MRM_NS,
	MRM_PERCENT,
};

const char *mrm_format_mib(char *to, size_t size, uint64_t bytes);
const char *mrm_format_seconds(char *to, size_t size, uint64_t ns);
const char *mrm_format_value(char *to, size_t size, enum mrm_unit unit, uint64_t value);
const char *mrm_format_percent(char *to, size_t size, uint64_t part, uint64_t whole);
uint64_t mrm_pages_to_bytes(uint64_t pages);
uint64_t mrm_value_to_bytes(enum mrm_unit unit, uint64_t value);

#endif
