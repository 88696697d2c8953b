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

int pagemap_read(pid_t pid, const void *address, size_t n, uint64_t *frames);

#endif
