/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Counting bounces (Waldspurger 2002, 7)
 *
 * A device that cannot reach a page has the kernel copy what it reads or writes there, by way
 * of a bounce buffer.  Where that happens, in swiotlb, a tracepoint tells; here it is counted,
 * for each of our private frames and each device, in a table of fixed size that nobody waits
 * for: a slot is claimed by compare and exchange, counts for one period, and is anybody's
 * afterwards.  A count that is lost in a race, or finds no slot, is one copy more before the
 * page is hot.
 *
 * Whether a page is ours its own word tells, if that is the address of a VM we know; nothing of
 * the page but that word is looked at.  On a host whose devices reach all memory the tracepoint
 * is never hit, and there is no table.
 */
#ifndef MRM_BOUNCE_H
#define MRM_BOUNCE_H

#include <linux/atomic.h>
#include <linux/types.h>

#define MRM_BOUNCE_DEVICES	62	/* that are told apart */
#define MRM_BOUNCE_NAME		32

/**
 * struct mrm_bounce_device - a device that has had pages of ours copied
 * @name: the kernel's
 * @limit: the last address it reaches
 * @bounces: copies so far
 * @bytes: how much was copied so far
 * @moved: guest pages moved to where it reaches them so far; this and the next two are for who
 *	moves them
 * @returned: of these, moved back so far
 * @low: kept where it reaches them now; a guest page that two devices have copied is the first's
 */
struct mrm_bounce_device {
	char name[MRM_BOUNCE_NAME];
	u64 limit;
	atomic_long_t bounces, bytes, moved, returned, low;
};

/**
 * struct mrm_bounce - a frame that is being copied
 * @pfn: its number
 * @device: for which device
 * @n: copies in this period
 */
struct mrm_bounce {
	unsigned long pfn;
	struct mrm_bounce_device *device;
	unsigned int n;
};

void mrm_bounce_set(unsigned int copies, unsigned int ticks);
void mrm_bounce_prepare(void);
bool mrm_bounce_next(unsigned int *slot, unsigned int least, struct mrm_bounce *b);
void mrm_bounce_forget(unsigned int slot);
const struct mrm_bounce_device *mrm_bounce_device(unsigned int i);
unsigned long mrm_bounces_missed(void);
size_t mrm_bounce_bytes(void);

int mrm_bounce_init(void (*wanted)(void));
void mrm_bounce_exit(void);

#endif
