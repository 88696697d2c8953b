// SPDX-License-Identifier: GPL-2.0
/*
 * When this module is unloaded a byte of the last zipped page that was stored while it was loaded
 * is changed: nothing else in a host does that, but memory that is broken.  Whoever unloads it
 * sees to it that the page is still zipped.
 */
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/module.h>

#include "../../src/compat.h"

static struct zs_pool *pool;
static unsigned long last;
static u8 copy[PAGE_SIZE];	/* a kernel may copy all of an object */

static int called(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(struct zs_pool **)instance->data = (struct zs_pool *)regs->di;
	return 0;
}

static int returned(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	if (IS_ERR_VALUE(regs_return_value(regs)))
		return 0;
	pool = *(struct zs_pool **)instance->data;
	last = regs_return_value(regs);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "zs_malloc",
	.entry_handler = called,
	.handler = returned,
	.data_size = sizeof(pool),
};

static int __init damage_init(void)
{
	return register_kretprobe(&probe);
}
module_init(damage_init);

static void __exit damage_exit(void)
{
	const u8 *object;
	u8 byte;

	unregister_kretprobe(&probe);
	if (!last)
		return;
	object = mrm_zs_read_begin(pool, last, sizeof(byte), copy);
	byte = *object ^ 1;
	mrm_zs_read_end(pool, last, sizeof(byte), object);
	mrm_zs_write(pool, last, &byte, sizeof(byte));
}
module_exit(damage_exit);

MODULE_DESCRIPTION("A byte of a zipped page is changed");
MODULE_LICENSE("GPL");
