// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "salt.h"
#include "vm.h"

#define SALT_ALL	1	/* everybody, when salts are ignored */
#define SALT_NONE	2	/* VMs without a salt, when salts are honoured */
#define SALT_FIRST	16

/**
 * struct mrm_named_salt - a salt that an administrator gave
 * @node: in named_salts
 * @refs: VMs that have it
 * @id: the number that is compared
 * @text: as it was given
 */
struct mrm_named_salt {
	struct list_head node;
	unsigned int refs;
	u64 id;
	char text[MRM_SALT_MAX];
};

/* A leaf lock: VMs end without the share lock. */
static DEFINE_MUTEX(named_lock);
static LIST_HEAD(named_salts);
static atomic64_t last_id = ATOMIC64_INIT(SALT_FIRST);
static enum mrm_force_salting salt_mode = MRM_SALT_FORCE;

/**
 * mrm_salt_get() - the salt of this text, made if it is new
 * @text: one to MRM_SALT_MAX - 1 characters
 * Return: the salt with a reference, or NULL without memory.
 */
struct mrm_named_salt *mrm_salt_get(const char *text)
{
	/* Not under the lock: a VM that ends takes it, perhaps in who frees memory for this. */
	struct mrm_named_salt *s, *new = kzalloc(sizeof(*new), GFP_KERNEL);

	mutex_lock(&named_lock);
	list_for_each_entry(s, &named_salts, node) {
		if (!strcmp(s->text, text)) {
			s->refs++;
			goto unlock;
		}
	}
	s = new;
	new = NULL;
	if (!s)
		goto unlock;
	s->refs = 1;
	s->id = atomic64_inc_return(&last_id);
	strscpy(s->text, text, sizeof(s->text));
	list_add(&s->node, &named_salts);
unlock:
	mutex_unlock(&named_lock);
	kfree(new);
	return s;
}

/**
 * mrm_salt_put() - a VM has it no more
 * @named: the salt, or NULL
 */
void mrm_salt_put(struct mrm_named_salt *named)
{
	if (!named)
		return;
	mutex_lock(&named_lock);
	if (!--named->refs) {
		list_del(&named->node);
		kfree_sensitive(named);
	}
	mutex_unlock(&named_lock);
}

/**
 * mrm_salt_text() - what the administrator wrote
 * @named: the salt, or NULL
 * Return: the text; "" for NULL.
 */
const char *mrm_salt_text(const struct mrm_named_salt *named)
{
	return named ? named->text : "";
}

/**
 * mrm_salt_effective() - the number that is compared
 * @vm: a VM
 * @named: the salt it has or is going to have, or NULL
 * Return: the number under the present mode.
 */
u64 mrm_salt_effective(const struct mrm_vm *vm, const struct mrm_named_salt *named)
{
	switch (mrm_salt_mode()) {
	case MRM_SALT_IGNORE:
		return SALT_ALL;
	case MRM_SALT_HONOUR:
		return named ? named->id : SALT_NONE;
	default:
		return named ? named->id : vm->own_salt;
	}
}

/**
 * mrm_salt_init_vm() - give a new VM a salt of its own
 * @vm: the VM
 */
void mrm_salt_init_vm(struct mrm_vm *vm)
{
	vm->own_salt = atomic64_inc_return(&last_id);
	vm->salt = mrm_salt_effective(vm, NULL);
}

/**
 * mrm_salt_forget() - a VM has ended
 * @vm: the VM
 */
void mrm_salt_forget(struct mrm_vm *vm)
{
	mrm_salt_put(vm->named_salt);
	vm->named_salt = NULL;
}

/**
 * mrm_salt_mode() - how salts are honoured
 * Return: share_force_salting.
 */
enum mrm_force_salting mrm_salt_mode(void)
{
	return READ_ONCE(salt_mode);
}

/**
 * mrm_salt_set_mode() - from now on
 * @mode: how; the caller has every VM look at its salt again
 */
void mrm_salt_set_mode(enum mrm_force_salting mode)
{
	WRITE_ONCE(salt_mode, mode);
}
