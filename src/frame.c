// SPDX-License-Identifier: GPL-2.0
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "checksum.h"
#include "frame.h"
#include "frame_table.h"
#include "vm.h"

#define ROOM		1024	/* pages, below the limit of a memory cgroup */
#define ROOM_PART	64	/* or such a part of it */

/* Secret for the life of the module, so that no guest can aim for a chain. */
static u64 hash_seed;

/* Narrowed in tests alone, to force false matches.  See debugfs hash_bits. */
static unsigned int hash_bits = 64;

/*
 * Who charges a cgroup above its memory.high must sleep, for up to two seconds,
 * when it has charged enough since it was last in user space.  The scanner never
 * is there, and would sleep for every VM, with the share lock held; the VM itself
 * is slowed down when it touches memory.
 */
static void forget_over_high(void)
{
#ifdef CONFIG_MEMCG
	if (!current->mm)
		current->memcg_nr_pages_over_high = 0;
#endif
}

/* Called once, when there are so many frames, or so few. */
static long many, few;
static void (*alarm_fn)(void);

/* Held of a large frame that is being broken, and given back with it in a moment. */
static long moving;

/**
 * mrm_frame_set_moving() - a large frame is being broken, or has been
 * @parts: of it, that have moved out so far; 0: what is held of it now is held for longer
 *
 * Context: One frame is broken at a time.
 */
void mrm_frame_set_moving(long parts)
{
	WRITE_ONCE(moving, parts);
}

/**
 * mrm_frame_count() - how many frames there are
 *
 * Private ones, shared ones, and what is held of broken large ones, but for the one that is just
 * being broken: nobody is to give memory for what comes back by itself.
 *
 * Context: Any.
 * Return: pages.
 */
long mrm_frame_count(void)
{
	return max(mrm_counter_read(&mrm_host_counters, MRM_PRIVATE) + mrm_shared_frames() +
		   mrm_counter_read(&mrm_host_counters, MRM_LARGE_HELD) - READ_ONCE(moving), 0L);
}

/**
 * mrm_frame_ring() - there are more frames, or fewer
 *
 * For large ones, when they have been counted, or the kernel has them back.
 *
 * Context: Any.
 */
void mrm_frame_ring(void)
{
	void (*fn)(void);
	long now;

	/* Pairs with mrm_frame_alarm(). */
	if (!smp_load_acquire(&alarm_fn))
		return;
	now = mrm_frame_count();
	if (now < READ_ONCE(many) && now > READ_ONCE(few))
		return;
	fn = xchg(&alarm_fn, NULL);
	if (fn)
		fn();
}

/**
 * mrm_frame_alarm() - be told when there are many frames, or few
 * @most: so many, as mrm_frame_count() counts them
 * @least: so few
 * @fn: called once, perhaps now, and must not wait, with any lock held; NULL: nobody is told
 */
void mrm_frame_alarm(long most, long least, void (*fn)(void))
{
	WRITE_ONCE(many, most);
	WRITE_ONCE(few, least);
	/* Who finds it finds the numbers. */
	smp_store_release(&alarm_fn, fn);
	/* What those changed who did not find it is found now. */
	smp_mb();
	mrm_frame_ring();
}

/* vhost and the scanner allocate for a VM too; the VM pays. */
static struct page *alloc_charged(struct mrm_vm *vm, gfp_t flags, unsigned int order,
				  int node)
{
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	struct folio *folio;

	forget_over_high();
	flags |= __GFP_ACCOUNT;
	folio = node == NUMA_NO_NODE ? folio_alloc(flags, order) :
		__folio_alloc_node(flags, order, node);
	set_active_memcg(old);
	return folio ? &folio->page : NULL;
}

/**
 * mrm_frame_tryget() - take a reference to a frame that may be going
 * @frame: what a guest page was seen to have; it may be somebody else's by now
 *
 * Whoever gets one looks again whether the guest page still has it.
 *
 * Return: false if it has none any more.
 */
bool mrm_frame_tryget(struct page *frame)
{
	struct folio *folio = page_folio(frame);

	if (!folio_try_get(folio))
		return false;
	/* It may have become part of a large frame, or be none any more. */
	if (likely(page_folio(frame) == folio))
		return true;
	folio_put(folio);
	return false;
}

/* Nobody waits for memory that is scarce, nor has it reclaimed from others. */
#define LOW_FLAGS	((GFP_USER & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN)

/**
 * mrm_frame_alloc_node() - a private frame
 * @vm: whose memory cgroup is charged, whichever thread touches the page
 * @flags: __GFP_ZERO, unless the caller overwrites all of it; MRM_KILL_NOBODY; GFP_DMA32 or
 *	GFP_DMA for a device that reaches no more, at once or not at all
 * @node: that it is to come from, if it can; NUMA_NO_NODE: as the current thread's policy says
 *
 * Context: May sleep and reclaim; the caller holds none of our spinlocks.
 * Return: the frame, locked, with one reference; NULL when there is no memory.
 */
struct page *mrm_frame_alloc_node(struct mrm_vm *vm, gfp_t flags, int node)
{
	gfp_t gfp = flags & GFP_ZONEMASK ? LOW_FLAGS : GFP_HIGHUSER;
	struct page *frame = alloc_charged(vm, gfp | flags, 0, node);

	if (!frame)
		return NULL;
	mrm_frame_set_hash(frame, 0);
	__folio_set_locked(page_folio(frame));
	mrm_frame_ring();
	return frame;
}

/**
 * mrm_frame_alloc() - a private frame, as the current thread's policy says
 * @vm: see mrm_frame_alloc_node()
 * @flags: the same
 *
 * Context: The same.
 * Return: the same.
 */
struct page *mrm_frame_alloc(struct mrm_vm *vm, gfp_t flags)
{
	return mrm_frame_alloc_node(vm, flags, NUMA_NO_NODE);
}

/* At once, or not at all: nobody waits for compaction, or for a cgroup's limit. */
#define LARGE_FLAGS	((GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_ZERO | __GFP_NOMEMALLOC | \
			 __GFP_NOWARN)

#ifdef CONFIG_MEMCG
/* Will it have less than a part of its room left? */
static bool one_is_short(struct mem_cgroup *memcg, unsigned long more, unsigned int part)
{
	/* Above memory.high who charges more is made to sleep. */
	unsigned long limit = min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));
	unsigned long room = max(limit / ROOM_PART, (unsigned long)ROOM) / part;

	/* What one that is gone has charged is its parent's now. */
	return limit != PAGE_COUNTER_MAX && mem_cgroup_online(memcg) &&
	       page_counter_read(&memcg->memory) + more + room > limit;
}
#endif

/* Will any that pays for a VM? */
static bool is_short(struct mrm_vm *vm, unsigned long more, unsigned int part)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;

	for (memcg = vm->memcg; memcg; memcg = parent_mem_cgroup(memcg))
		if (one_is_short(memcg, more, part))
			return true;
#endif
	return false;
}

/**
 * mrm_frame_is_short() - is a memory cgroup that pays for a VM near its limit?
 * @vm: the VM
 * @more: pages that are to be charged
 *
 * 4 MiB, or a 64th of the limit, are kept for what else is charged to it.
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_frame_is_short(struct mrm_vm *vm, unsigned long more)
{
	return is_short(vm, more, 1);
}

/**
 * mrm_frame_is_at_limit() - is little left of that?
 * @vm: the VM
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_frame_is_at_limit(struct mrm_vm *vm)
{
	return is_short(vm, 0, 4);
}

/**
 * mrm_frame_shares_limit() - does a cgroup that is near its limit pay for both?
 * @vm: a VM
 * @other: another one
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_frame_shares_limit(struct mrm_vm *vm, struct mrm_vm *other)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;

	for (memcg = vm->memcg; memcg; memcg = parent_mem_cgroup(memcg))
		if (one_is_short(memcg, 0, 1) && mem_cgroup_is_descendant(other->memcg, memcg))
			return true;
#endif
	return false;
}

static struct page *alloc_large(struct mrm_vm *vm, gfp_t flags, int node)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || !IS_ENABLED(CONFIG_MEMORY_FAILURE) ||
	    mrm_frame_is_short(vm, MRM_LARGE_ROOM))
		return NULL;
	return alloc_charged(vm, flags | (node == NUMA_NO_NODE ? 0 : __GFP_THISNODE),
			     MRM_LARGE_ORDER, node);
}

/**
 * mrm_frame_large_is_free() - is there a large frame to be had?
 * @vm: for whom
 * @node: of this node
 *
 * Context: Does not wait.
 * Return: whether there was one just now.
 */
bool mrm_frame_large_is_free(struct mrm_vm *vm, int node)
{
	struct page *frame = alloc_large(vm, LARGE_FLAGS & ~__GFP_ZERO, node);

	if (frame)
		put_page(frame);
	return frame;
}

/* What is in them is no good to whoever gets the page next. */
static void clear_words(struct page *frame)
{
	unsigned int word;

	for (word = MRM_LARGE_LEFT; word <= MRM_LARGE_SAVES; word++)
		WRITE_ONCE(*mrm_large_word(frame, word), 0);
	set_page_private(frame, 0);
	*mrm_page_index_word(frame) = 0;
}

/**
 * mrm_frame_alloc_large() - a large frame
 * @vm: whose it is, and whose memory cgroup is charged
 * @first: its first guest page, a multiple of MRM_LARGE_PAGES
 * @node: that it is to come from, or there is none; NUMA_NO_NODE: as the current thread's policy
 *	says
 *
 * There are none where the kernel has no memory failures: the mark that keeps a broken one from
 * being mapped as a whole is theirs.
 *
 * Context: Does not wait.
 * Return: its first part, zeroed, locked, with one reference; NULL if there is none.
 */
struct page *mrm_frame_alloc_large(struct mrm_vm *vm, unsigned long first, int node)
{
	struct page *frame = alloc_large(vm, LARGE_FLAGS, node);

	if (!frame)
		return NULL;
	__folio_set_locked(page_folio(frame));
	clear_words(frame);
	*mrm_large_word(frame, MRM_LARGE_IS_UNTOUCHED) = 0;
	mrm_frame_own(frame, vm, first);
	return frame;
}

/**
 * mrm_frame_forget_large() - a large frame is nobody's any more
 * @frame: its first part, locked
 *
 * The kernel keeps a page for itself that has failed, but not if it is given back as a part of
 * 2 MiB.  These are kept for ever then.
 */
void mrm_frame_forget_large(struct page *frame)
{
	unsigned long part;

	clear_words(frame);
	for (part = 0; part < MRM_LARGE_PAGES; part++) {
		if (likely(!PageHWPoison(frame + part)))
			continue;
		pr_warn_ratelimited("2 MiB of memory at %#llx are not used any more, as the page at %#llx has failed\n",
				    PFN_PHYS(page_to_pfn(frame)),
				    PFN_PHYS(page_to_pfn(frame + part)));
		get_page(frame);
		break;
	}
}

/**
 * mrm_frame_own() - say whose guest page a private frame is
 * @frame: a locked private frame
 * @vm: the VM
 * @index: its guest page
 */
void mrm_frame_own(struct page *frame, struct mrm_vm *vm, unsigned long index)
{
	set_page_private(frame, (unsigned long)vm);
	*mrm_page_index_word(frame) = index;
}

/**
 * mrm_frame_is_charged_to() - does a VM's memory cgroup pay for a frame?
 * @frame: with a reference
 * @vm: the VM
 *
 * What is the root's is charged to nobody; nor is anything where the kernel was told not to charge
 * for its own.  A cgroup that is gone has left what it paid for to the one that it was in.
 *
 * Context: Any.
 * Return: true if so.
 */
bool mrm_frame_is_charged_to(struct page *frame, struct mrm_vm *vm)
{
	struct mem_cgroup *memcg, *pays = vm->memcg;
	bool same;

	rcu_read_lock();
	memcg = folio_memcg(page_folio(frame));
	while (pays && !mem_cgroup_online(pays) && parent_mem_cgroup(pays))
		pays = parent_mem_cgroup(pays);
	same = memcg == pays ||
	       (!memcg && (!memcg_kmem_online() || !parent_mem_cgroup(pays)));
	rcu_read_unlock();
	return same;
}

/**
 * mrm_frame_alloc_shared() - a shared frame, named by nobody yet
 * @vm: the first VM to name it; its memory cgroup is charged
 * @salt: only VMs of this salt may name it
 * @hash: of the contents it is going to have
 * @zero: it is a zero frame, and comes zeroed
 * @flags: 0; MRM_SPARE if it can be done without; MRM_KILL_NOBODY
 *
 * A fresh frame and not a guest's own, so that a guest cannot choose which
 * machine page it will share (Flip Feng Shui, Razavi et al. 2016).  It is
 * charged, or a VM could get out of its limit by sharing with itself.  A zero frame
 * is in low memory, if there is any: who shares a frame is not known where a device
 * has it copied.
 *
 * Context: May sleep.
 * Return: the frame with one reference and a count of one, or NULL.
 */
struct page *mrm_frame_alloc_shared(struct mrm_vm *vm, u64 salt, u64 hash, bool zero, gfp_t flags)
{
	struct page *frame = NULL;

	/* Of a buffer of zeroes that is written again and again nothing is to be copied. */
	if (zero)
		frame = alloc_charged(vm, LOW_FLAGS | GFP_DMA32 | __GFP_ZERO, 0, NUMA_NO_NODE);
	if (!frame)
		frame = alloc_charged(vm, GFP_HIGHUSER | flags | (zero ? __GFP_ZERO : 0), 0,
				      NUMA_NO_NODE);
	if (!frame)
		return NULL;
	set_page_private(frame, salt << MRM_FRAME_SALT_SHIFT |
				(zero ? MRM_FRAME_ZERO : 0) | MRM_FRAME_SHARED);
	atomic_long_set(mrm_frame_refs(frame), 1);
	mrm_frame_set_hash(frame, hash);
	return frame;
}

/**
 * mrm_frame_free() - drop our reference to a frame that no guest page names
 * @frame: not in the frame table, not locked, and no part of a large frame
 *
 * Whoever still maps or pins it keeps it; the page goes back to the kernel
 * with the last of them, and whoever gets it next from us gets it zeroed or
 * overwritten.
 */
void mrm_frame_free(struct page *frame)
{
	set_page_private(frame, 0);
	*mrm_page_index_word(frame) = 0;
	put_page(frame);
	mrm_frame_ring();
}

/**
 * mrm_frame_contents_zero() - does a frame hold nothing but zeroes?
 * @frame: the frame; if a guest can write to it the answer is only a guess
 * Return: true if it does.
 */
bool mrm_frame_contents_zero(struct page *frame)
{
	void *p = kmap_local_page(frame);
	bool zero = !memchr_inv(p, 0, PAGE_SIZE);

	kunmap_local(p);
	return zero;
}

/**
 * mrm_frames_equal() - compare two frames byte by byte
 * @a: one
 * @b: the other
 * Return: true if they are equal (a guess while a guest can write to one).
 */
bool mrm_frames_equal(struct page *a, struct page *b)
{
	void *pa = kmap_local_page(a);
	void *pb = kmap_local_page(b);
	bool equal = !memcmp(pa, pb, PAGE_SIZE);

	kunmap_local(pb);
	kunmap_local(pa);
	return equal;
}

static u64 narrowed(u64 hash)
{
	unsigned int bits = READ_ONCE(hash_bits);

	if (bits < 64)
		hash &= (1ULL << bits) - 1;
	/* 0 says "not in the table". */
	return hash ?: 1;
}

/**
 * mrm_frame_compute_hash() - 64-bit hash of a frame's contents
 * @frame: the frame
 * @salt: mixed in, so that VMs of different salt do not even meet in a chain
 *
 * xxhash, the kernel's own: fast and of high quality, as Waldspurger 2002,
 * 4.3 asks for.
 *
 * Return: the hash, never 0.
 */
u64 mrm_frame_compute_hash(struct page *frame, u64 salt)
{
	void *p = kmap_local_page(frame);
	u64 hash = xxh64(p, PAGE_SIZE, hash_seed ^ salt);

	kunmap_local(p);
	return narrowed(hash);
}

/**
 * mrm_frame_checksum() - of a frame's contents, as it is stored with a swap slot
 * @frame: the frame
 * Return: the checksum.
 */
u32 mrm_frame_checksum(struct page *frame)
{
	void *p = kmap_local_page(frame);
	u32 sum = mrm_checksum(p, PAGE_SIZE);

	kunmap_local(p);
	return sum;
}

/**
 * mrm_frame_zero_hash() - where the zero frame of a salt is found
 * @salt: the salt
 *
 * Costs no look at a page: zero pages are recognised without hashing.
 *
 * Return: the hash, never 0.
 */
u64 mrm_frame_zero_hash(u64 salt)
{
	u64 hash = xxh64(&salt, sizeof(salt), ~hash_seed);

	return hash ?: 1;
}

/**
 * mrm_frame_set_hash_bits() - shorten the hash, to try false matches
 * @bits: 1 to 64
 * Return: 0, or -EINVAL.
 */
int mrm_frame_set_hash_bits(unsigned int bits)
{
	if (bits < 1 || bits > 64)
		return -EINVAL;
	WRITE_ONCE(hash_bits, bits);
	return 0;
}

/**
 * mrm_frame_hash_bits() - how many bits of the hash are used
 * Return: 1 to 64.
 */
unsigned int mrm_frame_hash_bits(void)
{
	return READ_ONCE(hash_bits);
}

/**
 * mrm_frame_init() - draw the hash seed
 */
void mrm_frame_init(void)
{
	hash_seed = get_random_u64();
}
