/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Disks
 *
 * RAM disks; the host's, one that reaches all memory and one that does not; and device mapper's,
 * whose table says what becomes of reads and writes.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <sys/types.h>

#include "vm.h"

#define DISK_RAM	"/dev/ram0"	/* the first of four */
#define DISK_RAM_BYTES	(64UL << 20)
#define DISK_PATH	64		/* room for the path of one */

#define DISK_NARROW	"/dev/disk/by-id/ata-ide"	/* scripts/host --ide: 32 bits of address */
#define DISK_WIDE	"/dev/disk/by-id/virtio-scratch"	/* scripts/host --scratch */

/**
 * struct disk_transfer - what goes to or from a disk, a page at a time, past any cache
 * @disk: its path
 * @first: guest page; each has the block of its number
 * @count: how many
 * @times: how often
 * @write: to the disk
 */
struct disk_transfer {
	const char *disk;
	size_t first, count, times;
	bool write;
};

bool disk_ram(void);
int disk_hand_over(const char *path, pid_t pid);

bool disk_mapper(void);
bool disk_create(const char *name, const char *table);
bool disk_change(const char *name, const char *table);
bool disk_hang(const char *name, bool hang);
bool disk_remove(const char *name);
bool disk_mount(const char *disk, const char *path, const char *kind);
bool disk_unmount(const char *path);
int disk_message(const char *name, const char *message);
long disk_transfer(struct vm *vm, void *transfer);

#endif
