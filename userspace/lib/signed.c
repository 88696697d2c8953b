// SPDX-License-Identifier: GPL-2.0
/* Whether the kernel takes any module: after Secure Boot it does not. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "signed.h"
#include "sysfs.h"

static bool says(const char *host, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", host, file);
	return !mrm_read_text(AT_FDCWD, path, text, size);
}

/**
 * mrm_signed_modules_only() - does the kernel take only modules signed with a key that it knows?
 * @host: where its files are, "" for the running kernel's
 *
 * Return: false also when that cannot be read.
 */
bool mrm_signed_modules_only(const char *host)
{
	char text[128];

	if (says(host, "/sys/module/module/parameters/sig_enforce", text, sizeof(text)) &&
	    *text == 'Y')
		return true;
	return says(host, "/sys/kernel/security/lockdown", text, sizeof(text)) &&
	       !strstr(text, "[none]");
}
