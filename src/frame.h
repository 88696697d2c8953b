/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Frames
 *
 * A frame is a machine page we allocated.  It is an ordinary reference-counted
 * page, so get_user_pages(), O_DIRECT and vhost work on it.
 *
 * A private frame belongs to one guest page.  A shared frame is named by any
 * number of guest pages with equal salt; while it is shared its contents never change.
 *
 * What we must know of a frame is kept in four words of struct page that the
 * kernel leaves to the owner of a page that is neither on the LRU nor in a
 * page cache.  So a frame costs no metadata of its own, scanned or not (ESX:
 * 16 bytes, Waldspurger 2002, 4.3; KSM: 64 bytes):
 *
 *   word          private frame             shared frame
 *   lru.next      next in the chain of the frame table
 *   lru.prev      hash of the contents when last scanned, 0 = not in the table
 *   index         guest page                number of guest pages that name it
 *   private       its struct mrm_vm, | 4    salt << 2 | zero frame << 1 | 1
 *                 while it is written,
 *                 | 8 while it is read,
 *                 | 16 while a slot
 *                 holds the same
 *
 * The chain is protected by the stripe lock of the frame table.  The other
 * words change only under the frame's page lock, but for the count, which is
 * atomic.  From shared to private they change only while nobody else has a reference
 * (guest_own.c), so whoever has one may ask without a lock whether a frame is shared.
 *
 * A large frame is a compound page of 2 MiB: MRM_LARGE_PAGES parts in a row, which belong to
 * as many guest pages in a row.  A part is a frame to whoever has it, and is never shared,
 * never in the frame table, and never on its way to or from swap.  The words private and
 * index are those of the first part, and so are the page lock and the references; what
 * else is to be known is kept in the word private of parts that the kernel leaves alone:
 *
 *   word             large frame
 *   LEFT             parts that still are guest pages'; what the others hold is nobody's
 *   BROKEN           some part is not: it is never mapped as a whole again
 *   REBUILT          it was made of frames of 4 KiB, and has not been mapped as a whole since
 *   SAVES            of each 64 parts, in a byte: those that breaking it would save, as last
 *                    scanned
 *   UNTOUCHED        the same of those that held zeroes; while it is whole
 */
#ifndef MRM_FRAME_H
#define MRM_FRAME_H

#include <linux/mm.h>
#include <linux/pagemap.h>
#include "compat.h"

struct mrm_vm;

#define MRM_FRAME_SHARED	1UL
#define MRM_FRAME_ZERO		2UL
#define MRM_FRAME_WRITING	4UL	/* of a private frame, see guest_swap.h */
#define MRM_FRAME_READING	8UL	/* the same */
#define MRM_FRAME_CACHED	16UL	/* the same, see guest_cached.h */
/* Beside the address of its VM. */
#define MRM_FRAME_FLAGS		(MRM_FRAME_WRITING | MRM_FRAME_READING | MRM_FRAME_CACHED)
#define MRM_FRAME_SALT_SHIFT	2

/*
 * In the word index of a broken large frame.  From 6.18 on ("mm/fault: try to map the entire file
 * folio in finish_fault()") the core maps all that a frame has in 4 KiB, too, but not if it ends
 * behind the end of the file.
 */
#define MRM_INDEX_BROKEN	BIT(62)

#define MRM_LARGE_ORDER		(PMD_SHIFT - PAGE_SHIFT)
#define MRM_LARGE_PAGES		BIT(MRM_LARGE_ORDER)
/* Near a limit by so much there are none: what breaking one has made room for is not the next's. */
#define MRM_LARGE_ROOM		(4 * MRM_LARGE_PAGES)

/**
 * enum mrm_large_word - what is kept of a large frame
 * @MRM_LARGE_LEFT: parts that are guest pages'
 * @MRM_LARGE_IS_BROKEN: not all are
 * @MRM_LARGE_IS_REBUILT: it has not been mapped as a whole since it was rebuilt
 * @MRM_LARGE_SAVES: those that breaking it would save, a byte for each 64, whose highest bit
 *	tells that these have been scanned
 * @MRM_LARGE_IS_UNTOUCHED: those that held zeroes, in the same way; MRM_LARGE_UNTOUCHED is the
 *	sum of these
 */
enum mrm_large_word {
	MRM_LARGE_LEFT,
	MRM_LARGE_IS_BROKEN,
	MRM_LARGE_IS_REBUILT,
	MRM_LARGE_SAVES,
	MRM_LARGE_IS_UNTOUCHED
};

/*
 * A guest at its limit that touches a page may be killed for it.  Nobody may be
 * for what the scanner would like to have, or an administrator asks for.
 */
#define MRM_SPARE		(__GFP_NORETRY | __GFP_NOWARN)
#define MRM_KILL_NOBODY		(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static inline bool mrm_frame_is_large(const struct page *frame)
{
	return PageCompound((struct page *)frame);
}

/* The first part of a large frame; the frame itself if it is none. */
static inline struct page *mrm_frame_first(struct page *frame)
{
	return compound_head(frame);
}

/* Which part of a large frame it is. */
static inline unsigned long mrm_frame_part(struct page *frame)
{
	return frame - mrm_frame_first(frame);
}

/* The kernel keeps what it knows of a compound page in its first few parts. */
static inline unsigned long *mrm_large_word(struct page *frame, enum mrm_large_word word)
{
	return &mrm_frame_first(frame)[8 + word].private;
}

static inline struct page *mrm_frame_next(const struct page *frame)
{
	return (struct page *)frame->lru.next;
}

static inline void mrm_frame_set_next(struct page *frame, struct page *next)
{
	frame->lru.next = (struct list_head *)next;
}

/* Of a part of a large frame: it is not in the table. */
static inline u64 mrm_frame_hash(const struct page *frame)
{
	return mrm_frame_is_large(frame) ? 0 : (u64)frame->lru.prev;
}

static inline void mrm_frame_set_hash(struct page *frame, u64 hash)
{
	frame->lru.prev = (struct list_head *)hash;
}

/* The word private of a frame: what it is, and whose. */
static inline unsigned long mrm_frame_word(const struct page *frame)
{
	return page_private((struct page *)compound_head(frame));
}

static inline bool mrm_frame_is_shared(const struct page *frame)
{
	return mrm_frame_word(frame) & MRM_FRAME_SHARED;
}

static inline bool mrm_frame_is_zero(const struct page *frame)
{
	return (mrm_frame_word(frame) & (MRM_FRAME_SHARED | MRM_FRAME_ZERO)) ==
	       (MRM_FRAME_SHARED | MRM_FRAME_ZERO);
}

static inline u64 mrm_frame_salt(const struct page *frame)
{
	return mrm_frame_word(frame) >> MRM_FRAME_SALT_SHIFT;
}

static inline struct mrm_vm *mrm_frame_vm(const struct page *frame)
{
	return (struct mrm_vm *)(mrm_frame_word(frame) & ~MRM_FRAME_FLAGS);
}

/* One of MRM_FRAME_FLAGS, of a private frame: in the word of a shared one they are its salt. */
static inline bool mrm_frame_has(const struct page *frame, unsigned long flag)
{
	return (mrm_frame_word(frame) & (MRM_FRAME_SHARED | flag)) == flag;
}

static inline void mrm_frame_set(struct page *frame, unsigned long flag, bool on)
{
	set_page_private(frame, (page_private(frame) & ~flag) | (on ? flag : 0));
}

/*
 * Context: xa_lock of the VM's pages, under which it is taken away; it is set before the
 * guest page has the frame.
 */
static inline bool mrm_frame_is_reading(const struct page *frame)
{
	return mrm_frame_has(frame, MRM_FRAME_READING);
}

static inline void mrm_frame_set_reading(struct page *frame, bool reading)
{
	mrm_frame_set(frame, MRM_FRAME_READING, reading);
}

/*
 * Does anybody but its entry, its mappings and the caller refer to a private frame, no part of a
 * large one, as I/O does that is under way and that no pin tells of (FOLL_GET, before 6.5)?  It may
 * be otherwise a moment later; but what is held for long is not unmapped in vain, again and again.
 */
static inline bool mrm_frame_is_held(struct page *frame)
{
	return page_count(frame) > 2 + atomic_read(&page_folio(frame)->_mapcount) + 1;
}

/* Context of both: the frame is private and locked, and the second's is not large. */
static inline bool mrm_frame_is_writing(const struct page *frame)
{
	return mrm_frame_has(frame, MRM_FRAME_WRITING);
}

static inline void mrm_frame_set_writing(struct page *frame, bool writing)
{
	mrm_frame_set(frame, MRM_FRAME_WRITING, writing);
}

/* Of a shared or large frame never; of one that is not locked, perhaps not any more. */
static inline bool mrm_frame_is_cached(const struct page *frame)
{
	return mrm_frame_has(frame, MRM_FRAME_CACHED);
}

/* Context: the frame is private, locked and not large. */
static inline void mrm_frame_set_cached(struct page *frame, bool cached)
{
	mrm_frame_set(frame, MRM_FRAME_CACHED, cached);
}

static inline unsigned long mrm_frame_guest_page(struct page *frame)
{
	return (*mrm_page_index_word(mrm_frame_first(frame)) & ~MRM_INDEX_BROKEN) +
	       mrm_frame_part(frame);
}

/* Number of guest pages that name a shared frame. */
static inline atomic_long_t *mrm_frame_refs(struct page *frame)
{
	return (atomic_long_t *)mrm_page_index_word(frame);
}

/* The page lock: the owner of every change of a guest page's state. */
static inline void mrm_frame_lock(struct page *frame)
{
	folio_lock(page_folio(frame));
}

static inline int mrm_frame_lock_killable(struct page *frame)
{
	return folio_lock_killable(page_folio(frame));
}

static inline bool mrm_frame_trylock(struct page *frame)
{
	return folio_trylock(page_folio(frame));
}

static inline void mrm_frame_unlock(struct page *frame)
{
	folio_unlock(page_folio(frame));
}

bool mrm_frame_tryget(struct page *frame);
struct page *mrm_frame_alloc(struct mrm_vm *vm, gfp_t flags);
struct page *mrm_frame_alloc_node(struct mrm_vm *vm, gfp_t flags, int node);
struct page *mrm_frame_alloc_large(struct mrm_vm *vm, unsigned long first, int node);
bool mrm_frame_large_is_free(struct mrm_vm *vm, int node);
void mrm_frame_forget_large(struct page *frame);
struct page *mrm_frame_alloc_shared(struct mrm_vm *vm, u64 salt, u64 hash, bool zero, gfp_t flags);
void mrm_frame_set_moving(long parts);
long mrm_frame_count(void);
void mrm_frame_ring(void);
void mrm_frame_alarm(long most, long least, void (*fn)(void));
void mrm_frame_own(struct page *frame, struct mrm_vm *vm, unsigned long index);
bool mrm_frame_is_charged_to(struct page *frame, struct mrm_vm *vm);
bool mrm_frame_is_short(struct mrm_vm *vm, unsigned long more);
bool mrm_frame_is_at_limit(struct mrm_vm *vm);
bool mrm_frame_shares_limit(struct mrm_vm *vm, struct mrm_vm *other);
void mrm_frame_free(struct page *frame);

bool mrm_frame_contents_zero(struct page *frame);
bool mrm_frames_equal(struct page *a, struct page *b);
u32 mrm_frame_checksum(struct page *frame);
u64 mrm_frame_compute_hash(struct page *frame, u64 salt);
u64 mrm_frame_zero_hash(u64 salt);

int mrm_frame_set_hash_bits(unsigned int bits);
unsigned int mrm_frame_hash_bits(void);
void mrm_frame_init(void);

#endif
