/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_SHARING_H
#define MRMD_SHARING_H

struct guest;

void sharing_apply(struct guest *guest);

#endif
