/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_LINE_H
#define MRMD_LINE_H

#include <stddef.h>

struct json_object;

/**
 * struct line - JSON objects that come by a socket, each in a line
 * @text: what has come and was not taken so far
 * @length: bytes of it
 * @room: bytes at @text
 */
struct line {
	char *text;
	size_t length;
	size_t room;
};

int line_read(struct line *line, int fd);
char *line_take(struct line *line);
void line_free(struct line *line);
char *line_text(struct json_object *object, size_t *length);
int line_send(int fd, struct json_object *object);

#endif
