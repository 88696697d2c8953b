/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_HTTP_H
#define MRMD_HTTP_H

#include <sys/socket.h>

int http_address(const char *text, struct sockaddr_storage *address, socklen_t *length);
int http_init(const char *text, const char *sysfs);
void http_end(void);

#endif
