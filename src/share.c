// SPDX-License-Identifier: GPL-2.0
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

#include "frame.h"
#include "guest_cached.h"
#include "guest_file.h"
#include "guest_large.h"
#include "guest_page.h"
#include "large_scan.h"
#include "salt.h"
#include "share.h"
#include "share_pages.h"
#include "vm.h"

/* How long the scanner waits for a VM's mmap lock, in jiffies. */
#define COW_WAIT	(2 * HZ)

/* And who breaks large frames for the share lock. */
#define LOCK_WAIT	(HZ / 20)

static DEFINE_MUTEX(share_lock);

/**
 * mrm_share_block() - try to share neighbouring guest pages
 * @vm: a VM that mrm_share_begin() let pass
 * @first: the first guest page
 * @pages: how many, up to MRM_SHARE_BLOCK
 * @scanned: where to add how many have a frame
 *
 * Context: The scanner; may sleep.  Takes the share lock.
 * Return: as mrm_share_pages().
 */
unsigned int mrm_share_block(struct mrm_vm *vm, unsigned long first, unsigned int pages,
			     unsigned long *scanned)
{
	unsigned int shared = 0;

	mutex_lock(&share_lock);
	if (READ_ONCE(vm->cow) && READ_ONCE(vm->share))
		shared = mrm_share_pages(vm, first, pages, true, scanned);
	mutex_unlock(&share_lock);
	return shared;
}

/**
 * mrm_share_try_block() - the same for who reclaims
 * @vm: a VM
 * @first: the first guest page
 * @pages: how many, up to MRM_SHARE_BLOCK
 *
 * Memory may be what the holder of the share lock waits for, so it is not waited for.
 *
 * Context: May sleep.
 * Return: as mrm_share_pages().
 */
unsigned int mrm_share_try_block(struct mrm_vm *vm, unsigned long first, unsigned int pages)
{
	unsigned long unused = 0;
	unsigned int shared = 0;

	if (!READ_ONCE(vm->cow) || !mutex_trylock(&share_lock))
		return 0;
	/* A VM that came while the mode was being changed waits for the scanner. */
	if (vm->cow && READ_ONCE(vm->share) &&
	    vm->salt == mrm_salt_effective(vm, vm->named_salt))
		shared = mrm_share_pages(vm, first, pages, pages == MRM_SHARE_BLOCK, &unused);
	mutex_unlock(&share_lock);
	return shared;
}

/**
 * mrm_share_scans() - is a VM scanned, or never?
 * @vm: the VM
 *
 * Context: Any.
 * Return: whether it is.
 */
bool mrm_share_scans(struct mrm_vm *vm)
{
	return READ_ONCE(vm->share) && READ_ONCE(vm->cow);
}

/**
 * mrm_share_scan_large() - share what can be of a large frame, or find out what breaking it saves
 * @vm: a VM; one that does not share may still hold zeroes
 * @index: a guest page in it
 *
 * For who reclaims, as mrm_share_try_block().
 *
 * Context: May sleep.
 * Return: as mrm_share_pages().
 */
unsigned int mrm_share_scan_large(struct mrm_vm *vm, unsigned long index)
{
	unsigned long i, first = round_down(index, MRM_LARGE_PAGES);
	unsigned int brought = 0;

	if (!mrm_share_scans(vm)) {
		mrm_large_scan_zeroes(vm, first);
		return 0;
	}
	for (i = 0; i < MRM_LARGE_PAGES; i += MRM_SHARE_BLOCK)
		brought += mrm_share_try_block(vm, first + i, MRM_SHARE_BLOCK);
	return brought;
}

/* A block of the scanner is over by then; who makes a whole VM's pages private is not. */
static bool lock(bool wait)
{
	unsigned long until = jiffies + LOCK_WAIT;

	while (!mutex_trylock(&share_lock)) {
		if (!wait || time_after(jiffies, until))
			return false;
		schedule_timeout_uninterruptible(1);
	}
	return true;
}

/**
 * mrm_share_break_large() - break the large frame of a guest page, and share what can be shared
 * @vm: a VM
 * @index: the guest page; nothing is done if it is in none
 * @wait: a moment for the share lock; if somebody else holds it what could be shared is copied
 * @freed: as in mrm_guest_large_break()
 *
 * Nothing is copied that equals a shared frame, and of what is likely to have equals only the
 * first is.
 *
 * Context: May sleep.
 * Return: as mrm_guest_large_break().
 */
int mrm_share_break_large(struct mrm_vm *vm, unsigned long index, bool wait, unsigned int *freed)
{
	bool locked = READ_ONCE(vm->cow) && lock(wait);
	bool share = locked && vm->cow && READ_ONCE(vm->share) &&
		     vm->salt == mrm_salt_effective(vm, vm->named_salt);
	int err = mrm_guest_large_break(vm, index, share ? mrm_large_scan_expects : NULL, true,
					freed);

	if (locked)
		mutex_unlock(&share_lock);
	return err;
}

/**
 * mrm_share_prepare() - before a VM's first page is shared
 * @vm: the VM
 *
 * As mrm_share_begin(), for who reclaims: waits for nobody.
 *
 * Context: May sleep.
 */
void mrm_share_prepare(struct mrm_vm *vm)
{
	if (!READ_ONCE(vm->cow) && !mrm_vm_not_to_share(vm))
		mrm_vm_start_cow(vm);
}

/* Make every shared guest page private but those of salt @keep. */
static int unshare_all(struct mrm_vm *vm, u64 keep, bool may_stop)
{
	unsigned long index;
	struct page *frame;
	void *entry;
	int err = 0;

	xa_for_each_marked(&vm->pages, index, entry, MRM_MARK_SHARED) {
		frame = mrm_guest_page_get(vm, index);
		if (!frame)
			continue;
		if (mrm_frame_is_shared(frame) && mrm_frame_salt(frame) != keep)
			err = mrm_guest_page_unshare(vm, index);
		put_page(frame);
		if (!err && may_stop && signal_pending(current))
			err = -EINTR;
		if (err)
			break;
		cond_resched();
	}
	return err;
}

static void store_salt(struct mrm_vm *vm, u64 salt)
{
	/* install() looks under this lock before it lets a fault share. */
	xa_lock(&vm->pages);
	vm->salt = salt;
	xa_unlock(&vm->pages);
}

/*
 * Back to the salt that all nonzero shared pages still have.  What has the new
 * one by now are zero pages that faults found; to give those up takes no memory.
 */
static void revert_salt(struct mrm_vm *vm, u64 salt)
{
	store_salt(vm, salt);
	unshare_all(vm, salt, false);
}

/* Context: share lock held. */
static int change_salt(struct mrm_vm *vm, u64 salt)
{
	u64 old = vm->salt;
	int err;

	if (salt == old)
		return 0;
	store_salt(vm, salt);
	err = unshare_all(vm, salt, true);
	if (err)
		revert_salt(vm, old);
	return err;
}

/**
 * mrm_share_begin() - may this VM be scanned for pages to share?
 * @vm: the VM
 *
 * Before its first page is shared, its mappings must be given page_mkwrite;
 * that is begun here, and the VM may be scanned when it is done.
 *
 * Context: The scanner, before it turns to the VM; may sleep.
 * Return: true if it may.
 */
bool mrm_share_begin(struct mrm_vm *vm)
{
	bool begun = false;
	const char *state;

	mutex_lock(&share_lock);
	/* It may have been created while the mode was being changed. */
	change_salt(vm, mrm_salt_effective(vm, vm->named_salt));
	state = mrm_vm_not_to_share(vm);
	if (!state && !READ_ONCE(vm->cow)) {
		begun = mrm_vm_start_cow(vm);
		state = "waiting";
	}
	WRITE_ONCE(vm->share_state, state ?: "on");
	mutex_unlock(&share_lock);
	/* A moment, and only once: a process may hold its mmap lock for ever. */
	if (begun && wait_var_event_timeout(&vm->cow, READ_ONCE(vm->cow), COW_WAIT)) {
		WRITE_ONCE(vm->share_state, "on");
		return true;
	}
	return !state;
}

/**
 * mrm_share_set_enabled() - let a VM share, or make all it has private
 * @vm: the VM
 * @share: which
 *
 * When it is off the VM's memory can again be pinned for long, as for a device
 * that is plugged in.
 *
 * Context: May sleep, and allocates all that was saved.
 * Return: 0; -ENOMEM or -EINTR, and then nothing more is shared, but what was
 * shared may still be.
 */
int mrm_share_set_enabled(struct mrm_vm *vm, bool share)
{
	int err = 0;

	if (mutex_lock_interruptible(&vm->switch_lock))
		return -EINTR;
	do {
		mutex_lock(&share_lock);
		WRITE_ONCE(vm->share, share);
		WRITE_ONCE(vm->share_state, share ? "waiting" : "off");
		if (!share)
			err = unshare_all(vm, 0, true);
		mutex_unlock(&share_lock);
		if (!share && !err)
			err = mrm_guest_cached_drop_all(vm);
		/* Without the share lock: the process may let us wait. */
		if (!share && !err)
			err = mrm_guest_file_stop_cow(vm);
		/* -EBUSY: a read fault that was under way mapped zero, or a read kept its slot. */
	} while (err == -EBUSY && !signal_pending(current));
	mutex_unlock(&vm->switch_lock);
	if (err == -EBUSY)
		return -EINTR;
	return err == -ESRCH ? 0 : err;
}

/**
 * mrm_share_set_salt() - give a VM a salt
 * @vm: the VM
 * @text: up to MRM_SALT_MAX - 1 characters; "" for none
 *
 * What it shares under the old salt becomes private first.
 *
 * Return: 0, -ENOMEM or -EINTR; then the salt is the old one.
 */
int mrm_share_set_salt(struct mrm_vm *vm, const char *text)
{
	struct mrm_named_salt *named = NULL;
	int err;

	if (*text) {
		named = mrm_salt_get(text);
		if (!named)
			return -ENOMEM;
	}
	mutex_lock(&share_lock);
	err = change_salt(vm, mrm_salt_effective(vm, named));
	if (!err)
		swap(vm->named_salt, named);
	mutex_unlock(&share_lock);
	mrm_salt_put(named);
	return err;
}

/**
 * mrm_share_show_salt() - the salt an administrator gave
 * @vm: the VM
 * @buf: a page
 * Return: bytes written.
 */
ssize_t mrm_share_show_salt(struct mrm_vm *vm, char *buf)
{
	ssize_t n;

	mutex_lock(&share_lock);
	n = sysfs_emit(buf, "%s\n", mrm_salt_text(vm->named_salt));
	mutex_unlock(&share_lock);
	return n;
}

/* Every VM to the salt that the mode gives it; @revert: back to it. */
static int look_again_at_salts(bool revert)
{
	unsigned long id = 0;
	struct mrm_vm *vm;
	int err = 0;

	while (!err && (vm = mrm_vm_next(&id))) {
		u64 salt = mrm_salt_effective(vm, vm->named_salt);

		if (!revert)
			err = change_salt(vm, salt);
		else if (salt != vm->salt)
			revert_salt(vm, salt);
		mrm_vm_put(vm);
	}
	return err;
}

/**
 * mrm_share_set_force_salting() - ESX's Mem.ShareForceSalting
 * @mode: 0 to 2, see enum mrm_force_salting
 *
 * Return: 0; -EINVAL; -ENOMEM or -EINTR, and then the mode is the old one.
 */
int mrm_share_set_force_salting(unsigned int mode)
{
	enum mrm_force_salting old;
	int err;

	if (mode > MRM_SALT_FORCE)
		return -EINVAL;
	mutex_lock(&share_lock);
	old = mrm_salt_mode();
	mrm_salt_set_mode(mode);
	err = look_again_at_salts(false);
	if (err) {
		/* Those that had changed share no more than zero pages yet. */
		mrm_salt_set_mode(old);
		look_again_at_salts(true);
	}
	mutex_unlock(&share_lock);
	return err;
}

/**
 * mrm_share_pause() - keep the scanner, and changes of salts, out
 *
 * Context: May sleep.  Until mrm_share_resume(), by the same task.
 */
void mrm_share_pause(void)
{
	mutex_lock(&share_lock);
}

/**
 * mrm_share_resume() - let them go on
 */
void mrm_share_resume(void)
{
	mutex_unlock(&share_lock);
}
