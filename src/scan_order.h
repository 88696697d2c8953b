/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SCAN_ORDER_H
#define MRM_SCAN_ORDER_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef int64_t s64;
typedef uint64_t u64;
typedef uint32_t u32;
#endif

#define MRM_ORDER_ROUNDS 4

/**
 * struct mrm_scan_order - a random order of the numbers 0 to n - 1
 * @n: how many
 * @half_bits: bits of each half of the Feistel network
 * @key: of its rounds
 */
struct mrm_scan_order {
	u64 n;
	unsigned int half_bits;
	u32 key[MRM_ORDER_ROUNDS];
};

void mrm_scan_order_init(struct mrm_scan_order *o, u64 n, u64 seed);
u64 mrm_scan_order_at(const struct mrm_scan_order *o, u64 i);

#endif
