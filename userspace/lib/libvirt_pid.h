/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_LIBVIRT_PID_H
#define MRM_LIBVIRT_PID_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The libvirt whose guests are the host's. */
#define MRM_LIBVIRT_URI "qemu:///system"

pid_t mrm_libvirt_pid(const char *domain);
bool mrm_libvirt_name(pid_t pid, char *name, size_t size);

#endif
