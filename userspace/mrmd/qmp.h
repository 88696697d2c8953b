/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_QMP_H
#define MRMD_QMP_H

#include <sys/types.h>

#include "settings.h"

int qmp_init(const char *directory);
int qmp_start(pid_t pid, const char *path, char why[MRM_WHY_MAX]);
int qmp_stop(pid_t pid, char why[MRM_WHY_MAX]);

#endif
