// SPDX-License-Identifier: GPL-2.0
/* Requests, answers and events on a stream socket: a JSON object in a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <json-c/json.h>

#include "line.h"

/* The XML of a domain is in it. */
#define LINE_MAX_BYTES (4u << 20)

/**
 * line_read() - take over what has come
 * @line: grows
 * @fd: socket that does not block
 *
 * Return: 0, -EAGAIN when nothing has come, -EPIPE when the other side has closed,
 * -EMSGSIZE when a line has no end, or another negative error.
 */
int line_read(struct line *line, int fd)
{
	size_t room = line->room ? 2 * line->room : 4096;
	ssize_t got;

	if (line->length + 1 >= line->room) {
		char *larger = room > LINE_MAX_BYTES ? NULL : realloc(line->text, room);

		if (!larger)
			return -EMSGSIZE;
		line->text = larger;
		line->room = room;
	}
	got = recv(fd, line->text + line->length, line->room - line->length - 1, MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!got)
		return -EPIPE;
	line->length += got;
	line->text[line->length] = '\0';
	return 0;
}

/**
 * line_take() - the first line that is complete
 * @line: without it afterwards
 *
 * Return: the line without its end, to be freed, or NULL when there is none.
 */
char *line_take(struct line *line)
{
	char *end = line->length ? memchr(line->text, '\n', line->length) : NULL, *text;
	size_t used;

	if (!end)
		return NULL;
	used = end - line->text + 1;
	text = strndup(line->text, used - 1);
	line->length -= used;
	memmove(line->text, end + 1, line->length);
	return text;
}

/**
 * line_free() - forget what has come
 * @line: empty afterwards
 */
void line_free(struct line *line)
{
	free(line->text);
	memset(line, 0, sizeof(*line));
}

/**
 * line_text() - an object in a line
 * @object: freed
 * @length: receives the bytes of the line
 *
 * Return: the line with its end, to be freed, or NULL without memory.
 */
char *line_text(struct json_object *object, size_t *length)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	char *line;

	*length = text ? strlen(text) + 1 : 0;
	line = text ? malloc(*length) : NULL;
	if (line) {
		memcpy(line, text, *length - 1);
		line[*length - 1] = '\n';
	}
	json_object_put(object);
	return line;
}

/**
 * line_send() - send an object in a line
 * @fd: stream socket
 * @object: freed
 *
 * Whoever does not take it from the socket's buffer does not get it: nobody is
 * waited for.
 *
 * Return: 0, or a negative error; the socket is of no use then.
 */
int line_send(int fd, struct json_object *object)
{
	size_t length;
	char *line = line_text(object, &length);
	int error = line ? 0 : -ENOMEM;
	ssize_t sent;

	if (line) {
		sent = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		error = sent < 0 ? -errno : (size_t)sent == length ? 0 : -EAGAIN;
	}
	free(line);
	return error;
}
