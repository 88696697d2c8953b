// SPDX-License-Identifier: GPL-2.0
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "adopt.h"
#include "check.h"
#include "debugfs.h"
#include "discard.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_page.h"
#include "io.h"
#include "reason.h"
#include "reclaim.h"
#include "vm.h"
#include "vm_events.h"

static struct dentry *root, *vm_root;

/* The frame table's shape. */
static int table_show(struct seq_file *m, void *unused)
{
	mrm_frame_table_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(table);

/* Recounts everything; "ok", or a line for each thing that is wrong. */
static int check_show(struct seq_file *m, void *unused)
{
	unsigned long wrong = mrm_check(m);

	if (wrong)
		seq_printf(m, "%lu wrong\n", wrong);
	else
		seq_puts(m, "ok\n");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(check);

/* What the probes could not catch. */
static int missed_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "slots %lu\ndiscards %lu\n", mrm_adopt_missed(), mrm_discard_missed());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(missed);

static int io_devices_show(struct seq_file *m, void *unused)
{
	mrm_io_show_devices(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(io_devices);

static int io_hottest_show(struct seq_file *m, void *unused)
{
	mrm_io_show_hottest(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(io_hottest);

static int io_low_show(struct seq_file *m, void *unused)
{
	mrm_io_show_low(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(io_low);

static int hash_bits_get(void *unused, u64 *bits)
{
	*bits = mrm_frame_hash_bits();
	return 0;
}

static int hash_bits_set(void *unused, u64 bits)
{
	return mrm_frame_set_hash_bits(min_t(u64, bits, UINT_MAX));
}
DEFINE_DEBUGFS_ATTRIBUTE(hash_bits_fops, hash_bits_get, hash_bits_set, "%llu\n");

/* first page (hex), pages, "adopted" or the reason */
static int ranges_show(struct seq_file *m, void *unused)
{
	struct mrm_vm *vm = m->private;
	struct mrm_range *r;

	mutex_lock(&vm->ranges_lock);
	list_for_each_entry(r, &vm->ranges, node)
		seq_printf(m, "%lx %lu %s%s\n", r->first << PAGE_SHIFT, r->pages,
			   r->reason == MRM_ADOPTED ? "" : "not adopted: ",
			   mrm_reason_words(r->reason));
	mutex_unlock(&vm->ranges_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ranges);

static const char *page_state(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame = mrm_guest_page_get(vm, index);
	const char *state = "nothing";

	if (!frame && mrm_entry_is_swapped(xa_load(&vm->pages, index)))
		return "swapped";
	if (!frame)
		return mrm_guest_page_zipped_bytes(vm, index) ? "zipped" : state;
	if (mrm_frame_is_zero(frame))
		state = "zero";
	else if (mrm_frame_is_shared(frame))
		state = "shared";
	else if (xa_get_mark(&vm->pages, index, MRM_MARK_INELIGIBLE))
		state = "ineligible";
	else if (mrm_frame_hash(frame))
		state = "hint";
	else
		state = "private";
	put_page(frame);
	return state;
}

/*
 * Runs of guest pages in one state: address (hex), pages, state.  An iterator,
 * so that a large VM's states are not gathered in memory.
 */
static void *pages_start(struct seq_file *m, loff_t *pos)
{
	struct mrm_vm *vm = m->private;
	unsigned long index = *pos;

	if (!xa_find(&vm->pages, &index, ULONG_MAX, XA_PRESENT))
		return NULL;
	*pos = index;
	return pos;
}

static void *pages_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return pages_start(m, pos);
}

static void pages_stop(struct seq_file *m, void *v)
{
}

static int pages_show(struct seq_file *m, void *v)
{
	struct mrm_vm *vm = m->private;
	loff_t *pos = v;
	unsigned long first = *pos, last = first;
	const char *state = page_state(vm, first);

	while (last - first < 65535 && page_state(vm, last + 1) == state)
		last++;
	seq_printf(m, "%lx %lu %s\n", first << PAGE_SHIFT, last - first + 1, state);
	*pos = last;
	return 0;
}

static const struct seq_operations pages_sops = {
	.start = pages_start,
	.next = pages_next,
	.stop = pages_stop,
	.show = pages_show,
};

static int pages_open(struct inode *inode, struct file *file)
{
	int err = seq_open(file, &pages_sops);

	if (!err)
		((struct seq_file *)file->private_data)->private = inode->i_private;
	return err;
}

static const struct file_operations pages_fops = {
	.open = pages_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release,
};

/* Take so many bytes from it, now. */
static int reclaim_set(void *vm, u64 bytes)
{
	long freed = mrm_reclaim_now(vm, min_t(u64, bytes, LONG_MAX));

	return min(freed, 0L);
}
DEFINE_DEBUGFS_ATTRIBUTE(reclaim_fops, NULL, reclaim_set, "%llu\n");

/* debugfs_remove() waits for readers, so the VM outlives them. */
static int vm_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct mrm_vm *vm = data;

	if (event == MRM_VM_ADDED) {
		vm->debugfs = debugfs_create_dir(vm->dir, vm_root);
		debugfs_create_file("ranges", 0400, vm->debugfs, vm, &ranges_fops);
		debugfs_create_file("pages", 0400, vm->debugfs, vm, &pages_fops);
		debugfs_create_file("reclaim", 0200, vm->debugfs, vm, &reclaim_fops);
	} else if (event == MRM_VM_REMOVED) {
		debugfs_remove(vm->debugfs);
	}
	return NOTIFY_OK;
}

static struct notifier_block vm_nb = {
	.notifier_call = vm_event,
};

/**
 * mrm_debugfs_init() - make the files; nothing depends on them
 */
void mrm_debugfs_init(void)
{
	root = debugfs_create_dir("mrm", NULL);
	vm_root = debugfs_create_dir("vm", root);
	debugfs_create_file("table", 0400, root, NULL, &table_fops);
	debugfs_create_file("check", 0400, root, NULL, &check_fops);
	debugfs_create_file("missed", 0400, root, NULL, &missed_fops);
	debugfs_create_file("io_devices", 0400, root, NULL, &io_devices_fops);
	debugfs_create_file("io_hottest", 0400, root, NULL, &io_hottest_fops);
	debugfs_create_file("io_low", 0400, root, NULL, &io_low_fops);
	debugfs_create_file("hash_bits", 0600, root, NULL, &hash_bits_fops);
	mrm_vm_register_notifier(&vm_nb);
}

/**
 * mrm_debugfs_exit() - remove the files
 */
void mrm_debugfs_exit(void)
{
	mrm_vm_unregister_notifier(&vm_nb);
	debugfs_remove(root);
}
