// SPDX-License-Identifier: GPL-2.0
/* Asking mrmd. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "client.h"

static int dial(const char *path)
{
	struct timeval patience = { .tv_sec = MRM_CLIENT_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int send_all(int fd, const char *text, size_t length)
{
	ssize_t sent;

	for (; length; text += sent, length -= sent) {
		sent = send(fd, text, length, MSG_NOSIGNAL);
		if (sent < 0)
			return -errno;
	}
	return 0;
}

static int send_line(int fd, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	int error = text ? send_all(fd, text, strlen(text)) : -ENOMEM;

	return error ? error : send_all(fd, "\n", 1);
}

/**
 * mrm_ask() - ask mrmd, and wait for the answer
 * @path: of its socket, at best MRM_SOCKET
 * @request: freed
 * @answer: receives the answer, to be freed; untouched on error
 *
 * Return: 0, -ENOENT or -ECONNREFUSED when mrmd does not run, -EACCES when not
 * root, -EAGAIN when it has not answered for MRM_CLIENT_SECONDS, or another
 * negative error.
 */
int mrm_ask(const char *path, struct json_object *request, struct json_object **answer)
{
	int fd = dial(path), error = 0;
	struct json_object *object;
	char *line = NULL;
	size_t size = 0;
	FILE *stream;

	if (fd >= 0)
		error = send_line(fd, request);
	json_object_put(request);
	if (fd < 0)
		return fd;
	stream = fdopen(fd, "r");
	if (!stream)
		close(fd);
	errno = 0;
	if (!error && (!stream || getline(&line, &size, stream) < 0))
		error = errno ? -errno : -EPIPE;
	if (stream)
		fclose(stream);
	object = error ? NULL : json_tokener_parse(line);
	free(line);
	if (!error && !object)
		error = -EPROTO;
	if (!error)
		*answer = object;
	return error;
}
