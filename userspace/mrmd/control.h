/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_CONTROL_H
#define MRMD_CONTROL_H

int control_init(const char *path);
void control_started(const char *name);

#endif
