// SPDX-License-Identifier: GPL-2.0
/*
 * Which VM is which domain.  A VM's name in the kernel's files is what its QEMU was
 * started with: cut and escaped there, and anybody can start a QEMU with any name.
 * libvirt's API does not tell the pid of a domain, but libvirt keeps it in a file
 * that only root can write, named by the domain; names of domains have no slash.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "libvirt_pid.h"
#include "sysfs.h"

#define DIRECTORY "/run/libvirt/qemu"

/**
 * mrm_libvirt_pid() - the QEMU process of a domain
 * @domain: its name
 *
 * Return: its pid, or 0 when it does not run.
 */
pid_t mrm_libvirt_pid(const char *domain)
{
	char path[PATH_MAX];
	uint64_t pid;

	snprintf(path, sizeof(path), DIRECTORY "/%s.pid", domain);
	if (mrm_read_u64(AT_FDCWD, path, &pid) || pid > INT_MAX)
		return 0;
	return pid;
}

/**
 * mrm_libvirt_name() - the domain of a QEMU process
 * @pid: of the process
 * @name: receives its name
 * @size: bytes at @name
 *
 * Return: true when it is one of libvirt's.
 */
bool mrm_libvirt_name(pid_t pid, char *name, size_t size)
{
	DIR *dir = opendir(DIRECTORY);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length <= 4 || strcmp(entry->d_name + length - 4, ".pid"))
			continue;
		snprintf(name, size, "%.*s", (int)length - 4, entry->d_name);
		found = mrm_libvirt_pid(name) == pid;
	}
	if (dir)
		closedir(dir);
	return found;
}
