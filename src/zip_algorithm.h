/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compression, by the kernel's own LZ4 and zstd: a page to as many bytes as there is
 * room for, or not at all.
 */
#ifndef MRM_ZIP_ALGORITHM_H
#define MRM_ZIP_ALGORITHM_H

#include <linux/types.h>

/**
 * enum mrm_zip_algorithm - how a page is compressed
 * @MRM_LZ4: fast
 * @MRM_ZSTD: smaller, and takes some four times as long either way
 * @MRM_ZIP_ALGORITHMS: how many there are
 */
enum mrm_zip_algorithm { MRM_LZ4, MRM_ZSTD, MRM_ZIP_ALGORITHMS };

extern const char *const mrm_zip_words[MRM_ZIP_ALGORITHMS];

unsigned int mrm_zip_compress(enum mrm_zip_algorithm algorithm, const void *page, void *to,
			      unsigned int room);
bool mrm_zip_decompress(enum mrm_zip_algorithm algorithm, const void *from, unsigned int bytes,
			void *page);

int mrm_zip_algorithm_prepare(enum mrm_zip_algorithm algorithm);
int mrm_zip_algorithm_init(void);
void mrm_zip_algorithm_exit(void);

#endif
