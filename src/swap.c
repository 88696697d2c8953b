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
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uio.h>

#include "compat.h"
#include "swap.h"
#include "vm.h"

#define LEAST_SLOTS	16UL
#define BLOCK_SLOTS	(PAGE_SIZE * BITS_PER_BYTE)	/* that a page of the bitmap has */
#define GAP_LOOKS	4		/* blocks in which a large gap is looked for */
#define PAUSE_LEAST	HZ		/* jiffies, after a write that failed */
#define PAUSE_MOST	(64 * HZ)	/* when they fail again and again */

/**
 * struct mrm_swap - a VM's swap file
 * @node: in files, under files_lock
 * @file: open for direct I/O
 * @lock: of what follows; a leaf
 * @slots: pages it has room for; more when it has grown
 * @used: a bit for each slot that is not free
 * @block_free: free slots in each BLOCK_SLOTS: so that a search is short, however full
 * @next: where to look for free ones
 * @free: how many there are
 * @bad: slots that were retired
 * @pause: jiffies for which nothing is written, as writes fail; 0: they do not
 * @paused_until: jiffies
 * @doubtful: something could not be read, and nothing has been written since
 */
struct mrm_swap {
	struct list_head node;
	struct file *file;
	spinlock_t lock;
	unsigned long slots;
	unsigned long *used;
	u16 *block_free;
	unsigned long next;
	unsigned long free;
	unsigned long bad;
	unsigned long pause;
	unsigned long paused_until;
	bool doubtful;
};

/* A VM's swap file, all of it, or NULL. */
static struct mrm_swap *swap_of(const struct mrm_vm *vm)
{
	/* Pairs with mrm_swap_open(). */
	return smp_load_acquire(&vm->swap);
}

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
	if (file->f_flags & O_APPEND)
		return "open with O_APPEND";
	if (IS_SWAPFILE(inode))
		return "the kernel swaps to it";
	if (i_size_read(inode) >> PAGE_SHIFT < LEAST_SLOTS)
		return "too small";
	return NULL;
}

/* How many slots the block has that begins with one. */
static unsigned long block_slots(const struct mrm_swap *s, unsigned long slot)
{
	return min(s->slots - slot, BLOCK_SLOTS);
}

static void free_swap(struct mrm_swap *s)
{
	if (!s)
		return;
	kvfree(s->block_free);
	kvfree(s->used);
	kfree(s);
}

static unsigned long slots_of(const struct file *file)
{
	return min_t(u64, i_size_read(file->f_mapping->host) >> PAGE_SHIFT,
		     1UL << MRM_SWAP_SLOT_BITS);
}

static struct mrm_swap *alloc_swap(struct file *file)
{
	struct mrm_swap *s = kzalloc(sizeof(*s), GFP_KERNEL);
	unsigned long slot, blocks;

	if (!s)
		return NULL;
	spin_lock_init(&s->lock);
	s->slots = slots_of(file);
	s->free = s->slots;
	blocks = DIV_ROUND_UP(s->slots, BLOCK_SLOTS);
	s->used = kvcalloc(BITS_TO_LONGS(s->slots), sizeof(*s->used), GFP_KERNEL);
	s->block_free = kvcalloc(blocks, sizeof(*s->block_free), GFP_KERNEL);
	if (!s->used || !s->block_free) {
		free_swap(s);
		return NULL;
	}
	for (slot = 0; slot < s->slots; slot += BLOCK_SLOTS)
		s->block_free[slot / BLOCK_SLOTS] = block_slots(s, slot);
	return s;
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

/* What was written there through the page cache must not be written over us. */
static int drop_cached(struct file *file, unsigned long slot)
{
	return filemap_write_and_wait_range(file->f_mapping, (loff_t)slot << PAGE_SHIFT,
					    LLONG_MAX) ?:
	       invalidate_inode_pages2_range(file->f_mapping, slot, -1);
}

/* A file that a VM is to have.  Return: 0, and the reference is its own, or an error. */
static int take_file(struct mrm_vm *vm, struct file *file)
{
	struct mrm_swap *s;
	const char *why;
	int err = 0;

	if (S_ISREG(file_inode(file)->i_mode) || S_ISBLK(file_inode(file)->i_mode))
		err = drop_cached(file, 0);
	if (err)
		return err;
	why = why_not(file);
	if (why) {
		pr_warn_ratelimited("VM %d (%s): %pD cannot be its swap file: %s\n", vm->pid,
				    vm->name, file, why);
		return -EINVAL;
	}
	s = alloc_swap(file);
	if (!s)
		return -ENOMEM;
	err = -EBUSY;
	mutex_lock(&files_lock);
	if (!vm->swap && !in_use(file->f_mapping->host)) {
		s->file = file;
		list_add(&s->node, &files);
		/* Who sees it sees all of it. */
		smp_store_release(&vm->swap, s);
		err = 0;
	}
	mutex_unlock(&files_lock);
	if (err)
		free_swap(s);
	return err;
}

/*
 * Have the slots of a larger one, where no slot is used so far; it gets what there was.  Of a file
 * of 64 GiB 2 MiB are copied.  Context: s->lock.
 */
static void extend(struct mrm_swap *s, struct mrm_swap *larger)
{
	unsigned long slot;

	bitmap_copy(larger->used, s->used, s->slots);
	for (slot = 0; slot < s->slots; slot += BLOCK_SLOTS)
		larger->block_free[slot / BLOCK_SLOTS] -=
			block_slots(s, slot) - s->block_free[slot / BLOCK_SLOTS];
	WRITE_ONCE(s->free, s->free + larger->slots - s->slots);
	WRITE_ONCE(s->slots, larger->slots);
	swap(s->used, larger->used);
	swap(s->block_free, larger->block_free);
}

/*
 * A VM's file once more: it may have grown.  What is in use of it is read and written meanwhile,
 * past the page cache, so only what is new of it is dropped there.
 */
static int take_growth(struct mrm_vm *vm, struct mrm_swap *s, struct file *file)
{
	unsigned long known = READ_ONCE(s->slots), slots = slots_of(file);
	struct mrm_swap *larger;
	int err;

	if (slots < known) {
		pr_warn_ratelimited("VM %d (%s): its swap file %pD has %lu pages, which is less than the %lu it had: it can only grow\n",
				    vm->pid, vm->name, file, slots, known);
		return -EINVAL;
	}
	if (slots == known)
		return 0;
	err = drop_cached(file, known);
	if (err)
		return err;
	larger = alloc_swap(file);
	if (!larger)
		return -ENOMEM;
	spin_lock(&s->lock);
	/* Somebody else may have told of more meanwhile. */
	if (larger->slots > s->slots)
		extend(s, larger);
	spin_unlock(&s->lock);
	free_swap(larger);
	return 0;
}

/**
 * mrm_swap_open() - give a VM its swap file, or tell that it has grown
 * @vm: the VM
 * @fd: of the current process: a file or a block device, open for reading, writing and
 *	direct I/O, that no other VM has; or once more the VM's own
 *
 * Context: May sleep.
 * Return: 0; -EBADF; -EINVAL, with a line in the log; -EBUSY if the VM has another one, or
 * another VM has this; -ENOMEM; an error of the file.
 */
int mrm_swap_open(struct mrm_vm *vm, int fd)
{
	struct file *file = fget(fd);
	struct mrm_swap *s = swap_of(vm);
	int err;

	if (!file)
		return -EBADF;
	if (s && s->file->f_mapping->host == file->f_mapping->host) {
		err = take_growth(vm, s, file);
		fput(file);
		return err;
	}
	err = take_file(vm, file);
	if (err)
		fput(file);
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
	struct mrm_swap *s = swap_of(vm);
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

static bool is_paused(const struct mrm_swap *s)
{
	return READ_ONCE(s->pause) && time_before(jiffies, READ_ONCE(s->paused_until));
}

/**
 * mrm_swap_free_slots() - room in a VM's swap file
 * @vm: the VM
 * Return: pages; 0 if it has none, or nothing is written for a while, as writes failed.
 */
unsigned long mrm_swap_free_slots(const struct mrm_vm *vm)
{
	struct mrm_swap *s = swap_of(vm);

	return s && !is_paused(s) ? READ_ONCE(s->free) : 0;
}

/**
 * mrm_swap_doubt() - what is in a VM's swap file may not be readable
 * @vm: a VM that has one, of which something could not be read
 *
 * Until something is written.
 */
void mrm_swap_doubt(struct mrm_vm *vm)
{
	WRITE_ONCE(swap_of(vm)->doubtful, true);
}

/**
 * mrm_swap_is_doubtful() - may what is in a VM's swap file not be readable?
 * @vm: the VM
 * Return: true if so.
 */
bool mrm_swap_is_doubtful(const struct mrm_vm *vm)
{
	struct mrm_swap *s = swap_of(vm);

	return s && READ_ONCE(s->doubtful);
}

/**
 * mrm_swap_has_room() - can guest pages be written to a VM's swap file?
 * @vm: the VM
 * Return: true if slots are free, or are given back when they are wanted (guest_cached.h), and
 * writes do not fail.
 */
bool mrm_swap_has_room(const struct mrm_vm *vm)
{
	struct mrm_swap *s = swap_of(vm);

	return s && !is_paused(s) &&
	       (READ_ONCE(s->free) || mrm_counter_read(&vm->counters, MRM_SWAP_CACHED) > 0);
}

/**
 * mrm_swap_bad_slots() - slots of a VM's swap file that could not be written
 * @vm: the VM
 * Return: how many.
 */
unsigned long mrm_swap_bad_slots(const struct mrm_vm *vm)
{
	struct mrm_swap *s = swap_of(vm);

	return s ? READ_ONCE(s->bad) : 0;
}

/* The next free slot, or one past the last.  Context: s->lock. */
static unsigned long find_free(struct mrm_swap *s, unsigned long slot)
{
	unsigned long end;

	for (; slot < s->slots; slot = end) {
		end = min(round_down(slot, BLOCK_SLOTS) + BLOCK_SLOTS, s->slots);
		if (s->block_free[slot / BLOCK_SLOTS])
			slot = find_next_zero_bit(s->used, end, slot);
		else
			slot = end;
		if (slot < end)
			return slot;
	}
	return s->slots;
}

/* So many in a row, if they are found soon; or one past the last.  Context: s->lock. */
static unsigned long find_gap(struct mrm_swap *s, unsigned int n)
{
	unsigned long slot = s->next, end, found;
	unsigned int looks = 0;

	for (; slot < s->slots && looks < GAP_LOOKS; slot = end) {
		end = min(round_down(slot, BLOCK_SLOTS) + BLOCK_SLOTS, s->slots);
		if (s->block_free[slot / BLOCK_SLOTS] < n)
			continue;
		looks++;
		found = bitmap_find_next_zero_area(s->used, end, slot, n, 0);
		if (found < end)
			return found;
	}
	return s->slots;
}

/* Context: s->lock. */
static void set_used(struct mrm_swap *s, unsigned long slot, bool used)
{
	WARN_ON_ONCE(test_bit(slot, s->used) == used);
	__assign_bit(slot, s->used, used);
	s->block_free[slot / BLOCK_SLOTS] += used ? -1 : 1;
	WRITE_ONCE(s->free, s->free + (used ? -1 : 1));
}

/**
 * mrm_swap_alloc() - slots in a row
 * @vm: the VM
 * @n: how many are wanted
 * @slot: receives the first
 *
 * Context: Any.
 * Return: how many there are, fewer if so many were not found soon; 0 if none is free, or
 * nothing is written for a while, as writes failed.
 */
unsigned int mrm_swap_alloc(struct mrm_vm *vm, unsigned int n, unsigned long *slot)
{
	struct mrm_swap *s = swap_of(vm);
	unsigned long i, first, end;

	if (!s || is_paused(s))
		return 0;
	spin_lock(&s->lock);
	first = find_gap(s, n);
	if (first == s->slots)
		first = find_free(s, s->next);
	if (first == s->slots)
		first = find_free(s, 0);
	end = find_next_bit(s->used, min(first + n, s->slots), first);
	for (i = first; i < end; i++)
		set_used(s, i, true);
	s->next = end;
	spin_unlock(&s->lock);
	*slot = first;
	return end - first;
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
	set_used(s, slot, false);
	spin_unlock(&s->lock);
}

/* A slot is not to be used again. */
static void retire(struct mrm_swap *s)
{
	spin_lock(&s->lock);
	WRITE_ONCE(s->bad, s->bad + 1);
	spin_unlock(&s->lock);
}

/* Nothing could be written: nothing is for a while. */
static void begin_pause(struct mrm_vm *vm, struct mrm_swap *s, int err)
{
	unsigned long pause = 0;

	spin_lock(&s->lock);
	if (!is_paused(s)) {
		pause = clamp_t(unsigned long, 2 * s->pause, PAUSE_LEAST, PAUSE_MOST);
		WRITE_ONCE(s->paused_until, jiffies + pause);
		WRITE_ONCE(s->pause, pause);
	}
	spin_unlock(&s->lock);
	if (!pause)
		return;
	if (err == -ENOSPC || err == -EDQUOT)
		pr_err_ratelimited("VM %d (%s): the disk of its swap file %pD is full: nothing is swapped for %lu s\n",
				   vm->pid, vm->name, s->file, pause / HZ);
	else
		pr_err_ratelimited("VM %d (%s): its swap file %pD cannot be written (%d): nothing is swapped for %lu s\n",
				   vm->pid, vm->name, s->file, err, pause / HZ);
}

/*
 * Pages in one go.  Writes may use the kernel's reserves, as its own swap does: they free more
 * than they take.  Reads may not, but wait for no I/O besides their own.
 *
 * Return: 0 or an error; less than all is -EIO.
 */
static int transfer(struct mrm_swap *s, unsigned int direction, unsigned long slot,
		    struct page **pages, unsigned int n)
{
	struct bio_vec bvec[MRM_SWAP_WRITE];
	loff_t pos = (loff_t)slot << PAGE_SHIFT;
	struct iov_iter iter;
	unsigned int i, flags;
	ssize_t bytes;

	for (i = 0; i < n; i++)
		bvec_set_page(&bvec[i], pages[i], PAGE_SIZE, 0);
	iov_iter_bvec(&iter, direction, bvec, n, (size_t)n << PAGE_SHIFT);
	if (direction == ITER_SOURCE) {
		flags = memalloc_noreclaim_save();
		bytes = mrm_vfs_iter_write(s->file, &iter, &pos);
		memalloc_noreclaim_restore(flags);
	} else {
		flags = memalloc_noio_save();
		bytes = vfs_iter_read(s->file, &iter, &pos, 0);
		memalloc_noio_restore(flags);
	}
	if (bytes < 0)
		return bytes;
	return bytes == (ssize_t)n << PAGE_SHIFT ? 0 : -EIO;
}

/* Something was written. */
static void works(struct mrm_swap *s)
{
	/* As nearly always it is neither, the word that others read is left alone. */
	if (READ_ONCE(s->pause))
		WRITE_ONCE(s->pause, 0);
	if (READ_ONCE(s->doubtful))
		WRITE_ONCE(s->doubtful, false);
}

/* Does an error say that a slot is bad, not the disk, or that there was no memory? */
static bool is_of_slot(int err)
{
	return err == -EIO || err == -ENODATA;
}

/* Or that what was written changed meanwhile, as a guest may, on a disk that would know? */
static bool is_of_page(int err)
{
	return err == -EILSEQ;
}

/*
 * What could not be written together, each by itself: one bad slot must not cost the others
 * theirs.  *err: the last error.  Return: a bit for each page that was written.
 */
static unsigned long write_singly(struct mrm_vm *vm, unsigned long slot, struct page **pages,
				  unsigned int n, int *err)
{
	struct mrm_swap *s = vm->swap;
	unsigned long good = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		int e = *err;

		if (n > 1 && (is_of_slot(e) || is_of_page(e)))
			e = transfer(s, ITER_SOURCE, slot + i, &pages[i], 1);
		if (!e) {
			good |= BIT(i);
			continue;
		}
		*err = e;
		/* While nothing can be written at all, it is not this slot. */
		if (!is_of_slot(e) || (!good && READ_ONCE(s->pause))) {
			mrm_swap_free(vm, slot + i);
			continue;
		}
		retire(s);
		pr_err_ratelimited("VM %d (%s): slot %lu of %pD cannot be written (%d): the page stays in memory\n",
				   vm->pid, vm->name, slot + i, s->file, e);
	}
	return good;
}

/**
 * mrm_swap_write() - write pages to slots
 * @vm: the VM
 * @slot: the first of as many in a row
 * @pages: what to write
 * @n: how many, up to MRM_SWAP_RUN
 *
 * A slot that cannot be written is never used again; if that is for another reason, or nothing
 * can be written, it is free again.
 *
 * Context: Sleeps until it is done; no lock is held that a file system might wait for.
 * Return: a bit for each page that was written; the others' slots are the caller's no more.
 */
unsigned long mrm_swap_write(struct mrm_vm *vm, unsigned long slot, struct page **pages,
			     unsigned int n)
{
	struct mrm_swap *s = vm->swap;
	bool paused = is_paused(s);
	int err = paused ? -EAGAIN : transfer(s, ITER_SOURCE, slot, pages, n);
	unsigned long good;

	good = err ? write_singly(vm, slot, pages, n, &err) : GENMASK(n - 1, 0);
	if (good)
		works(s);
	else if (!good && !paused && !is_of_page(err))
		begin_pause(vm, s, err);
	return good;
}

/**
 * mrm_swap_write_all() - write pages to slots in one request, or leave it to mrm_swap_write()
 * @vm: the VM
 * @slot: the first of as many in a row
 * @pages: what to write
 * @n: how many, up to MRM_SWAP_WRITE
 *
 * Context: As mrm_swap_write().
 * Return: 0, or an error, of which nothing follows but that some were not written.
 */
int mrm_swap_write_all(struct mrm_vm *vm, unsigned long slot, struct page **pages,
		       unsigned int n)
{
	struct mrm_swap *s = vm->swap;
	int err = is_paused(s) ? -EAGAIN : transfer(s, ITER_SOURCE, slot, pages, n);

	if (!err)
		works(s);
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
	return transfer(vm->swap, ITER_DEST, slot, pages, n);
}

/**
 * mrm_swap_file() - a VM's swap file, for messages
 * @vm: a VM that has one
 * Return: the file.
 */
struct file *mrm_swap_file(struct mrm_vm *vm)
{
	return vm->swap->file;
}
