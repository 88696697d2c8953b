/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_MODULE_H
#define MRMD_MODULE_H

#include "sysfs.h"

int module_init(const char *sysfs);
const struct mrm_root *module_root(void);

#endif
