// SPDX-License-Identifier: GPL-2.0
/* The ranges of a VM's memory, from debugfs. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ranges.h"
#include "sysfs.h"
#include "text.h"

/* The next word of a line, which it ends with a 0; NULL when there is none. */
static char *next_word(char **line)
{
	char *word;

	do {
		word = strsep(line, " \t");
	} while (word && !*word);
	return word;
}

/**
 * mrm_range_parse() - understand a line "start_hex pages adopted|not adopted: words..."
 * @line: without its newline; changed, and kept by @range
 * @range: filled in on success
 *
 * Return: 0, or -EINVAL when the line is something else.
 */
int mrm_range_parse(char *line, struct mrm_range *range)
{
	char *start = next_word(&line);
	char *pages = start ? next_word(&line) : NULL;
	char *kind = pages ? next_word(&line) : NULL;
	char *end;

	if (!kind || !isxdigit((unsigned char)*start))
		return -EINVAL;
	errno = 0;
	range->start = strtoull(start, &end, 16);
	if (errno || *end || mrm_parse_u64(pages, &range->pages))
		return -EINVAL;
	range->adopted = !strcmp(kind, "adopted");
	if (!range->adopted && strcmp(kind, "not"))
		return -EINVAL;
	range->words = line ? line + strspn(line, " \t") : "";
	if (!range->adopted && !strncmp(range->words, "adopted: ", 9))
		range->words += 9;
	return 0;
}

/**
 * mrm_ranges_read() - read the ranges of a VM
 * @root: the open tree; debugfs is looked for beside it, in ../debug/mrm, in a
 *        saved copy too
 * @pid: of the VM
 * @ranges: filled in on success, to be freed with mrm_ranges_free(); lines that
 *          cannot be understood are left out
 *
 * Return: 0, -ENOMEM, or an error of open(2): -EACCES when not root, -ENOENT
 * without debugfs.
 */
int mrm_ranges_read(const struct mrm_root *root, pid_t pid, struct mrm_ranges *ranges)
{
	size_t lines = 1;
	char *rest, *line;
	char path[64];
	int error;

	memset(ranges, 0, sizeof(*ranges));
	snprintf(path, sizeof(path), "../debug/mrm/vm/%d/ranges", (int)pid);
	error = mrm_read_all(root->fd, path, &ranges->text);
	if (error)
		return error;
	for (rest = ranges->text; *rest; rest++)
		lines += *rest == '\n';
	ranges->range = calloc(lines, sizeof(*ranges->range));
	if (!ranges->range) {
		mrm_ranges_free(ranges);
		return -ENOMEM;
	}
	rest = ranges->text;
	while ((line = strsep(&rest, "\n")))
		if (!mrm_range_parse(line, &ranges->range[ranges->count]))
			ranges->count++;
	return 0;
}

/**
 * mrm_ranges_free() - free what mrm_ranges_read() filled in
 * @ranges: empty afterwards
 */
void mrm_ranges_free(struct mrm_ranges *ranges)
{
	free(ranges->range);
	free(ranges->text);
	memset(ranges, 0, sizeof(*ranges));
}
