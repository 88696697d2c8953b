/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_SHARING_H
#define MRMD_SHARING_H

#include <stdbool.h>

struct guest;

bool sharing_stops(const struct guest *guest);
void sharing_apply(struct guest *guest);

#endif
