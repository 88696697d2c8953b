// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mrmctl.h"
#include "tap.h"

/* Parse words that a blank parts; complaints are not wanted here. */
static int parse(const struct command *command, const char *line, struct options *options)
{
	static char copy[128];
	char *argv[16], *rest = copy;
	int argc = 0, used, keep;
	FILE *nowhere;

	memset(options, 0, sizeof(*options));
	strcpy(copy, line);
	while (rest && argc < 15)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;

	fflush(stderr);
	keep = dup(STDERR_FILENO);
	nowhere = fopen("/dev/null", "w");
	dup2(fileno(nowhere), STDERR_FILENO);
	used = options_parse(command, argc, argv, options);
	dup2(keep, STDERR_FILENO);
	close(keep);
	fclose(nowhere);
	return used;
}

/**
 * test_options() - the command line
 */
void test_options(void)
{
	struct options options;

	tap_ok(parse(NULL, "mrmctl --json list -o", &options) == 2 && options.json,
	       "options before a command");
	tap_ok(parse(&command_show, "show web --json", &options) == 2 && options.json,
	       "options behind an argument");
	tap_ok(parse(&command_set, "set share_cpu_max -5", &options) == 1,
	       "a negative number to set is an argument");
	tap_ok(parse(&command_show, "show -- -x", &options) == 2, "a name that looks like one");
	tap_ok(parse(&command_top, "top -bn3 -d 0.5 --sort zero", &options) == 6 && options.batch &&
		       options.iterations == 3 && options.delay_ms == 500 &&
		       !strcmp(options.sort, "zero"),
	       "options of top");
	tap_ok(parse(&command_list, "list -b", &options) == -1, "an option of another command");
	tap_ok(parse(&command_list, "list -xr", &options) == -1, "an unknown option");
	tap_ok(parse(&command_list, "list --json=1", &options) == -1, "an argument too many");
	tap_ok(parse(&command_list, "list --sysfs", &options) == -1, "an argument missing");
	tap_ok(parse(&command_top, "top -n 0", &options) == -1, "no refresh at all");
	tap_ok(parse(&command_top, "top -d 0.05", &options) == -1, "a delay that is too short");
}
