/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_SWAP_H
#define MRMD_SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

/**
 * struct swap_room - room for swap files
 * @directory: where they are made
 * @free: what no file needs, in bytes
 * @wiping: what is free once the files of VMs that have ended are wiped, in bytes
 * @kept: files that could not be wiped
 */
struct swap_room {
	const char *directory;
	uint64_t free;
	uint64_t wiping;
	unsigned int kept;
};

int swap_init(const char *directory);
void swap_vms(const struct mrm_vms *vms);
void swap_bounds(void);
bool swap_is_used(void);
bool swap_is_missing(const struct mrm_vm *vm);
bool swap_room(struct swap_room *room);
const char *swap_word(const struct mrm_vm *vm);

#endif
