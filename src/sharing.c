// SPDX-License-Identifier: GPL-2.0
/*
 * Counting what cannot be counted as it happens: which part of a VM's shared
 * frames is its own.  A walk over the VM's guest pages; what it found is
 * remembered for a time that grows with what it cost, so that reading a file in
 * a loop does not hurt.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "frame.h"
#include "guest_page.h"
#include "sharing.h"
#include "vm.h"

#define NODE_SHIFT	6	/* guest pages of an XArray node, as a power of two */
#define CACHE_MIN_NS	NSEC_PER_SEC
#define CACHE_FACTOR	50	/* at most this part of the time is spent counting */
#define PART_SHIFT	20	/* of the fixed-point fractions */

/* Nodes of the XArray, from the places where entries are. */
static unsigned long count_nodes(struct xarray *xa)
{
	unsigned long index = 0, nodes = 0, last[11], shift;
	unsigned int level, levels = DIV_ROUND_UP(BITS_PER_LONG, NODE_SHIFT);
	bool any = false;

	while (xa_find(xa, &index, ULONG_MAX, XA_PRESENT)) {
		for (level = 0; level < levels; level++) {
			shift = NODE_SHIFT * (level + 1);
			if (any && (shift >= BITS_PER_LONG || last[level] == index >> shift))
				break;
			last[level] = shift >= BITS_PER_LONG ? 0 : index >> shift;
			/* Above the highest level in use there is nothing. */
			if (!any && level && !(index >> (shift - NODE_SHIFT)))
				continue;
			nodes++;
		}
		any = true;
		index |= (1UL << NODE_SHIFT) - 1;
		if (!++index)
			break;
		cond_resched();
	}
	return nodes;
}

static int count(struct mrm_vm *vm, struct mrm_sharing *out)
{
	unsigned long index = 0, shared = 0, different = 0;
	u64 parts = 0;
	struct xarray seen;
	struct page *frame;
	int err = 0;

	/* Up to 576 bytes a frame: they are the reader's, and nobody is to be killed for them. */
	xa_init_flags(&seen, XA_FLAGS_ACCOUNT);
	while (err != -ENOMEM && xa_find(&vm->pages, &index, ULONG_MAX, MRM_MARK_SHARED)) {
		frame = mrm_guest_page_get(vm, index);
		if (frame && mrm_frame_is_shared(frame)) {
			long refs = atomic_long_read(mrm_frame_refs(frame));

			shared++;
			parts += div_u64(1ULL << PART_SHIFT, max(refs, 1L));
			/* -EBUSY: a name of mine twice, saved within the VM. */
			err = xa_insert(&seen, page_to_pfn(frame), xa_mk_value(0),
					GFP_KERNEL | MRM_SPARE);
			different += !err;
		}
		if (frame)
			put_page(frame);
		if (!++index)
			break;
		cond_resched();
	}
	xa_destroy(&seen);
	if (err == -ENOMEM)
		return err;
	out->saved = shared - min_t(u64, shared, (parts + (1 << (PART_SHIFT - 1))) >> PART_SHIFT);
	out->saved_within = shared - different;
	out->overhead = sizeof(*vm) + (count_nodes(&vm->pages) + count_nodes(&vm->hot) +
		count_nodes(&vm->cached)) * sizeof(struct xa_node);
	return 0;
}

/**
 * mrm_sharing_count() - what a VM's sharing saves
 * @vm: the VM
 * @out: the answer, a second old at the most for a small VM
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int mrm_sharing_count(struct mrm_vm *vm, struct mrm_sharing *out)
{
	struct mrm_sharing_cache *c = &vm->sharing;
	int err = 0;
	u64 begun;

	mutex_lock(&c->lock);
	begun = ktime_get_ns();
	if (begun >= c->until_ns) {
		u64 took;

		err = count(vm, out);
		if (err)
			goto unlock;
		c->saved = out->saved;
		c->saved_within = out->saved_within;
		c->overhead = out->overhead;
		took = ktime_get_ns() - begun;
		c->until_ns = begun + max_t(u64, CACHE_MIN_NS, took * CACHE_FACTOR);
	}
	out->saved = c->saved;
	out->saved_within = c->saved_within;
	out->overhead = c->overhead;
unlock:
	mutex_unlock(&c->lock);
	return err;
}

/**
 * mrm_sharing_overhead() - our metadata for all VMs
 *
 * Context: May sleep.
 * Return: bytes, or -ENOMEM.
 */
ssize_t mrm_sharing_overhead(void)
{
	struct mrm_sharing s;
	unsigned long id = 0;
	struct mrm_vm *vm;
	ssize_t bytes = 0;
	int err = 0;

	while (!err && (vm = mrm_vm_next(&id))) {
		err = mrm_sharing_count(vm, &s);
		bytes += err ? 0 : s.overhead;
		mrm_vm_put(vm);
	}
	return err ?: bytes;
}
