// SPDX-License-Identifier: GPL-2.0
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/hash.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/tracepoint.h>
#include <trace/events/swiotlb.h>

#include "bounce.h"
#include "frame.h"
#include "vm.h"

#define SLOT_BITS	15		/* twice as many as the pages of the default hot_io_max */
#define SLOTS		BIT(SLOT_BITS)
#define TRIES		8		/* neighbouring slots that are looked at */
#define DEVICE_BITS	6

/**
 * struct slot - copies of one frame for one device
 * @key: the frame's number and the device's, and never 0; 0: free
 * @since: jiffies, cut to 32 bits, when its period began
 * @n: copies since then
 */
struct slot {
	u64 key;
	u32 since;
	atomic_t n;
};

/* None as long as nothing was copied. */
static struct slot *slots;
static struct mrm_bounce_device devices[MRM_BOUNCE_DEVICES];
static unsigned int nr_devices;
/* Taken in the tracepoint, to enter a device that is new. */
static DEFINE_RAW_SPINLOCK(devices_lock);
static atomic_long_t missed;
static unsigned int threshold = UINT_MAX, period = 1;
static struct tracepoint *tracepoint;
static void (*wanted_fn)(void);

/* Who is bounced may hold any lock; whoever is woken is woken without. */
static void kick(struct irq_work *work)
{
	wanted_fn();
}

static DEFINE_IRQ_WORK(kick_work, kick);

/**
 * mrm_bounce_set() - what is hot
 * @copies: so many within a period; UINT_MAX: nothing
 * @ticks: how long a period is, in jiffies
 */
void mrm_bounce_set(unsigned int copies, unsigned int ticks)
{
	WRITE_ONCE(threshold, copies);
	WRITE_ONCE(period, ticks);
}

/* The last address that a device reaches. */
static u64 limit_of(struct device *dev)
{
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

/* One that was taken out and put in again is the same, wherever its struct is now. */
static bool is_device(const struct mrm_bounce_device *d, struct device *dev)
{
	return !strncmp(d->name, dev_name(dev), sizeof(d->name) - 1) &&
	       d->limit == limit_of(dev);
}

static struct mrm_bounce_device *find_device(struct device *dev)
{
	/* Pairs with the release in add_device(). */
	unsigned int i, n = smp_load_acquire(&nr_devices);

	for (i = 0; i < n; i++)
		if (is_device(&devices[i], dev))
			return &devices[i];
	return NULL;
}

/* Return: NULL if there is no room. */
static struct mrm_bounce_device *add_device(struct device *dev)
{
	struct mrm_bounce_device *d;
	unsigned long flags;

	/* For good: nobody takes the lock for nothing. */
	if (READ_ONCE(nr_devices) == MRM_BOUNCE_DEVICES)
		return NULL;
	raw_spin_lock_irqsave(&devices_lock, flags);
	d = find_device(dev);
	if (!d && nr_devices < MRM_BOUNCE_DEVICES) {
		d = &devices[nr_devices];
		strscpy(d->name, dev_name(dev), sizeof(d->name));
		d->limit = limit_of(dev);
		/* Who finds the number finds the device. */
		smp_store_release(&nr_devices, nr_devices + 1);
	}
	raw_spin_unlock_irqrestore(&devices_lock, flags);
	return d;
}

static u64 key_of(unsigned long pfn, const struct mrm_bounce_device *d)
{
	return (u64)pfn << DEVICE_BITS | (d - devices + 1);
}

static bool is_over(const struct slot *s)
{
	return (u32)jiffies - READ_ONCE(s->since) > READ_ONCE(period);
}

/* As long as it is not of this period nobody looks at what is in it. */
static unsigned int begin(struct slot *s)
{
	atomic_set(&s->n, 1);
	/* Pairs with the barrier in mrm_bounce_next(). */
	smp_store_release(&s->since, (u32)jiffies);
	return 1;
}

/*
 * One copy more.  Where all slots are in use, the one with the fewest copies loses one each
 * time, until it is free: what is copied once does not keep out what is copied often, nor push
 * it out (Misra and Gries 1982).
 *
 * Return: how many that makes; 0 if there is no slot.
 */
static unsigned int count(struct slot *slots, u64 key)
{
	unsigned int i, at = hash_64(key, SLOT_BITS);
	struct slot *fewest = NULL;
	u64 fewest_key = 0;

	for (i = 0; i < TRIES; i++) {
		struct slot *s = &slots[(at + i) % SLOTS];

		if (READ_ONCE(s->key) == key && !is_over(s))
			return atomic_inc_return(&s->n);
	}
	for (i = 0; i < TRIES; i++) {
		struct slot *s = &slots[(at + i) % SLOTS];
		u64 was = READ_ONCE(s->key);

		/* Whoever is faster has it; the next copy finds another. */
		if ((!was || is_over(s)) && cmpxchg64(&s->key, was, key) == was)
			return begin(s);
		if (!fewest || atomic_read(&s->n) < atomic_read(&fewest->n)) {
			fewest = s;
			fewest_key = was;
		}
	}
	if (atomic_dec_return(&fewest->n) <= 0 &&
	    cmpxchg64(&fewest->key, fewest_key, key) == fewest_key)
		return begin(fewest);
	return 0;
}

/*
 * Of which VM is the private frame that a page is?
 *
 * Context: RCU.  The page may be anybody's, and go, and change.
 */
static struct mrm_vm *vm_of(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	unsigned long word;

	if (!page)
		return NULL;
	word = READ_ONCE(compound_head(page)->private);
	if (!word || word & MRM_FRAME_SHARED)
		return NULL;
	return mrm_vm_at((void *)(word & ~MRM_FRAME_FLAGS));
}

/* Or is it copied for another reason than where it is? */
static bool would_help(struct device *dev, const struct mrm_bounce_device *d, phys_addr_t at)
{
	return (at | ~PAGE_MASK) > d->limit && !is_swiotlb_force_bounce(dev) &&
	       /* With encrypted memory no address is low. */
	       phys_to_dma(dev, 0) <= d->limit;
}

/* Context: atomic, perhaps with interrupts off; any lock of a driver may be held. */
static void probe_bounced(void *unused, struct device *dev, dma_addr_t dev_addr, size_t size)
{
	phys_addr_t at = dma_to_phys(dev, dev_addr), end = at + size;
	/* Pairs with mrm_bounce_prepare(). */
	struct slot *table = smp_load_acquire(&slots);
	struct mrm_bounce_device *d = NULL;
	struct mrm_vm *vm;
	unsigned int n;
	size_t bytes;

	rcu_read_lock();
	for (; at < end; at += bytes) {
		bytes = min_t(size_t, end - at, PAGE_SIZE - offset_in_page(at));
		vm = vm_of(PHYS_PFN(at));
		if (!vm)
			continue;
		mrm_count(vm, MRM_BOUNCES, 1);
		mrm_count(vm, MRM_BOUNCED_BYTES, bytes);
		if (!d)
			d = find_device(dev) ?: add_device(dev);
		if (!d) {
			atomic_long_inc(&missed);
			continue;
		}
		atomic_long_inc(&d->bounces);
		atomic_long_add(bytes, &d->bytes);
		if (READ_ONCE(threshold) == UINT_MAX || !would_help(dev, d, at))
			continue;
		n = table ? count(table, key_of(PHYS_PFN(at), d)) : 0;
		if (!n)
			atomic_long_inc(&missed);
		if (!table || n == READ_ONCE(threshold))
			irq_work_queue(&kick_work);
	}
	rcu_read_unlock();
}

/**
 * mrm_bounce_next() - walk what has been copied of late
 * @slot: 0 to begin; moves on
 * @least: only what was copied so often in its period
 * @b: what was found; its slot is *@slot - 1
 * Return: false: that was all.
 */
bool mrm_bounce_next(unsigned int *slot, unsigned int least, struct mrm_bounce *b)
{
	while (slots && *slot < SLOTS) {
		struct slot *s = &slots[(*slot)++];
		u64 key = READ_ONCE(s->key);

		if (!key || is_over(s))
			continue;
		/* Pairs with the release in begin(). */
		smp_rmb();
		/* Two at a time may have taken its last copy. */
		b->n = max(atomic_read(&s->n), 0);
		b->pfn = key >> DEVICE_BITS;
		b->device = &devices[(key & (BIT(DEVICE_BITS) - 1)) - 1];
		if (b->n >= least && READ_ONCE(s->key) == key)
			return true;
	}
	return false;
}

/**
 * mrm_bounce_forget() - a slot is free again
 * @slot: which
 */
void mrm_bounce_forget(unsigned int slot)
{
	atomic_set(&slots[slot].n, 0);
	/* Before who claims it counts the first copy. */
	smp_store_release(&slots[slot].key, 0);
}

/**
 * mrm_bounce_device() - the devices that have had pages copied
 * @i: 0 for the first
 * Return: it, or NULL behind the last.
 */
const struct mrm_bounce_device *mrm_bounce_device(unsigned int i)
{
	/* Pairs with the release in add_device(). */
	return i < smp_load_acquire(&nr_devices) ? &devices[i] : NULL;
}

/**
 * mrm_bounces_missed() - copies that were not counted for a frame
 *
 * As the table was full where they belong, or there are too many devices.
 *
 * Return: how many so far.
 */
unsigned long mrm_bounces_missed(void)
{
	return atomic_long_read(&missed);
}

/**
 * mrm_bounce_bytes() - what the table needs
 * Return: bytes.
 */
size_t mrm_bounce_bytes(void)
{
	return slots ? SLOTS * sizeof(*slots) : 0;
}

static void look_at(struct tracepoint *tp, void *found)
{
	if (!strcmp(tp->name, "swiotlb_bounced"))
		*(struct tracepoint **)found = tp;
}

/**
 * mrm_bounce_prepare() - have a table to count in, if anything was copied
 *
 * Context: One at a time, and not beside mrm_bounce_exit(); may sleep, but not for memory: what
 * cannot be had now is had the next time.
 */
void mrm_bounce_prepare(void)
{
	struct slot *table;

	/* Who sets something while the module goes gets none. */
	if (slots || !tracepoint || !mrm_bounce_device(0))
		return;
	table = kvcalloc(SLOTS, sizeof(*table), GFP_KERNEL | MRM_SPARE);
	/* Who sees it sees it empty. */
	smp_store_release(&slots, table);
}

/**
 * mrm_bounce_init() - begin to count
 * @wanted: called when something has become hot, or mrm_bounce_prepare() is wanted; must not
 *	wait
 *
 * Where the kernel has no bounce buffers there is nothing to count.
 *
 * Return: 0 or an error.
 */
int mrm_bounce_init(void (*wanted)(void))
{
	int err;

	check_trace_callback_type_swiotlb_bounced(probe_bounced);
	for_each_kernel_tracepoint(look_at, &tracepoint);
	if (!tracepoint) {
		pr_info("this kernel does not tell of bounce buffers: hot_io_* does nothing\n");
		return 0;
	}
	wanted_fn = wanted;
	err = tracepoint_probe_register(tracepoint, probe_bounced, NULL);
	if (err)
		tracepoint = NULL;
	return err;
}

/**
 * mrm_bounce_exit() - count no more
 */
void mrm_bounce_exit(void)
{
	if (!tracepoint)
		return;
	tracepoint_probe_unregister(tracepoint, probe_bounced, NULL);
	tracepoint_synchronize_unregister();
	tracepoint = NULL;
	irq_work_sync(&kick_work);
	kvfree(slots);
	slots = NULL;
}
