// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

#include "frame.h"
#include "frame_table.h"
#include "guest_file.h"
#include "guest_page.h"
#include "salt.h"
#include "share.h"
#include "vm.h"

/* A hash that so many hints share is looked through no further. */
#define MAX_STALE	8

/* How long the scanner waits for a VM's mmap lock, in jiffies. */
#define COW_WAIT	(HZ / 2)

static DEFINE_MUTEX(share_lock);

/*
 * Two that had the same hash differ.  A false match?  Or did one of them change
 * since it was hashed?
 */
static bool false_match(struct page *frame, struct page *other, u64 salt, u64 hash)
{
	return mrm_frame_compute_hash(frame, salt) == hash &&
	       mrm_frame_compute_hash(other, salt) == hash;
}

static bool share_with(struct mrm_vm *vm, unsigned long index, struct page *frame,
		       struct page *shared, u64 hash)
{
	int err = mrm_guest_page_share(vm, index, frame, shared);

	if (!err)
		return true;
	if (err == -ESTALE && false_match(frame, shared, vm->salt, hash))
		mrm_guest_page_bar(vm, index);
	mrm_shared_put(shared);
	return false;
}

static bool share_zero(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	struct page *zero = mrm_shared_zero(vm, vm->salt);

	if (!zero)
		return false;
	if (!mrm_guest_page_share(vm, index, frame, zero))
		return true;
	mrm_shared_put(zero);
	return false;
}

static bool share_both(struct mrm_vm *vm, unsigned long index, struct page *frame,
		       struct mrm_vm *hint_vm, unsigned long hint_index, struct page *hint,
		       u64 hash)
{
	struct page *shared;

	if (!READ_ONCE(hint_vm->cow) || !READ_ONCE(hint_vm->share))
		return false;
	shared = mrm_shared_create(hint_vm, hash, vm->salt, false, hint);
	if (!shared)
		return false;
	/* A name for each, before one is given away: its owner may break it. */
	atomic_long_inc(mrm_frame_refs(shared));
	if (mrm_guest_page_share(hint_vm, hint_index, hint, shared)) {
		mrm_shared_put(shared);
		mrm_shared_put(shared);
		return false;
	}
	if (mrm_guest_page_share(vm, index, frame, shared)) {
		mrm_shared_put(shared);
		return false;
	}
	return true;
}

/* Look for another private page with these contents among the hints. */
static bool share_with_hint(struct mrm_vm *vm, unsigned long index, struct page *frame, u64 hash)
{
	struct mrm_vm *hint_vm;
	unsigned long hint_index;
	struct page *hint;
	bool shared = false, stale = true;
	int tries;

	for (tries = 0; stale && !shared && tries < MAX_STALE; tries++) {
		hint = mrm_hint_get(hash, vm->salt, frame, &hint_vm, &hint_index);
		if (!hint)
			return false;
		/* Equal to a page just hashed: no need to hash this one again. */
		if (mrm_frames_equal(frame, hint)) {
			stale = false;
			shared = share_both(vm, index, frame, hint_vm, hint_index, hint, hash);
		} else {
			stale = mrm_frame_compute_hash(hint, vm->salt) != hash;
			if (stale)
				mrm_guest_page_hint(hint_vm, hint_index, hint, 0);
			else if (false_match(frame, hint, vm->salt, hash))
				mrm_guest_page_bar(vm, index);
		}
		put_page(hint);
		mrm_vm_put(hint_vm);
	}
	return shared;
}

/**
 * mrm_share_page() - try to share one guest page
 * @vm: a VM that mrm_share_begin() let pass
 * @index: the guest page
 *
 * Context: The scanner; may sleep.  Takes the share lock.
 * Return: true if the guest page, private before, is shared now.
 */
bool mrm_share_page(struct mrm_vm *vm, unsigned long index)
{
	struct page *frame, *shared;
	bool done = false;
	u64 hash;

	mutex_lock(&share_lock);
	frame = mrm_guest_page_get(vm, index);
	if (!frame)
		goto unlock;
	mrm_count(vm, MRM_SCANNED, 1);
	if (mrm_frame_is_shared(frame) || !READ_ONCE(vm->cow) || !READ_ONCE(vm->share) ||
	    PageHWPoison(frame) || folio_maybe_dma_pinned(page_folio(frame)) ||
	    xa_get_mark(&vm->pages, index, MRM_MARK_INELIGIBLE))
		goto put;
	if (mrm_frame_contents_zero(frame)) {
		done = share_zero(vm, index, frame);
		goto put;
	}
	hash = mrm_frame_compute_hash(frame, vm->salt);
	mrm_frame_table_make_room(hash);
	shared = mrm_shared_get(hash, vm->salt, false);
	if (shared)
		done = share_with(vm, index, frame, shared, hash);
	else
		done = share_with_hint(vm, index, frame, hash);
	if (!done)
		mrm_guest_page_hint(vm, index, frame, hash);
put:
	put_page(frame);
unlock:
	mutex_unlock(&share_lock);
	return done;
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
		/* Without the share lock: the process may let us wait. */
		if (!share && !err)
			err = mrm_guest_file_stop_cow(vm);
		/* -EBUSY: a read fault that was under way mapped zero. */
	} while (err == -EBUSY);
	mutex_unlock(&vm->switch_lock);
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
