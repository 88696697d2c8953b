/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_VIRT_H
#define MRMD_VIRT_H

#include <stdbool.h>

int virt_init(const char *uri);
bool virt_connected(void);

#endif
