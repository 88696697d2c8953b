// SPDX-License-Identifier: GPL-2.0
/* What mrmd has to say, on standard error, where the journal takes it from. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "text.h"

/**
 * log_line() - say something, in one line
 * @priority: SD_ERR and the like, which the journal takes off; people do not see it
 * @format: as for printf(), without a newline
 *
 * What is printed is escaped: a guest's name may be anything.  Any thread may call
 * it.
 */
void log_line(const char *priority, const char *format, ...)
{
	char *text = NULL, *safe;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	safe = text ? mrm_escape_dup(text) : NULL;
	fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "" : priority,
		safe ? safe : "out of memory");
	free(safe);
	free(text);
}
