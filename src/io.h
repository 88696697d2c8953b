/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Hot I/O (Waldspurger 2002, 7)
 *
 * A guest page that is copied often for a device is moved to where the device reaches it
 * (bounce.h counts, guest_hot.h moves; one thread decides).  Low memory is scarce:
 *
 *   - no more than hot_io_max guest pages are kept there.  When they are so many, the coldest
 *     goes back up for one that is hot now: how often it is used nobody counts, as it is not
 *     copied any more, but whether it was used since it was looked at last is known.  Of those
 *     that were, the one that came first goes; if it is still hot it gets so again.  One that
 *     came less than a period ago stays, so nothing moves up and down twice in a period, and a
 *     set of hot pages that is too large costs no more moves than that.
 *   - while the zone itself is short nothing comes down, and those that came go back up, a few
 *     each second; and so do guest pages that merely happen to have low frames.
 *
 * The thread rests after each round, so whatever is copied, and however often, costs no more
 * than so many rounds a second.
 */
#ifndef MRM_IO_H
#define MRM_IO_H

#include <linux/types.h>

struct seq_file;

/**
 * struct mrm_io_tunables - what an administrator sets
 * @threshold: copies in a period that make a guest page hot; 0: none ever is
 * @period: seconds
 * @max: MiB of low memory for hot guest pages
 */
struct mrm_io_tunables {
	unsigned long threshold;
	unsigned long period;
	unsigned long max;
};

extern struct mrm_io_tunables mrm_io_tunables;

void mrm_io_changed(void);
void mrm_io_show_devices(struct seq_file *m);
void mrm_io_show_hottest(struct seq_file *m);
void mrm_io_show_low(struct seq_file *m);
unsigned long mrm_io_busy(void);
unsigned long mrm_io_refused(void);
unsigned long mrm_io_left(void);
size_t mrm_io_bytes(void);

int mrm_io_init(void);
void mrm_io_exit(void);

#endif
