/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SYSFS_H
#define MRM_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where kvm_mrm.ko puts its files. */
#define MRM_SYSFS "/sys/kernel/mrm"

/* The kernel counts guest memory in pages of this many bytes. */
#define MRM_PAGE_SIZE 4096

/* And in large pages of so many. */
#define MRM_LARGE_PAGE_SIZE (2 << 20)

/**
 * struct mrm_root - an open tree of kvm_mrm's files
 * @fd: the directory, never anything but a directory opened for reading
 * @live: it is the running kernel's, not a saved copy
 */
struct mrm_root {
	int fd;
	bool live;
};

int mrm_open(struct mrm_root *root, const char *path);
void mrm_close(struct mrm_root *root);

int mrm_read_text(int dir, const char *file, char *text, size_t size);
int mrm_read_u64(int dir, const char *file, uint64_t *value);
int mrm_read_all(int dir, const char *file, char **text);
int mrm_write_text(int dir, const char *file, const char *text);

int mrm_watch_open(const struct mrm_root *root, const char *file);
int mrm_watch_value(int watch, uint64_t *value);
int mrm_watch_wait(int watch, int timeout);

#endif
