/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A VM that touches a part of its RAM again and again
 *
 * Which pages is in @owners of the VM and may change meanwhile.  What the module's
 * sampler saw of it is told by its tracepoint, period by period.
 */
#ifndef TOUCHER_H
#define TOUCHER_H

#include "vm_process.h"

/**
 * struct toucher_sample - a period of sampling
 * @n: guest pages that were picked
 * @touched: how many of them were touched
 */
struct toucher_sample {
	unsigned int n, touched;
};

long toucher_loop(struct vm *vm, bool touch);
long toucher_loop_end(void);

void toucher_start(struct vm_process *p, const struct vm_config *config);
size_t toucher_set(struct vm_process *p, unsigned int percent, uint64_t *seed);
void toucher_touch(struct vm_process *p);
void toucher_halt(struct vm_process *p);
void toucher_rest(struct vm_process *p);

void toucher_watch(void);
unsigned int toucher_samples(pid_t pid, struct toucher_sample *samples, unsigned int max);
bool toucher_wait(pid_t pid, unsigned int periods, int ms);

#endif
