/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Large frames and the limit of a memory cgroup
 *
 * A VM pays for a large frame as a whole, whatever its guest has touched of it, and the kernel
 * can take nothing of that when the VM's memory cgroup is at its limit: it ends a process.  So
 * near the limit there are no more large frames (frame.c), and those are broken that hold
 * something for nothing, of all VMs that the cgroup pays for.  Faults that take memory notice,
 * and ask for it, and wait where little is left; large_limit.c does it.  A frame of 4 KiB that
 * still is not to be had is tried for once more when what could be found in some seconds has been
 * given, before anybody is ended for it.
 *
 * Page cache counts as used: who is near the limit for that alone loses, of its large frames, those
 * of which a part is held for nothing that is worth it.
 */
#ifndef MRM_GUEST_LIMIT_H
#define MRM_GUEST_LIMIT_H

#include <linux/types.h>

struct mrm_vm;

/* How near to it a VM is. */
enum mrm_limit { MRM_LIMIT_FAR, MRM_LIMIT_NEAR, MRM_LIMIT_AT };

/* What is to be broken for it: nothing, what holds much for nothing, or what holds anything. */
enum mrm_limit_ask { MRM_ASK_NOTHING, MRM_ASK_MUCH, MRM_ASK_ALL };

enum mrm_limit mrm_guest_limit(struct mrm_vm *vm);
gfp_t mrm_guest_limit_flags(struct mrm_vm *vm);
void mrm_guest_limit_ask(struct mrm_vm *vm, enum mrm_limit_ask ask);
int mrm_guest_limit_wait(struct mrm_vm *vm, enum mrm_limit_ask ask);
void mrm_guest_limit_on_ask(void (*fn)(void));
bool mrm_guest_limit_is_asked(void);
bool mrm_guest_limit_is_vain(struct mrm_vm *vm);
void mrm_guest_limit_set_vain(struct mrm_vm *vm, bool vain);
unsigned int mrm_guest_limit_question(enum mrm_limit_ask ask);
void mrm_guest_limit_wake(void);
void mrm_guest_limit_answer(enum mrm_limit_ask ask, unsigned int question);

#endif
