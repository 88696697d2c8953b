/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Salts
 *
 * Two VMs share a frame only with equal salt.  What is compared is a number:
 * one for each text an administrator gave, one for each VM by itself.  They
 * are never used again.
 *
 * All of this is protected by the share lock (share.c).
 */
#ifndef MRM_SALT_H
#define MRM_SALT_H

#include <linux/types.h>

struct mrm_vm;
struct mrm_named_salt;

#define MRM_SALT_MAX	64	/* characters of a salt, and the NUL */

/**
 * enum mrm_force_salting - ESX's Mem.ShareForceSalting
 * @MRM_SALT_IGNORE: all VMs share with each other
 * @MRM_SALT_HONOUR: VMs without a salt share with each other
 * @MRM_SALT_FORCE: VMs without a salt share only inside themselves
 */
enum mrm_force_salting {
	MRM_SALT_IGNORE,
	MRM_SALT_HONOUR,
	MRM_SALT_FORCE
};

void mrm_salt_init_vm(struct mrm_vm *vm);
void mrm_salt_forget(struct mrm_vm *vm);
struct mrm_named_salt *mrm_salt_get(const char *text);
void mrm_salt_put(struct mrm_named_salt *named);
const char *mrm_salt_text(const struct mrm_named_salt *named);
u64 mrm_salt_effective(const struct mrm_vm *vm, const struct mrm_named_salt *named);
enum mrm_force_salting mrm_salt_mode(void);
void mrm_salt_set_mode(enum mrm_force_salting mode);

#endif
