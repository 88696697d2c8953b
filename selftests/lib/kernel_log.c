// SPDX-License-Identifier: GPL-2.0
/* What the kernel's log says while a test runs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel_log.h"
#include "tap.h"

static int kernel_log = -1;

/**
 * kernel_log_from_now() - what it says from now on is of interest
 */
void kernel_log_from_now(void)
{
	if (kernel_log < 0)
		kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kernel_log < 0 || lseek(kernel_log, 0, SEEK_END) < 0)
		tap_bail("cannot read the kernel's log: %s", strerror(errno));
}

/**
 * kernel_log_says() - has it a line that nobody has looked at, with all of these words?
 * @words: const char *[], with NULL at the end; what wait_until() hands over
 * Return: true if it has.
 */
bool kernel_log_says(void *words)
{
	const char *const *word;
	char text[2048];
	ssize_t n;

	/* EPIPE: lines were overwritten before they were read. */
	while ((n = read(kernel_log, text, sizeof(text) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		text[n > 0 ? n : 0] = '\0';
		for (word = words; *word && strstr(text, *word); word++)
			;
		if (!*word)
			return true;
	}
	return false;
}
