/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_CLIENT_H
#define MRM_CLIENT_H

struct json_object;

/* What mrmd leaves while it runs, and the socket it listens on. */
#define MRM_RUN "/run/mrm"
#define MRM_SWAP "/var/lib/mrm/swap"
#define MRM_SOCKET MRM_RUN "/mrmd.sock"

/* What libvirt runs before a guest starts. */
#define MRM_HOOK "/etc/libvirt/hooks/qemu.d/mrm"

/* So long an answer of mrmd is waited for. */
#define MRM_CLIENT_SECONDS 10

int mrm_ask(const char *path, struct json_object *request, struct json_object **answer);

#endif
