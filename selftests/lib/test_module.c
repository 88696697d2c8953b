// SPDX-License-Identifier: GPL-2.0
/* Modules that are a part of the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_module.h"

/**
 * test_module_load() - load a module that is a part of the tests
 * @name: its directory in selftests/, and its name
 * @arguments: for it
 *
 * Return: 0; -ENOENT if it has not been built; another negative errno.
 */
int test_module_load(const char *name, const char *arguments)
{
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/selftests/%s/%s.ko", getenv("MRM_BUILD"), name, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, arguments, 0) ? -errno : 0;
	close(fd);
	/* What it needs is not in this kernel. */
	return err == -ENOENT ? -ENOEXEC : err;
}

/**
 * test_module_unload() - unload one
 * @name: its name
 *
 * Return: 0 or a negative errno.
 */
int test_module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}
