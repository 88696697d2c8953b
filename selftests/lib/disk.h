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

#define DISK_RAM	"/dev/ram0"	/* the first of four */
#define DISK_RAM_BYTES	(64UL << 20)
#define DISK_PATH	64		/* room for the path of one */

#define DISK_NARROW	"/dev/disk/by-id/ata-ide"	/* scripts/host --ide: 32 bits of address */
#define DISK_WIDE	"/dev/disk/by-id/virtio-scratch"	/* scripts/host --scratch */

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

#endif
