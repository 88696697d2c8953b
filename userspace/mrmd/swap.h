/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_SWAP_H
#define MRMD_SWAP_H

#include "vm.h"

int swap_init(const char *directory);
void swap_vms(const struct mrm_vms *vms);

#endif
