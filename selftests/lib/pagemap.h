/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Frames
 *
 * In which frames a process' pages are.
 */
#ifndef PAGEMAP_H
#define PAGEMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define FRAME_IS_FREE		(1ULL << 10)
#define FRAME_IS_PART		(1ULL << 16)	/* of a large one, not the first */
#define FRAME_IS_POISONED	(1ULL << 19)

int pagemap_read(pid_t pid, const void *address, size_t n, uint64_t *frames);
int pagemap_flags(uint64_t frame, uint64_t *flags);

#endif
