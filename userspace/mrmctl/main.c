// SPDX-License-Identifier: GPL-2.0
/* mrmctl - what an administrator of kvm_mrm types. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "mrmctl.h"

static int run_help(const struct options *options, const char *about)
{
	char *arguments[] = { (char *)about, NULL };

	return command_help.run(options, about ? 1 : 0, arguments);
}

static int run(int argc, char **argv)
{
	struct options options = { .sysfs = MRM_SYSFS, .delay_ms = 2000, .host = "" };
	const struct command *command;
	int used;

	used = options_parse(NULL, argc, argv, &options);
	if (used < 0)
		return STATUS_USAGE;
	argc -= used;
	argv += used;
	if (options.version)
		return command_version.run(&options, 0, argv);
	if (!argc && !options.help) {
		complain("what is to be done? \"mrmctl help\" lists the commands");
		return STATUS_USAGE;
	}
	if (!argc)
		return run_help(&options, NULL);

	command = command_find(argv[0]);
	if (!command) {
		complain("\"%s\" is not a command; \"mrmctl help\" lists them", argv[0]);
		return STATUS_USAGE;
	}
	used = options_parse(command, argc, argv, &options);
	if (used < 0)
		return STATUS_USAGE;
	argc -= used;
	argv += used;
	if (options.help)
		return run_help(&options, command->name);
	if (argc < command->min || argc > command->max) {
		complain("%s arguments: mrmctl %s %s", argc < command->min ? "too few" : "too many",
			 command->name, command->arguments);
		return STATUS_USAGE;
	}
	return command->run(&options, argc, argv);
}

int main(int argc, char **argv)
{
	int status;

	setlocale(LC_CTYPE, "");
	status = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write the output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return status;
}
