// SPDX-License-Identifier: GPL-2.0
/* Guest pages whose frames are parts of a large frame: how they come into it, and out of it. */
#include <linux/cpuset.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "frame.h"
#include "frame_table.h"
#include "guest_entry.h"
#include "guest_hot.h"
#include "guest_large.h"
#include "guest_page.h"
#include "large_reserve.h"
#include "trace.h"
#include "vm.h"

#define PARTS		MRM_LARGE_PAGES
#define WORD_PARTS	64U	/* parts that a byte of a word is about */

/* At once, and for want of it from a reserve of our own, not the kernel's. */
#define MOVE_FLAGS	(MRM_SPARE | __GFP_NOMEMALLOC)

static bool allowed;	/* there is memory enough */

static DEFINE_MUTEX(breaking);	/* one at a time; taken before the frame's lock */

/**
 * mrm_guest_large_allow() - say whether there are to be large frames from now on
 * @allow: they are
 *
 * Context: Any.
 */
void mrm_guest_large_allow(bool allow)
{
	WRITE_ONCE(allowed, allow);
}

static unsigned long first_of(unsigned long index)
{
	return round_down(index, PARTS);
}

/* The guest page has a part of @frame, of which that is the first one. */
static bool has_part(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	return xa_load(&vm->pages, index) == frame + index % PARTS;
}

/*
 * Each guest page gets its part, if none of them is anything yet.  Those that do while another
 * has a frame already are not seen to have it: the frame is locked.
 *
 * Return: 0, -EEXIST, -ENOMEM.
 */
static int install(struct mrm_vm *vm, unsigned long first, struct page *frame)
{
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	XA_STATE(xas, &vm->pages, first);
	unsigned long i = 0;
	int err;

	page_ref_add(frame, PARTS);
	do {
		xas_lock(&xas);
		while (i < PARTS) {
			xas_set(&xas, first + i);
			if (xas_load(&xas))
				xas_set_err(&xas, -EEXIST);
			xas_store(&xas, frame + i);
			if (xas_error(&xas))
				break;
			xas_set_mark(&xas, MRM_MARK_PRIVATE);
			i++;
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL));
	set_active_memcg(old);
	err = xas_error(&xas);
	if (!err) {
		*mrm_large_word(frame, MRM_LARGE_LEFT) = PARTS;
		mrm_count(vm, MRM_PRIVATE, PARTS);
		mrm_count(vm, MRM_LARGE, 1);
		return 0;
	}
	xa_lock(&vm->pages);
	while (i--)
		__xa_erase(&vm->pages, first + i);
	xa_unlock(&vm->pages);
	page_ref_sub(frame, PARTS);
	return err;
}

/**
 * mrm_guest_large_is_wanted() - may a mapping have large frames?
 * @vma: a mapping of ours
 *
 * Context: The mmap lock, or the mapping's.
 * Return: false if the process wants none, or has it locked.
 */
bool mrm_guest_large_is_wanted(const struct vm_area_struct *vma)
{
	return !(vma->vm_flags & (VM_LOCKED | VM_NOHUGEPAGE)) && !mrm_thp_disabled(vma);
}

/* Can the fault be answered by a mapping of 2 MiB? */
static bool fits(struct mrm_vm *vm, struct vm_fault *vmf)
{
	unsigned long start = vmf->address & PMD_MASK, index = first_of(vmf->pgoff);

	if (!READ_ONCE(allowed) || !READ_ONCE(vm->large))
		return false;
	if (start < vmf->vma->vm_start || start + PMD_SIZE > vmf->vma->vm_end ||
	    !mrm_guest_large_is_wanted(vmf->vma))
		return false;
	/* Where a page table is it stays, and no more than parts are mapped. */
	return pmd_none(READ_ONCE(*vmf->pmd)) && !mrm_guest_any_hot(vm, index, PARTS) &&
	       !xa_find(&vm->pages, &index, index + PARTS - 1, XA_PRESENT);
}

/*
 * A large frame of another node is slower than small ones of this one, unless the thread has a
 * policy that says where from, or has none from here.
 */
static int node_here(void)
{
#ifdef CONFIG_NUMA
	int node = numa_mem_id();

	if (!current->mempolicy && node_state(node, N_MEMORY) &&
	    node_isset(node, cpuset_current_mems_allowed))
		return node;
#endif
	return NUMA_NO_NODE;
}

/**
 * mrm_guest_large_populate() - first touch: nothing -> private, for 2 MiB of guest pages
 * @vm: the VM
 * @vmf: the fault
 *
 * Context: In a fault; does not wait for memory.
 * Return: the part of the guest page that is touched, zeroed, locked and with a reference; NULL
 * if there can be no large frame.
 */
struct page *mrm_guest_large_populate(struct mrm_vm *vm, struct vm_fault *vmf)
{
	unsigned long first = first_of(vmf->pgoff);
	struct page *frame;

	if (!fits(vm, vmf))
		return NULL;
	frame = mrm_frame_alloc_large(vm, first, node_here());
	if (!frame) {
		mrm_count(vm, MRM_LARGE_FAILED, 1);
		return NULL;
	}
	if (!install(vm, first, frame)) {
		mrm_frame_ring();
		trace_mrm_large(vm->pid, first, MRM_LARGE_WAS_POPULATED, PARTS);
		return frame + vmf->pgoff % PARTS;
	}
	mrm_frame_forget_large(frame);
	mrm_frame_unlock(frame);
	put_page(frame);
	return NULL;
}

#define SCANNED		0x80UL	/* in each byte of MRM_LARGE_SAVES */
#define ALL_SCANNED	(SCANNED * 0x0101010101010101UL)

/* Of all eight bytes. */
static unsigned int sum_of_bytes(unsigned long word)
{
	unsigned int sum = 0;

	for (; word; word >>= 8)
		sum += word & (SCANNED - 1);
	return sum;
}

/* By what breaking a frame would save: has all of it been? */
static bool is_scanned(unsigned long saves)
{
	return (saves & ALL_SCANNED) == ALL_SCANNED;
}

/* From now on so many of its parts are known to hold zeroes.  Context: Any; a full barrier. */
static void set_untouched(struct mrm_vm *vm, struct page *frame, unsigned long untouched)
{
	unsigned long old = xchg(mrm_large_word(frame, MRM_LARGE_IS_UNTOUCHED), untouched);

	mrm_count(vm, MRM_LARGE_UNTOUCHED, (long)sum_of_bytes(untouched) - sum_of_bytes(old));
}

/**
 * mrm_guest_large_is_mapped() - a large frame is mapped as a whole, or will never be
 * @vm: the VM
 * @frame: a part of it, locked
 */
void mrm_guest_large_is_mapped(struct mrm_vm *vm, struct page *frame)
{
	if (!*mrm_large_word(frame, MRM_LARGE_IS_REBUILT))
		return;
	*mrm_large_word(frame, MRM_LARGE_IS_REBUILT) = 0;
	atomic_dec(&vm->rebuilt);
}

/* From now on the core maps single parts. */
static void set_broken(struct mrm_vm *vm, struct page *frame)
{
	if (*mrm_large_word(frame, MRM_LARGE_IS_BROKEN))
		return;
	/* What it is for: a whole that may not be mapped, for what is in one of its parts. */
	folio_set_has_hwpoisoned(page_folio(frame));
	*mrm_page_index_word(mrm_frame_first(frame)) |= MRM_INDEX_BROKEN;
	WRITE_ONCE(*mrm_large_word(frame, MRM_LARGE_IS_BROKEN), 1);
	set_untouched(vm, frame, 0);
	mrm_guest_large_is_mapped(vm, frame);
	mrm_count(vm, MRM_LARGE, -1);
	mrm_count(vm, MRM_LARGE_BROKEN, 1);
	trace_mrm_large(vm->pid, mrm_frame_guest_page(mrm_frame_first(frame)), MRM_LARGE_WAS_BROKEN,
			*mrm_large_word(frame, MRM_LARGE_LEFT));
}

/**
 * mrm_guest_large_leave() - a guest page has its part no more
 * @vm: the VM
 * @frame: the part: the entry is another by now; its reference is given up here
 *
 * Context: The frame is locked.
 */
void mrm_guest_large_leave(struct mrm_vm *vm, struct page *frame)
{
	set_broken(vm, frame);
	if (--*mrm_large_word(frame, MRM_LARGE_LEFT)) {
		mrm_count(vm, MRM_LARGE_HELD, 1);
	} else {
		mrm_count(vm, MRM_LARGE_HELD, 1 - (long)PARTS);
		mrm_frame_forget_large(mrm_frame_first(frame));
	}
	put_page(frame);
}

/**
 * mrm_guest_large_drop() - private -> nothing, for all guest pages of a large frame
 * @vm: the VM
 * @first: the first of them
 *
 * Context: As mrm_guest_pages_drop().
 * Return: how many guest pages held something; 0 if they have no large frame that is whole.
 */
unsigned long mrm_guest_large_drop(struct mrm_vm *vm, unsigned long first)
{
	struct page *frame = mrm_entry_frame(xa_load(&vm->pages, first));
	unsigned long i;

	/* Most are none.  It is looked at again when it is locked. */
	if (!frame || !mrm_frame_is_large(frame))
		return 0;
	frame = mrm_guest_page_lock(vm, first, false);
	if (!frame)
		return 0;
	if (!mrm_frame_is_large(frame) || *mrm_large_word(frame, MRM_LARGE_IS_BROKEN)) {
		mrm_frame_unlock(frame);
		put_page(frame);
		return 0;
	}
	xa_lock(&vm->pages);
	for (i = 0; i < PARTS; i++)
		__xa_erase(&vm->pages, first + i);
	xa_unlock(&vm->pages);
	mrm_guest_large_is_mapped(vm, frame);
	mrm_frame_forget_large(frame);
	set_untouched(vm, frame, 0);
	mrm_count(vm, MRM_PRIVATE, -(long)PARTS);
	mrm_count(vm, MRM_LARGE, -1);
	/* Who looks for its guest page finds that it has none. */
	page_ref_sub(frame, PARTS);
	mrm_frame_unlock(frame);
	put_page(frame);
	mrm_frame_ring();
	return PARTS;
}

/*
 * The large frame that a guest page has a part of, locked and with a reference: its first part.
 * NULL if it has none, ERR_PTR(-EBUSY) if somebody else has it locked.
 */
static struct page *lock_frame(struct mrm_vm *vm, unsigned long index)
{
	struct page *part = mrm_guest_page_get(vm, index), *frame;

	if (!part)
		return NULL;
	frame = mrm_frame_first(part);
	if (!mrm_frame_is_large(part) || !mrm_frame_trylock(part)) {
		bool large = mrm_frame_is_large(part);

		put_page(part);
		return large ? ERR_PTR(-EBUSY) : NULL;
	}
	if (has_part(vm, index, frame))
		return frame;
	mrm_frame_unlock(part);
	put_page(part);
	return ERR_PTR(-EBUSY);
}

/*
 * A shared frame with the same contents, named once more; NULL if there is none.  If an equal is
 * expected, which is not shared yet, one is made, *copies: for when that is scanned, or broken.
 */
static struct page *find_equal(struct mrm_vm *vm, struct page *part, mrm_expects_fn *expects,
			       unsigned int *copies)
{
	u64 hash = mrm_frame_compute_hash(part, vm->salt);
	struct page *shared = mrm_shared_get(hash, vm->salt, false);

	if (!shared && expects(vm, hash, part)) {
		shared = mrm_shared_create(vm, hash, vm->salt, part, MOVE_FLAGS);
		if (!shared)
			return NULL;
		/* Not to become one's own before that: see mrm_guest_pages_own(). */
		folio_set_referenced(page_folio(shared));
		++*copies;
		return shared;
	}
	if (!shared || mrm_frames_equal(part, shared))
		return shared;
	mrm_shared_put(shared);
	return NULL;
}

/*
 * One part: to nothing, or to another frame.  Nobody maps it or has it pinned.  *copies: frames
 * that were had for it.
 */
static int move_out(struct mrm_vm *vm, unsigned long index, struct page *part,
		    mrm_expects_fn *expects, unsigned int *copies)
{
	struct page *new;

	if (PageHWPoison(part))
		return -EHWPOISON;
	if (mrm_frame_contents_zero(part)) {
		mrm_entry_replace(vm, index, part, NULL);
		goto left;
	}
	new = expects ? find_equal(vm, part, expects, copies) : NULL;
	if (new) {
		mrm_entry_replace(vm, index, part, mrm_frame_entry(new));
		goto left;
	}
	new = mrm_frame_alloc_node(vm, MOVE_FLAGS, page_to_nid(part));
	if (!new && mrm_large_reserve_give())
		new = mrm_frame_alloc_node(vm, MRM_SPARE, page_to_nid(part));
	if (!new)
		return -ENOMEM;
	copy_highpage(new, part);
	mrm_frame_own(new, vm, index);
	mrm_entry_replace(vm, index, part, new);
	mrm_frame_unlock(new);
	++*copies;
left:
	mrm_guest_large_leave(vm, part);
	return 0;
}

/* Parts that hold zeroes, of a frame that nobody maps. */
static unsigned long count_zeroes(struct mrm_vm *vm, unsigned long first, struct page *frame)
{
	unsigned long i, zeroes = 0;

	for (i = 0; i < PARTS; i++)
		zeroes += has_part(vm, first + i, frame) && !PageHWPoison(frame + i) &&
			  mrm_frame_contents_zero(frame + i);
	return zeroes;
}

/*
 * What moves out is paid for by the frame only when all of it has: until then it takes as much as
 * is kept for it, if there is nothing else, and not more.  Zeroes need nothing; of equal parts the
 * first ones are copied.
 */
static bool has_room(struct page *frame, unsigned long zeroes)
{
	unsigned long left = *mrm_large_word(frame, MRM_LARGE_LEFT);

	mrm_large_reserve_fill();
	return mrm_large_reserve_bytes() >> PAGE_SHIFT >= left - min(zeroes, left);
}

/* Decide, unmap, check the reference count, then read, as in mrm_guest_pages_share(). */
static int break_frame(struct mrm_vm *vm, unsigned long index, mrm_expects_fn *expects,
		       unsigned int *freed)
{
	struct page *frame = lock_frame(vm, index);
	unsigned long i, first = first_of(index);
	unsigned int flags, left, moved = 0, copies = 0;
	int err = 0, one;

	if (IS_ERR_OR_NULL(frame))
		return PTR_ERR(frame);
	/* Where pins are counted it is known before anything is unmapped. */
	if (folio_maybe_dma_pinned(page_folio(frame))) {
		err = -EBUSY;
		goto unlock;
	}
	/* Of one that was not scanned, or was written since, it is seen below. */
	if (is_scanned(READ_ONCE(*mrm_large_word(frame, MRM_LARGE_SAVES))) &&
	    !has_room(frame, mrm_guest_large_untouched(frame))) {
		err = -ENOMEM;
		goto unlock;
	}
	mrm_entry_unmap(vm, first, PARTS);
	/* The entries' references and ours. */
	if (page_count(frame) != *mrm_large_word(frame, MRM_LARGE_LEFT) + 1) {
		err = -EBUSY;
		goto unlock;
	}
	if (!has_room(frame, 0) && !has_room(frame, count_zeroes(vm, first, frame))) {
		err = -ENOMEM;
		goto unlock;
	}
	left = *mrm_large_word(frame, MRM_LARGE_LEFT);
	/*
	 * Nothing is reclaimed for it, and a cgroup's limit is exceeded for this moment only.  If
	 * there is nothing for the first one it stays whole.
	 */
	flags = memalloc_noreclaim_save();
	for (i = 0; i < PARTS && err != -ENOMEM; i++) {
		if (!has_part(vm, first + i, frame))
			continue;
		one = move_out(vm, first + i, frame + i, expects, &copies);
		/* With the last one all of it is given back. */
		if (!one)
			mrm_frame_set_moving(*mrm_large_word(frame, MRM_LARGE_LEFT) ? ++moved : 0);
		err = one ?: err;
	}
	mrm_frame_set_moving(0);
	if (freed && !*mrm_large_word(frame, MRM_LARGE_LEFT))
		*freed = left - copies;
	memalloc_noreclaim_restore(flags);
	trace_mrm_large_moved(vm->pid, first, left, copies);
unlock:
	mrm_frame_unlock(frame);
	put_page(frame);
	mrm_frame_ring();
	return err;
}

/**
 * mrm_guest_large_break() - what a large frame holds gets frames of 4 KiB, or nothing if zero
 * @vm: the VM
 * @index: a guest page that may have a part of one
 * @expects: what equals a shared frame gets that, and one is made where an equal is expected; the
 *	VM may share, and the share lock is held; or NULL
 * @wait: until no other one is being broken
 * @freed: pages that this brought, if all of it has moved out, but for those that others had
 *	left before; may be NULL
 *
 * One at a time, as the reserve is enough for one, and is filled of what it was.
 *
 * Context: May sleep, but not for memory.
 * Return: 0, also if it has none; -EBUSY if it is locked or pinned, or without @wait; -ENOMEM if
 * there was memory for a part of it only; -EHWPOISON.
 */
int mrm_guest_large_break(struct mrm_vm *vm, unsigned long index, mrm_expects_fn *expects,
			  bool wait, unsigned int *freed)
{
	struct page *frame = mrm_entry_frame(xa_load(&vm->pages, index));
	int err;

	if (freed)
		*freed = 0;
	/* Most are none.  It is looked at again when it is locked. */
	if (!frame || !mrm_frame_is_large(frame))
		return 0;
	if (wait)
		mutex_lock(&breaking);
	else if (!mutex_trylock(&breaking))
		return -EBUSY;
	err = break_frame(vm, index, expects, freed);
	mrm_large_reserve_fill();
	mutex_unlock(&breaking);
	return err;
}

/**
 * mrm_guest_large_fill_reserve() - have the reserve full while there are large frames
 *
 * Not while one is being broken: there may seem to be none then.
 *
 * Context: May sleep, but not for memory.
 */
void mrm_guest_large_fill_reserve(void)
{
	mutex_lock(&breaking);
	mrm_large_reserve_fill();
	mutex_unlock(&breaking);
}

/**
 * mrm_guest_large_find() - a guest page that has a part of a large frame
 * @vm: the VM
 * @first: the first of the guest pages of which one is looked for
 * @index: the answer
 *
 * Return: false if there is none.
 */
bool mrm_guest_large_find(struct mrm_vm *vm, unsigned long first, unsigned long *index)
{
	XA_STATE(xas, &vm->pages, first);
	struct page *frame;
	bool found = false;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, first + PARTS - 1) {
		if (xas_retry(&xas, entry))
			continue;
		frame = mrm_entry_frame(entry);
		/* It may be somebody else's by now: who uses the answer looks again. */
		found = frame && mrm_frame_is_large(frame);
		if (found)
			break;
	}
	rcu_read_unlock();
	*index = xas.xa_index;
	return found;
}

/**
 * mrm_guest_large_unmap() - see whether a large frame is touched
 * @vm: the VM
 * @index: a guest page in it
 *
 * Context: May sleep.
 */
void mrm_guest_large_unmap(struct mrm_vm *vm, unsigned long index)
{
	mrm_entry_unmap(vm, first_of(index), PARTS);
}

/**
 * mrm_guest_large_look() - what is known of the large frame that a guest page is in
 * @vm: the VM
 * @index: the guest page
 * @look: the answer
 *
 * Return: false if it is in none.
 */
bool mrm_guest_large_look(struct mrm_vm *vm, unsigned long index, struct mrm_large_look *look)
{
	struct page *part = mrm_guest_page_get(vm, index);
	unsigned long saves;
	bool large;

	if (!part)
		return false;
	large = mrm_frame_is_large(part);
	if (large) {
		saves = READ_ONCE(*mrm_large_word(part, MRM_LARGE_SAVES));
		*look = (struct mrm_large_look){
			.rebuilt = READ_ONCE(*mrm_large_word(part, MRM_LARGE_IS_REBUILT)),
			.broken = READ_ONCE(*mrm_large_word(part, MRM_LARGE_IS_BROKEN)),
			.scanned = is_scanned(saves),
			.saves = sum_of_bytes(saves),
		};
	}
	put_page(part);
	return large;
}

/* One more of 64, or the first of them: with it is forgotten what they held before. */
static unsigned long add_part(unsigned long word, unsigned int part, bool add)
{
	unsigned int shift = part / WORD_PARTS * 8;
	unsigned long byte = part % WORD_PARTS ? word >> shift & (SCANNED - 1) : 0;

	/* Another pass may have ended in the middle of it. */
	byte = min_t(unsigned long, byte + add, WORD_PARTS) | SCANNED;
	return (word & ~(0xffUL << shift)) | byte << shift;
}

/**
 * mrm_guest_large_scanned() - note what a part of a large frame held
 * @vm: the VM
 * @frame: the part, with a reference
 * @saved: breaking the frame would save it
 * @zero: it holds zeroes
 *
 * Context: One at a time, or what is noted may be wrong.
 */
void mrm_guest_large_scanned(struct mrm_vm *vm, struct page *frame, bool saved, bool zero)
{
	unsigned long *saves = mrm_large_word(frame, MRM_LARGE_SAVES);
	unsigned long *untouched = mrm_large_word(frame, MRM_LARGE_IS_UNTOUCHED);
	unsigned int part = mrm_frame_part(frame);

	if (!READ_ONCE(*mrm_large_word(frame, MRM_LARGE_LEFT)))
		return;
	WRITE_ONCE(*saves, add_part(READ_ONCE(*saves), part, saved));
	set_untouched(vm, frame, add_part(READ_ONCE(*untouched), part, zero));
	/*
	 * Who gives up its last part clears LEFT and then these; who breaks it sets IS_BROKEN and
	 * then clears the second: one of the two comes last.
	 */
	if (READ_ONCE(*mrm_large_word(frame, MRM_LARGE_IS_BROKEN)))
		set_untouched(vm, frame, 0);
	if (!READ_ONCE(*mrm_large_word(frame, MRM_LARGE_LEFT))) {
		WRITE_ONCE(*saves, 0);
		set_untouched(vm, frame, 0);
	}
}

/**
 * mrm_guest_large_untouched() - what MRM_LARGE_UNTOUCHED counts of a large frame
 * @frame: it
 *
 * Return: parts.
 */
unsigned int mrm_guest_large_untouched(struct page *frame)
{
	return sum_of_bytes(READ_ONCE(*mrm_large_word(frame, MRM_LARGE_IS_UNTOUCHED)));
}
