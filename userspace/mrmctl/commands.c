// SPDX-License-Identifier: GPL-2.0
/* All commands, in the order in which help lists them. */
#include <string.h>

#include "mrmctl.h"

const struct command *const commands[] = {
	&command_list,	 &command_show,	   &command_host, &command_top,	   &command_io,
	&command_get,	 &command_set,	   &command_scan, &command_status, &command_qmp,
	&command_doctor, &command_version, &command_help, &command_admit,  NULL,
};

/**
 * command_find() - look a command up
 * @name: as typed
 *
 * Return: the command, or NULL when there is none of that name.
 */
const struct command *command_find(const char *name)
{
	const struct command *const *command;

	for (command = commands; *command; command++)
		if (!strcmp(name, (*command)->name))
			return *command;
	return NULL;
}
