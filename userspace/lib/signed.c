// SPDX-License-Identifier: GPL-2.0
/* Whether the kernel takes any module: after Secure Boot it does not. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "signed.h"

static bool first_line(const char *host, const char *file, char *line, int size)
{
	char path[PATH_MAX];
	bool found;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", host, file);
	f = fopen(path, "r");
	if (!f)
		return false;
	found = fgets(line, size, f);
	fclose(f);
	return found;
}

/**
 * mrm_signed_modules_only() - does the kernel take only modules signed with a key that it knows?
 * @host: where its files are, "" for the running kernel's
 *
 * Return: false also when that cannot be read.
 */
bool mrm_signed_modules_only(const char *host)
{
	char line[128];

	if (first_line(host, "/sys/module/module/parameters/sig_enforce", line, sizeof(line)) &&
	    *line == 'Y')
		return true;
	return first_line(host, "/sys/kernel/security/lockdown", line, sizeof(line)) &&
	       !strstr(line, "[none]");
}
