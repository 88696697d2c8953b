// SPDX-License-Identifier: GPL-2.0
#include <linux/bitmap.h>
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uio.h>

#include "compat.h"
#include "swap.h"
#include "vm.h"

#define LEAST_SLOTS	16UL
#define FULL_WAIT	(60 * HZ)	/* until writing is tried again after a full disk */

/**
 * struct mrm_swap - a VM's swap file
 * @node: in files, under files_lock
 * @file: open for direct I/O
 * @slots: pages it has room for
 * @lock: of what follows; a leaf
 * @used: a bit for each slot that is not free
 * @next: where to look for free ones
 * @free: how many there are
 * @bad: slots that were retired
 * @full: the disk was full
 * @full_until: do not write before, jiffies
 */
struct mrm_swap {
	struct list_head node;
	struct file *file;
	unsigned long slots;
	spinlock_t lock;
	unsigned long *used;
	unsigned long next;
	unsigned long free;
	unsigned long bad;
	bool full;
	unsigned long full_until;
};

static LIST_HEAD(files);
static DEFINE_MUTEX(files_lock);

/* Why a file cannot be a VM's swap file, in words; NULL if it can. */
static const char *why_not(const struct file *file)
{
	const struct inode *inode = file->f_mapping->host;

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return "neither a regular file nor a block device";
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return "not open for reading and writing";
	if (!(file->f_flags & O_DIRECT))
		return "not open with O_DIRECT";
	if (i_size_read(inode) >> PAGE_SHIFT < LEAST_SLOTS)
		return "too small";
	return NULL;
}

static void free_swap(struct mrm_swap *s)
{
	if (!s)
		return;
	bitmap_free(s->used);
	kfree(s);
}

static struct mrm_swap *alloc_swap(struct file *file)
{
	struct mrm_swap *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	spin_lock_init(&s->lock);
	s->slots = min_t(u64, i_size_read(file->f_mapping->host) >> PAGE_SHIFT,
			 1UL << MRM_SWAP_SLOT_BITS);
	s->free = s->slots;
	s->used = bitmap_zalloc(s->slots, GFP_KERNEL);
	if (s->used)
		return s;
	free_swap(s);
	return NULL;
}

/* Context: files_lock. */
static bool in_use(const struct inode *inode)
{
	struct mrm_swap *s;

	list_for_each_entry(s, &files, node)
		if (s->file->f_mapping->host == inode)
			return true;
	return false;
}

/**
 * mrm_swap_open() - give a VM its swap file
 * @vm: the VM
 * @fd: of the current process: a file or a block device, open for reading, writing and
 *	direct I/O, that no other VM has
 *
 * Context: May sleep.
 * Return: 0; -EBADF; -EINVAL, with a line in the log; -EBUSY if the VM has one, or
 * another VM has this; -ENOMEM.
 */
int mrm_swap_open(struct mrm_vm *vm, int fd)
{
	struct file *file = fget(fd);
	struct mrm_swap *s;
	const char *why;
	int err = -EBUSY;

	if (!file)
		return -EBADF;
	why = why_not(file);
	if (why) {
		pr_warn_ratelimited("VM %d (%s): %pD cannot be its swap file: %s\n", vm->pid,
				    vm->name, file, why);
		fput(file);
		return -EINVAL;
	}
	s = alloc_swap(file);
	if (!s) {
		fput(file);
		return -ENOMEM;
	}
	mutex_lock(&files_lock);
	if (!vm->swap && !in_use(file->f_mapping->host)) {
		s->file = file;
		list_add(&s->node, &files);
		/* Who sees it sees all of it. */
		smp_store_release(&vm->swap, s);
		err = 0;
	}
	mutex_unlock(&files_lock);
	if (err) {
		free_swap(s);
		fput(file);
	}
	return err;
}

/**
 * mrm_swap_close() - let go of a VM's swap file
 * @vm: the VM, of which nothing is swapped and no I/O is under way
 *
 * Context: May sleep.
 */
void mrm_swap_close(struct mrm_vm *vm)
{
	struct mrm_swap *s = vm->swap;

	if (!s)
		return;
	WARN_ON_ONCE(s->free + s->bad != s->slots);
	mutex_lock(&files_lock);
	list_del(&s->node);
	mutex_unlock(&files_lock);
	vm->swap = NULL;
	fput(s->file);
	free_swap(s);
}

/**
 * mrm_swap_show() - a VM's swap file
 * @vm: the VM
 * @buf: a page: its path, or an empty line
 * Return: bytes.
 */
ssize_t mrm_swap_show(struct mrm_vm *vm, char *buf)
{
	struct mrm_swap *s = smp_load_acquire(&vm->swap);
	char *path;

	if (!s)
		return sysfs_emit(buf, "\n");
	path = file_path(s->file, buf, PAGE_SIZE - 1);
	if (IS_ERR(path))
		return PTR_ERR(path);
	/* It stands at the end of the page. */
	memmove(buf, path, strlen(path) + 1);
	return strlen(strcat(buf, "\n"));
}

/**
 * mrm_swap_free_slots() - room in a VM's swap file
 * @vm: the VM
 * Return: pages; 0 if it has none.
 */
unsigned long mrm_swap_free_slots(const struct mrm_vm *vm)
{
	struct mrm_swap *s = smp_load_acquire(&vm->swap);

	return s ? READ_ONCE(s->free) : 0;
}

/**
 * mrm_swap_bad_slots() - slots of a VM's swap file that could not be written
 * @vm: the VM
 * Return: how many.
 */
unsigned long mrm_swap_bad_slots(const struct mrm_vm *vm)
{
	struct mrm_swap *s = smp_load_acquire(&vm->swap);

	return s ? READ_ONCE(s->bad) : 0;
}

/* Context: s->lock. */
static bool is_full(struct mrm_swap *s)
{
	if (s->full && time_after_eq(jiffies, s->full_until))
		s->full = false;
	return s->full;
}

/**
 * mrm_swap_alloc() - slots in a row
 * @vm: the VM
 * @n: how many
 *
 * Context: Any.
 * Return: the first; -ENOSPC if there are not so many, or the disk was found full less
 * than a minute ago.
 */
long mrm_swap_alloc(struct mrm_vm *vm, unsigned int n)
{
	struct mrm_swap *s = smp_load_acquire(&vm->swap);
	unsigned long slot = ULONG_MAX;

	if (!s)
		return -ENOSPC;
	spin_lock(&s->lock);
	if (s->free >= n && !is_full(s)) {
		slot = bitmap_find_next_zero_area(s->used, s->slots, s->next, n, 0);
		if (slot >= s->slots)
			slot = bitmap_find_next_zero_area(s->used, s->slots, 0, n, 0);
	}
	if (slot < s->slots) {
		bitmap_set(s->used, slot, n);
		s->next = slot + n;
		WRITE_ONCE(s->free, s->free - n);
	}
	spin_unlock(&s->lock);
	return slot < s->slots ? (long)slot : -ENOSPC;
}

/**
 * mrm_swap_free() - a slot is needed no more
 * @vm: the VM
 * @slot: from mrm_swap_alloc()
 */
void mrm_swap_free(struct mrm_vm *vm, unsigned long slot)
{
	struct mrm_swap *s = vm->swap;

	spin_lock(&s->lock);
	WARN_ON_ONCE(!__test_and_clear_bit(slot, s->used));
	WRITE_ONCE(s->free, s->free + 1);
	spin_unlock(&s->lock);
}

/**
 * mrm_swap_retire() - a slot is not to be used again
 * @vm: the VM
 * @slot: from mrm_swap_alloc()
 */
void mrm_swap_retire(struct mrm_vm *vm, unsigned long slot)
{
	struct mrm_swap *s = vm->swap;

	spin_lock(&s->lock);
	WRITE_ONCE(s->bad, s->bad + 1);
	spin_unlock(&s->lock);
}

static void found_full(struct mrm_vm *vm, struct mrm_swap *s)
{
	bool news;

	spin_lock(&s->lock);
	news = !s->full;
	s->full = true;
	s->full_until = jiffies + FULL_WAIT;
	spin_unlock(&s->lock);
	if (news)
		pr_err("VM %d (%s): no room on the disk for its swap file %pD: nothing is swapped for a minute\n",
		       vm->pid, vm->name, s->file);
}

/* Pages in one go.  Return: 0 or an error; less than all is -EIO. */
static int transfer(struct mrm_swap *s, unsigned int direction, unsigned long slot,
		    struct page **pages, unsigned int n)
{
	struct bio_vec bvec[MRM_SWAP_RUN];
	loff_t pos = (loff_t)slot << PAGE_SHIFT;
	struct iov_iter iter;
	unsigned int i, flags;
	ssize_t bytes;

	for (i = 0; i < n; i++)
		bvec_set_page(&bvec[i], pages[i], PAGE_SIZE, 0);
	iov_iter_bvec(&iter, direction, bvec, n, (size_t)n << PAGE_SHIFT);
	/* Memory is being reclaimed, or somebody waits for a page: no more of either. */
	flags = memalloc_noreclaim_save();
	if (direction == ITER_SOURCE)
		bytes = mrm_vfs_iter_write(s->file, &iter, &pos);
	else
		bytes = vfs_iter_read(s->file, &iter, &pos, 0);
	memalloc_noreclaim_restore(flags);
	if (bytes < 0)
		return bytes;
	return bytes == (ssize_t)n << PAGE_SHIFT ? 0 : -EIO;
}

/**
 * mrm_swap_write() - write pages to slots
 * @vm: the VM
 * @slot: the first of as many in a row
 * @pages: what to write
 * @n: how many, up to MRM_SWAP_RUN
 *
 * Context: Sleeps until it is done; no lock is held that a file system might wait for.
 * Return: 0 or an error.
 */
int mrm_swap_write(struct mrm_vm *vm, unsigned long slot, struct page **pages, unsigned int n)
{
	struct mrm_swap *s = vm->swap;
	int err = transfer(s, ITER_SOURCE, slot, pages, n);

	if (err == -ENOSPC || err == -EDQUOT)
		found_full(vm, s);
	else if (err)
		pr_err_ratelimited("VM %d (%s): %u pages could not be written to slot %lu of %pD (%d): they stay in memory\n",
				   vm->pid, vm->name, n, slot, s->file, err);
	return err;
}

/**
 * mrm_swap_read() - read slots into pages
 * @vm: the VM
 * @slot: the first of as many in a row
 * @pages: where to
 * @n: how many, up to MRM_SWAP_RUN
 *
 * Context: As mrm_swap_write().
 * Return: 0 or an error.
 */
int mrm_swap_read(struct mrm_vm *vm, unsigned long slot, struct page **pages, unsigned int n)
{
	struct mrm_swap *s = vm->swap;
	int err = transfer(s, ITER_DEST, slot, pages, n);

	if (err)
		pr_err_ratelimited("VM %d (%s): %u pages could not be read from slot %lu of %pD (%d)\n",
				   vm->pid, vm->name, n, slot, s->file, err);
	return err;
}
