/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A VM in a process of its own
 *
 * The child has the same program in memory, so it can be told to call any
 * function of it: process_call().  The parent sees and sets the contents that
 * guest pages should have through @states, which both share.
 */
#ifndef VM_PROCESS_H
#define VM_PROCESS_H

#include <sys/types.h>

#include "vm.h"

#define PROCESS_ARG	256	/* bytes of an argument */

/**
 * struct vm_process - a VM in a child
 * @pid: the child; also its name in /sys/kernel/mrm/vm
 * @control: its control slot
 * @states: the state each page of RAM should have, see pattern.h
 * @owners: see guest.h
 * @ram: where RAM is, in the child
 * @pages: of RAM
 * @to: requests
 * @from: answers
 */
struct vm_process {
	pid_t pid;
	uint8_t *control;
	volatile uint64_t *states;
	volatile uint8_t *owners;
	uint8_t *ram;
	size_t pages;
	int to, from;
};

typedef long (*process_fn)(struct vm *vm, void *arg);

int process_try_start(struct vm_process *p, const struct vm_config *config);
void process_start(struct vm_process *p, const struct vm_config *config);
long process_call(struct vm_process *p, process_fn fn, const void *arg, size_t bytes);
void process_send(struct vm_process *p, process_fn fn, const void *arg, size_t bytes);
long process_receive_or_end(struct vm_process *p, int ms);
long process_receive(struct vm_process *p, int ms);
void process_stop(struct vm_process *p);
void process_kill(struct vm_process *p);
void process_show(pid_t pid);

void process_begin_guest(struct vm_process *p, const struct guest_work *work);
long process_guest(struct vm_process *p, enum guest_command command, size_t first, size_t count);
void process_fill(struct vm_process *p, size_t first, size_t count, uint64_t state);
long process_user(struct vm_process *p, enum guest_command command, size_t first, size_t count);
long process_discard(struct vm_process *p, size_t first, size_t count);
void process_read_zeroes(struct vm_process *p, size_t first, size_t count);
unsigned int process_share_all(struct vm_process *p, int n, size_t first, size_t count);
bool process_verify(struct vm_process *p);

#endif
