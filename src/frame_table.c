// SPDX-License-Identifier: GPL-2.0
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include "frame.h"
#include "frame_table.h"
#include "vm.h"

#define STRIPE_BITS	10	/* log2 of STRIPES */
#define STRIPES		1024U
#define MIN_HEAD_BITS	2
#define MAX_LOAD	2	/* frames a head before a stripe's heads double */

/**
 * struct stripe - one part of the frame table
 * @lock: protects everything here and the chains
 * @heads: vector of chains, indexed by the low bits of the hash
 * @bits: log2 of the number of heads
 * @frames: frames in the chains
 */
struct stripe {
	spinlock_t lock;
	struct page **heads;
	unsigned int bits;
	unsigned long frames;
} ____cacheline_aligned_in_smp;

static struct stripe *stripes;
static atomic_long_t shared_frames, zero_frames;

static struct stripe *stripe_of(u64 hash)
{
	/* The high bits may all be zero while a test narrows the hash. */
	return &stripes[(hash ^ hash >> (64 - STRIPE_BITS)) & (STRIPES - 1)];
}

static struct page **head_of(struct stripe *s, u64 hash)
{
	return &s->heads[(hash >> STRIPE_BITS) & ((1UL << s->bits) - 1)];
}

/*
 * Nobody is to be killed for them, nor are they had of the kernel's last memory, which who
 * reclaims may have: without, chains are longer.
 */
static struct page **heads_alloc(unsigned int bits)
{
	return kvcalloc(1UL << bits, sizeof(struct page *),
			GFP_KERNEL | MRM_SPARE | __GFP_NOMEMALLOC);
}

static void chain_add(struct stripe *s, struct page *frame)
{
	struct page **head = head_of(s, mrm_frame_hash(frame));

	mrm_frame_set_next(frame, *head);
	*head = frame;
	s->frames++;
}

static void chain_del(struct stripe *s, struct page *frame)
{
	struct page **head = head_of(s, mrm_frame_hash(frame));
	struct page *f = *head;

	if (f == frame) {
		*head = mrm_frame_next(frame);
	} else {
		while (mrm_frame_next(f) != frame)
			f = mrm_frame_next(f);
		mrm_frame_set_next(f, mrm_frame_next(frame));
	}
	s->frames--;
}

/**
 * mrm_hint_insert() - remember what a private frame held when it was scanned
 * @frame: a private frame, its page lock held: it is what protects the hash word
 * @hash: of its contents
 */
void mrm_hint_insert(struct page *frame, u64 hash)
{
	struct stripe *s = stripe_of(hash);

	if (mrm_frame_hash(frame) == hash)
		return;
	mrm_hint_remove(frame);
	spin_lock(&s->lock);
	mrm_frame_set_hash(frame, hash);
	chain_add(s, frame);
	spin_unlock(&s->lock);
	mrm_count(mrm_frame_vm(frame), MRM_HINTED, 1);
}

/**
 * mrm_hint_remove() - forget a private frame, if it is in the table
 * @frame: a private frame, its page lock held
 */
void mrm_hint_remove(struct page *frame)
{
	u64 hash = mrm_frame_hash(frame);
	struct stripe *s = stripe_of(hash);

	if (!hash)
		return;
	spin_lock(&s->lock);
	chain_del(s, frame);
	mrm_frame_set_hash(frame, 0);
	spin_unlock(&s->lock);
	mrm_count(mrm_frame_vm(frame), MRM_HINTED, -1);
}

/**
 * mrm_hint_get() - another private frame that had this hash when scanned
 * @hash: the hash
 * @salt: the salt of the VM it must belong to
 * @not_this: the frame that is being looked for a match for
 * @vm: where its VM is put, with a reference (mrm_vm_put())
 * @index: where its guest page is put
 *
 * Context: Atomic inside; takes the stripe lock.
 * Return: the frame with a page reference, or NULL.
 */
struct page *mrm_hint_get(u64 hash, u64 salt, struct page *not_this, struct mrm_vm **vm,
			  unsigned long *index)
{
	struct stripe *s = stripe_of(hash);
	struct page *f;

	spin_lock(&s->lock);
	for (f = *head_of(s, hash); f; f = mrm_frame_next(f)) {
		if (f == not_this || mrm_frame_hash(f) != hash || mrm_frame_is_shared(f) ||
		    PageHWPoison(f))
			continue;
		/* In a chain, so its VM still has frames and is alive. */
		*vm = mrm_frame_vm(f);
		if (READ_ONCE((*vm)->salt) != salt || !mrm_vm_get(*vm))
			continue;
		*index = mrm_frame_guest_page(f);
		get_page(f);
		break;
	}
	spin_unlock(&s->lock);
	return f;
}

/**
 * mrm_frame_table_has() - is there a frame that a page could be shared with?
 * @hash: of the page
 * @salt: of its VM
 *
 * Return: true if one had this hash when it was scanned, or is shared.
 */
bool mrm_frame_table_has(u64 hash, u64 salt)
{
	struct stripe *s = stripe_of(hash);
	struct page *f;

	spin_lock(&s->lock);
	for (f = *head_of(s, hash); f; f = mrm_frame_next(f))
		if (mrm_frame_hash(f) == hash &&
		    (mrm_frame_is_shared(f) ? mrm_frame_salt(f) :
		     READ_ONCE(mrm_frame_vm(f)->salt)) == salt)
			break;
	spin_unlock(&s->lock);
	return f;
}

static struct page *shared_find(struct stripe *s, u64 hash, u64 salt, bool zero)
{
	struct page *f;

	for (f = *head_of(s, hash); f; f = mrm_frame_next(f))
		if (mrm_frame_hash(f) == hash && mrm_frame_is_shared(f) && !PageHWPoison(f) &&
		    mrm_frame_salt(f) == salt && mrm_frame_is_zero(f) == zero)
			break;
	return f;
}

/**
 * mrm_shared_get() - find a shared frame and name it once more
 * @hash: of the contents looked for
 * @salt: of the VM that is going to name it
 * @zero: the zero frame is looked for
 *
 * Return: the frame, which the caller must give to a guest page or to
 * mrm_shared_put(); NULL if there is none.
 */
struct page *mrm_shared_get(u64 hash, u64 salt, bool zero)
{
	struct stripe *s = stripe_of(hash);
	struct page *f;

	spin_lock(&s->lock);
	f = shared_find(s, hash, salt, zero);
	if (f)
		atomic_long_inc(mrm_frame_refs(f));
	spin_unlock(&s->lock);
	return f;
}

/**
 * mrm_shared_create() - make a shared frame, or find that somebody did
 * @vm: the VM that is going to name it first
 * @hash: of the contents
 * @salt: of the VMs that may name it
 * @contents: frame to copy from; NULL for a zero frame
 * @flags: as mrm_frame_alloc_shared()
 *
 * Whether the copy is what @contents holds is for the caller to verify once
 * @contents can no longer be written to.
 *
 * Context: May sleep.
 * Return: the frame, named once on the caller's behalf; NULL without memory.
 */
struct page *mrm_shared_create(struct mrm_vm *vm, u64 hash, u64 salt, struct page *contents,
			       gfp_t flags)
{
	struct stripe *s = stripe_of(hash);
	struct page *frame, *found = NULL;
	bool zero = !contents;

	frame = mrm_frame_alloc_shared(vm, salt, hash, zero, flags);
	if (!frame)
		return NULL;
	if (!zero)
		copy_highpage(frame, contents);
	spin_lock(&s->lock);
	/* Faults make zero frames concurrently with the scanner. */
	if (zero)
		found = shared_find(s, hash, salt, true);
	if (found) {
		atomic_long_inc(mrm_frame_refs(found));
	} else {
		chain_add(s, frame);
		atomic_long_inc(&shared_frames);
		if (zero)
			atomic_long_inc(&zero_frames);
	}
	spin_unlock(&s->lock);
	if (!found)
		return frame;
	mrm_frame_free(frame);
	return found;
}

/**
 * mrm_shared_zero() - the zero frame of a salt, named once more
 * @vm: the VM that is going to name it
 * @salt: the salt
 * @flags: as mrm_frame_alloc_shared()
 *
 * Context: May sleep.
 * Return: as mrm_shared_create().
 */
struct page *mrm_shared_zero(struct mrm_vm *vm, u64 salt, gfp_t flags)
{
	u64 hash = mrm_frame_zero_hash(salt);

	return mrm_shared_get(hash, salt, true) ?:
	       mrm_shared_create(vm, hash, salt, NULL, flags);
}

/**
 * mrm_shared_put() - a guest page no longer names a shared frame
 * @frame: the frame; the last one to put it takes it out and frees it
 *
 * Context: Any; takes the stripe lock for the last put.
 */
void mrm_shared_put(struct page *frame)
{
	struct stripe *s = stripe_of(mrm_frame_hash(frame));

	if (atomic_long_add_unless(mrm_frame_refs(frame), -1, 1))
		return;
	spin_lock(&s->lock);
	/* Finding it counts it, under this lock: at zero nobody can. */
	if (!atomic_long_dec_and_test(mrm_frame_refs(frame))) {
		spin_unlock(&s->lock);
		return;
	}
	chain_del(s, frame);
	atomic_long_dec(&shared_frames);
	if (mrm_frame_is_zero(frame))
		atomic_long_dec(&zero_frames);
	spin_unlock(&s->lock);
	mrm_frame_free(frame);
}

/**
 * mrm_shared_end() - take a shared frame out of the table, if one guest page alone names it
 * @frame: not the zero frame; locked, and nobody can get a reference to it
 *
 * Context: Any; takes the stripe lock.
 * Return: the hash of its contents; 0: it stays shared.
 */
u64 mrm_shared_end(struct page *frame)
{
	u64 hash = mrm_frame_hash(frame);
	struct stripe *s = stripe_of(hash);
	bool alone;

	spin_lock(&s->lock);
	/* Finding it counts it, under this lock. */
	alone = atomic_long_read(mrm_frame_refs(frame)) == 1;
	if (alone) {
		chain_del(s, frame);
		mrm_frame_set_hash(frame, 0);
		atomic_long_dec(&shared_frames);
	}
	spin_unlock(&s->lock);
	return alone ? hash : 0;
}

/*
 * Heads and bits change together, under the stripe's lock: of two that resize it at once
 * one is the last, and either size serves.
 *
 * Context: May sleep.
 */
static void stripe_resize(struct stripe *s)
{
	unsigned int bits = READ_ONCE(s->bits);
	unsigned long frames = READ_ONCE(s->frames);
	struct page **heads, **old, *f, *next;
	unsigned int old_bits;
	unsigned long i;

	while (frames > (unsigned long)MAX_LOAD << bits)
		bits++;
	while (bits > MIN_HEAD_BITS && frames * 4 < 1UL << bits)
		bits--;
	if (bits == s->bits)
		return;
	/* Without memory the chains are longer or the heads idle; no harm. */
	heads = heads_alloc(bits);
	if (!heads)
		return;
	spin_lock(&s->lock);
	old = s->heads;
	old_bits = s->bits;
	s->heads = heads;
	s->bits = bits;
	s->frames = 0;
	for (i = 0; i < 1UL << old_bits; i++) {
		for (f = old[i]; f; f = next) {
			next = mrm_frame_next(f);
			chain_add(s, f);
		}
	}
	spin_unlock(&s->lock);
	kvfree(old);
}

/**
 * mrm_frame_table_make_room() - keep the chains short where a frame is coming
 * @hash: its hash
 *
 * Context: May sleep.
 */
void mrm_frame_table_make_room(u64 hash)
{
	struct stripe *s = stripe_of(hash);

	if (READ_ONCE(s->frames) > (unsigned long)MAX_LOAD << READ_ONCE(s->bits))
		stripe_resize(s);
}

/**
 * mrm_frame_table_shrink() - give back heads that are not needed any more
 *
 * Context: The scanner; may sleep.
 */
void mrm_frame_table_shrink(void)
{
	unsigned int i;

	for (i = 0; i < STRIPES; i++) {
		stripe_resize(&stripes[i]);
		cond_resched();
	}
}

/**
 * mrm_frame_table_bytes() - memory the table takes
 * Return: bytes.
 */
size_t mrm_frame_table_bytes(void)
{
	size_t bytes = STRIPES * sizeof(struct stripe);
	unsigned int i;

	for (i = 0; i < STRIPES; i++)
		bytes += sizeof(struct page *) << READ_ONCE(stripes[i].bits);
	return bytes;
}

/**
 * mrm_shared_frames() - how many shared frames there are, zero frames included
 * Return: the number.
 */
long mrm_shared_frames(void)
{
	return atomic_long_read(&shared_frames);
}

/**
 * mrm_zero_frames() - how many of the shared frames are zero frames
 * Return: the number.
 */
long mrm_zero_frames(void)
{
	return atomic_long_read(&zero_frames);
}

#define SHOWN_LENGTHS 8

/**
 * mrm_frame_table_show() - the table's shape, for debugfs
 * @m: where to
 */
void mrm_frame_table_show(struct seq_file *m)
{
	unsigned long chains[SHOWN_LENGTHS + 1] = {}, heads = 0, frames = 0;
	unsigned int i, len;
	unsigned long h;

	for (i = 0; i < STRIPES; i++) {
		struct stripe *s = &stripes[i];
		struct page *f;

		spin_lock(&s->lock);
		frames += s->frames;
		heads += 1UL << s->bits;
		for (h = 0; h < 1UL << s->bits; h++) {
			len = 0;
			for (f = s->heads[h]; f; f = mrm_frame_next(f))
				len++;
			chains[min(len, SHOWN_LENGTHS)]++;
		}
		spin_unlock(&s->lock);
		cond_resched();
	}
	seq_printf(m, "stripes %u\nheads %lu\nframes %lu\nshared %ld\nzero %ld\nbytes %zu\n",
		   STRIPES, heads, frames, mrm_shared_frames(), mrm_zero_frames(),
		   mrm_frame_table_bytes());
	for (len = 0; len <= SHOWN_LENGTHS; len++)
		seq_printf(m, "chains_of_%u%s %lu\n", len, len == SHOWN_LENGTHS ? "_or_more" : "",
			   chains[len]);
}

/**
 * mrm_frame_table_count() - count what the chains hold
 * @count: the answer
 *
 * Context: May sleep.
 */
void mrm_frame_table_count(struct mrm_frame_table_count *count)
{
	unsigned int i;
	unsigned long h;

	memset(count, 0, sizeof(*count));
	for (i = 0; i < STRIPES; i++) {
		struct stripe *s = &stripes[i];
		struct page *f;

		spin_lock(&s->lock);
		for (h = 0; h < 1UL << s->bits; h++) {
			for (f = s->heads[h]; f; f = mrm_frame_next(f)) {
				u64 hash = mrm_frame_hash(f);

				if (mrm_frame_is_shared(f))
					count->shared++;
				else
					count->hints++;
				count->zero += mrm_frame_is_zero(f);
				count->misplaced += stripe_of(hash) != s ||
						    head_of(s, hash) != &s->heads[h];
			}
		}
		spin_unlock(&s->lock);
		cond_resched();
	}
}

/**
 * mrm_frame_table_init() - make an empty table
 * Return: 0 or -ENOMEM.
 */
int mrm_frame_table_init(void)
{
	unsigned int i;

	stripes = kvcalloc(STRIPES, sizeof(*stripes), GFP_KERNEL);
	if (!stripes)
		return -ENOMEM;
	for (i = 0; i < STRIPES; i++) {
		spin_lock_init(&stripes[i].lock);
		stripes[i].bits = MIN_HEAD_BITS;
		stripes[i].heads = heads_alloc(MIN_HEAD_BITS);
		if (!stripes[i].heads) {
			mrm_frame_table_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * mrm_frame_table_exit() - free the table, which is empty: all VMs are gone
 */
void mrm_frame_table_exit(void)
{
	unsigned int i;

	for (i = 0; i < STRIPES; i++) {
		WARN_ON_ONCE(stripes[i].frames);
		kvfree(stripes[i].heads);
	}
	kvfree(stripes);
}
