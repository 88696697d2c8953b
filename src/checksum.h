/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_CHECKSUM_H
#define MRM_CHECKSUM_H

#include <linux/types.h>
#include <linux/xxhash.h>

/**
 * mrm_checksum() - of what is stored, to be verified on the way back
 * @p: what
 * @bytes: how much
 *
 * Half of xxh64, which looks at eight bytes at a time, where xxh32 looks at four.
 *
 * Context: Any.
 * Return: the checksum.
 */
static inline u32 mrm_checksum(const void *p, size_t bytes)
{
	return xxh64(p, bytes, 0);
}

#endif
