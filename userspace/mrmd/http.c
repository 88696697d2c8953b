// SPDX-License-Identifier: GPL-2.0
/*
 * Metrics over HTTP, in a thread of libmicrohttpd.  All it needs is in the module's
 * files, so it shares nothing with the rest of mrmd.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <microhttpd.h>

#include "http.h"
#include "log.h"
#include "metrics.h"
#include "text.h"
#include "virt.h"

#define CLIENTS_MAX 16
#define CLIENT_SECONDS 10

static struct MHD_Daemon *server;
static const char *directory;
static struct sockaddr_un listens_at; /* if it is at a path */

static int parse_unix(const char *path, struct sockaddr_un *address, socklen_t *length)
{
	if (*path != '/' || strlen(path) >= sizeof(address->sun_path))
		return -EINVAL;
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	*length = sizeof(*address);
	return 0;
}

/* Names of VMs are nothing for the network: a proxy that knows its clients may have it. */
static int parse_loopback(const char *host, uint16_t port, struct sockaddr_storage *address,
			  socklen_t *length)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1 &&
	    ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*length = sizeof(*in);
		return 0;
	}
	memset(address, 0, sizeof(*address));
	if (!strcmp(host, "[::1]")) {
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = htons(port);
		*length = sizeof(*in6);
		return 0;
	}
	return -EINVAL;
}

/**
 * http_address() - where to serve metrics
 * @text: 127.0.0.1:PORT, [::1]:PORT, or unix:PATH
 * @address: filled in
 * @length: bytes of it
 *
 * Return: 0, or -EINVAL.
 */
int http_address(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	uint64_t port;

	memset(address, 0, sizeof(*address));
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, (struct sockaddr_un *)address, length);
	if (!colon || (size_t)(colon - text) >= sizeof(host) || mrm_parse_u64(colon + 1, &port) ||
	    !port || port > UINT16_MAX)
		return -EINVAL;
	memcpy(host, text, colon - text);
	host[colon - text] = '\0';
	return parse_loopback(host, port, address, length);
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status,
			     struct MHD_Response *response, const char *type)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
			      const char *text)
{
	return reply(connection, status,
		     MHD_create_response_from_buffer(strlen(text), (void *)text,
						     MHD_RESPMEM_PERSISTENT),
		     "text/plain");
}

static enum MHD_Result serve(struct MHD_Connection *connection)
{
	struct mrm_root root;
	bool loaded = !mrm_open(&root, directory);
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	int error = stream ? metrics_write(stream, loaded ? &root : NULL, virt_connected())
			   : -ENOMEM;

	if (stream && fclose(stream))
		error = -ENOMEM;
	if (loaded)
		mrm_close(&root);
	if (error) {
		free(text);
		return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "The counters cannot be read.\n");
	}
	return reply(connection, MHD_HTTP_OK,
		     MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE),
		     METRICS_TYPE);
}

static enum MHD_Result asked(void *data, struct MHD_Connection *connection, const char *url,
			     const char *method, const char *version, const char *upload,
			     size_t *upload_size, void **state)
{
	(void)data;
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET.\n");
	if (strcmp(url, "/metrics"))
		return refuse(connection, MHD_HTTP_NOT_FOUND, "The metrics are at /metrics.\n");
	return serve(connection);
}

/* What was left behind by one that was killed; nothing else that has its name. */
static void remove_socket(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int open_socket(const struct sockaddr_storage *address, socklen_t length)
{
	const char *path = ((const struct sockaddr_un *)address)->sun_path;
	int fd, one = 1, error;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (address->ss_family == AF_UNIX)
		remove_socket(path);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, length) < 0 || listen(fd, CLIENTS_MAX) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	/* As on loopback: whoever is on this host may look. */
	if (address->ss_family == AF_UNIX)
		chmod(path, 0666);
	return fd;
}

/**
 * http_init() - serve metrics
 * @text: where, as for http_address()
 * @sysfs: the module's files
 *
 * Return: 0, or a negative error that was logged.
 */
int http_init(const char *text, const char *sysfs)
{
	struct sockaddr_storage address;
	socklen_t length;
	int fd;

	directory = sysfs;
	if (http_address(text, &address, &length)) {
		log_error("metrics are served at 127.0.0.1:PORT, [::1]:PORT or unix:PATH, not at "
			  "\"%s\"",
			  text);
		return -EINVAL;
	}
	fd = open_socket(&address, length);
	if (fd < 0) {
		log_error("%s: %s", text, strerror(-fd));
		return fd;
	}
	server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, asked, NULL,
				  MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				  CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CLIENT_SECONDS,
				  MHD_OPTION_END);
	if (!server) {
		log_error("%s: metrics cannot be served", text);
		close(fd);
		return -EIO;
	}
	if (address.ss_family == AF_UNIX)
		memcpy(&listens_at, &address, sizeof(listens_at));
	log_notice("metrics are served at %s", text);
	return 0;
}

/**
 * http_end() - serve no longer
 */
void http_end(void)
{
	if (server)
		MHD_stop_daemon(server);
	server = NULL;
	if (*listens_at.sun_path)
		remove_socket(listens_at.sun_path);
	memset(&listens_at, 0, sizeof(listens_at));
}
