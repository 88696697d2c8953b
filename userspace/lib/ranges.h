/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_RANGES_H
#define MRM_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm.h"

/**
 * struct mrm_range - a range of a VM's memory
 * @start: its address in the QEMU process
 * @pages: its size, in pages of MRM_PAGE_SIZE
 * @adopted: kvm_mrm manages it
 * @words: why it does not, or more about it; may be empty
 */
struct mrm_range {
	uint64_t start;
	uint64_t pages;
	bool adopted;
	const char *words;
};

/**
 * struct mrm_ranges - all ranges of a VM
 * @range: in the kernel's order
 * @count: number of ranges
 * @text: what the words of @range point into
 */
struct mrm_ranges {
	struct mrm_range *range;
	size_t count;
	char *text;
};

int mrm_range_parse(char *line, struct mrm_range *range);
int mrm_ranges_read(const struct mrm_root *root, pid_t pid, struct mrm_ranges *ranges);
void mrm_ranges_free(struct mrm_ranges *ranges);

#endif
