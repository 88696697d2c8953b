// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "mrm.h"

#define CLOSED_MS	10000	/* far more than a tick: a failure */

/**
 * disk_ram() - have RAM disks
 * Return: true; false if this kernel has none.
 */
bool disk_ram(void)
{
	return !access(DISK_RAM, F_OK) ||
	       (!system("modprobe brd rd_nr=4 rd_size=65536 2>/dev/null") &&
		!access(DISK_RAM, F_OK));
}

/**
 * disk_hand_over() - make a disk or a file a VM's swap file
 * @path: the disk or file
 * @pid: the VM
 * Return: 0 or a negative errno.
 */
int disk_hand_over(const char *path, pid_t pid)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC), err;
	char text[16];

	if (fd < 0)
		return -errno;
	snprintf(text, sizeof(text), "%d", fd);
	err = mrm_vm_set(pid, "swap_file", text);
	close(fd);
	return err;
}

/**
 * disk_mapper() - have device mapper
 * Return: true; false if there is none.
 */
bool disk_mapper(void)
{
	return !system("modprobe -q dm_mod; dmsetup version >/dev/null 2>&1");
}

/* With a table as its input if there is one.  There may be no udev that makes names. */
static bool run_dmsetup(const char *what, const char *name, const char *table)
{
	char command[256];
	FILE *input;

	snprintf(command, sizeof(command), "DM_DISABLE_UDEV=1 dmsetup %s %s >/dev/null 2>&1", what,
		 name);
	if (!table)
		return !system(command);
	input = popen(command, "w");
	if (!input)
		return false;
	fputs(table, input);
	return !pclose(input);
}

/**
 * disk_create() - make a disk /dev/mapper/@name
 * @name: its name
 * @table: what it does, as dmsetup takes it
 * Return: true if it is there.
 */
bool disk_create(const char *name, const char *table)
{
	return run_dmsetup("create", name, table);
}

/**
 * disk_change() - have a disk do something else; what is under way ends as it began
 * @name: its name
 * @table: what it does from now on
 * Return: true; false if it does what it did.
 */
bool disk_change(const char *name, const char *table)
{
	bool changed = run_dmsetup("load", name, table);

	return run_dmsetup("suspend", name, NULL) && run_dmsetup("resume", name, NULL) && changed;
}

/**
 * disk_hang() - have a disk do nothing: what is asked of it waits
 * @name: its name
 * @hang: true: from now on; false: go on, with what waits too
 * Return: true if so.
 */
bool disk_hang(const char *name, bool hang)
{
	return run_dmsetup(hang ? "suspend --noflush --nolockfs" : "resume", name, NULL);
}

static bool is_removed(void *name)
{
	return run_dmsetup("remove", name, NULL);
}

static bool is_unmounted(void *path)
{
	return !umount(path);
}

/**
 * disk_remove() - take a disk away
 * @name: its name
 *
 * The kernel closes what a VM had as its swap file a tick after the VM's end, and tells nobody.
 *
 * Return: true; false if somebody has it open and keeps it.
 */
bool disk_remove(const char *name)
{
	return wait_until(is_removed, (void *)name, CLOSED_MS);
}

/**
 * disk_mount() - make a file system
 * @disk: on this disk
 * @path: where it is mounted; a directory that is made, unless it is there
 * @kind: what kind of file system
 * Return: true if it is there.
 */
bool disk_mount(const char *disk, const char *path, const char *kind)
{
	char command[256];

	snprintf(command, sizeof(command), "modprobe -q %s; mkfs.%s -q %s %s", kind, kind,
		 strcmp(kind, "ext4") ? "-f" : "-F", disk);
	return !system(command) && (!mkdir(path, 0700) || errno == EEXIST) &&
	       !mount(disk, path, kind, 0, NULL);
}

/**
 * disk_unmount() - take a file system away
 * @path: where it is mounted
 *
 * It waits for a swap file's end as disk_remove() does.
 *
 * Return: true; false if somebody has a file of it open and keeps it.
 */
bool disk_unmount(const char *path)
{
	return wait_until(is_unmounted, (void *)path, CLOSED_MS);
}

/**
 * disk_message() - tell a disk something
 * @name: its name
 * @message: to its first target
 * Return: 0 or a negative errno.
 */
int disk_message(const char *name, const char *message)
{
	struct {
		struct dm_ioctl head;
		struct dm_target_msg to;
		char text[128];
	} m = {
		.head.version = { DM_VERSION_MAJOR },
		.head.data_size = sizeof(m),
		.head.data_start = offsetof(typeof(m), to),
	};
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(m.head.name, sizeof(m.head.name), "%s", name);
	/* Where m.to.message is. */
	snprintf(m.text, sizeof(m.text), "%s", message);
	if (ioctl(fd, DM_TARGET_MSG, &m))
		err = -errno;
	close(fd);
	return err;
}

/**
 * disk_transfer() - read guest pages from a disk, or write them to it
 * @vm: the VM
 * @transfer: a struct disk_transfer
 *
 * For process_call().
 *
 * Return: 0 or a negative errno.
 */
long disk_transfer(struct vm *vm, void *transfer)
{
	const struct disk_transfer *t = transfer;
	int fd = open(t->disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	long err = fd < 0 ? -errno : 0;
	size_t time, i;

	for (time = 0; !err && time < t->times; time++) {
		for (i = t->first; !err && i < t->first + t->count; i++) {
			void *page = vm_page(vm, i);
			ssize_t n = t->write ? pwrite(fd, page, PAGE_SIZE, i * PAGE_SIZE) :
					       pread(fd, page, PAGE_SIZE, i * PAGE_SIZE);

			if (n != (ssize_t)PAGE_SIZE)
				err = n < 0 ? -errno : -EIO;
		}
	}
	if (fd >= 0)
		close(fd);
	return err;
}
