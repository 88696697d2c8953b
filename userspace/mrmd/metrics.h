/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_METRICS_H
#define MRMD_METRICS_H

#include <stdbool.h>
#include <stdio.h>

#include "sysfs.h"

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

int metrics_write(FILE *file, const struct mrm_root *root, bool libvirt);

#endif
