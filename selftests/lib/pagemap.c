// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "pagemap.h"
#include "pattern.h"

#define PRESENT		(1ULL << 63)
#define FRAME		((1ULL << 55) - 1)

/**
 * pagemap_read() - in which frames pages are
 * @pid: of the process
 * @address: the first page
 * @n: how many
 * @frames: receives for each its number, in 4 KiB, or 0 if it is not mapped
 * Return: 0 or a negative errno.
 */
int pagemap_read(pid_t pid, const void *address, size_t n, uint64_t *frames)
{
	const size_t bytes = n * sizeof(*frames);
	char path[64];
	ssize_t got;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = pread(fd, frames, bytes, (uintptr_t)address / PAGE_SIZE * sizeof(*frames));
	close(fd);
	if (got != (ssize_t)bytes)
		return -EIO;
	for (i = 0; i < n; i++)
		frames[i] = frames[i] & PRESENT ? frames[i] & FRAME : 0;
	return 0;
}

/**
 * pagemap_flags() - what a frame is to the kernel
 * @frame: its number
 * @flags: receives FRAME_IS_ and others
 * Return: 0 or a negative errno.
 */
int pagemap_flags(uint64_t frame, uint64_t *flags)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = pread(fd, flags, sizeof(*flags), frame * sizeof(*flags));
	close(fd);
	return got == (ssize_t)sizeof(*flags) ? 0 : -EIO;
}
