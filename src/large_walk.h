/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_LARGE_WALK_H
#define MRM_LARGE_WALK_H

#include <linux/types.h>

struct mrm_vm;

typedef void (*mrm_large_walk_fn)(struct mrm_vm *vm, unsigned long first, void *arg);

unsigned long mrm_large_walk(struct mrm_vm *vm, unsigned long index, mrm_large_walk_fn fn,
			     void *arg, bool (*go_on)(void));

#endif
