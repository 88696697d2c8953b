// SPDX-License-Identifier: GPL-2.0
/* mrmctl help - what there is to type. */
#include <stdio.h>

#include "mrmctl.h"

static const char global_help[] =
	"Options for all commands:\n"
	"  -j, --json          print for programs: bytes, pages and nanoseconds\n"
	"      --sysfs DIR     read DIR, a saved copy of " MRM_SYSFS "\n"
	"  -h, --help          explain the command\n"
	"  -V, --version       show versions\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 the command line is wrong.\n";

static void print_all(void)
{
	const struct command *const *command;

	printf("mrmctl - memory resource management of KVM guests\n\n"
	       "Usage: mrmctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (command = commands; *command; command++)
		printf("  %-18s  %s\n", (*command)->name, (*command)->summary);
	printf("\n\"mrmctl help COMMAND\" tells more.  %s", global_help);
}

static int run(const struct options *options, int argc, char **argv)
{
	const struct command *command;

	(void)options;
	if (!argc) {
		print_all();
		return STATUS_OK;
	}
	command = command_find(argv[0]);
	if (!command) {
		complain("\"%s\" is not a command; \"mrmctl help\" lists them", argv[0]);
		return STATUS_USAGE;
	}
	printf("mrmctl %s - %s\n\nUsage: mrmctl %s%s%s\n\n%s\n%s", command->name, command->summary,
	       command->name, *command->arguments ? " " : "", command->arguments, command->help,
	       global_help);
	return STATUS_OK;
}

const struct command command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "explain a command",
	.help = "Lists the commands, or explains COMMAND.\n",
	.options = "",
	.max = 1,
	.run = run,
};
