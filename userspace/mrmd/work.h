/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_WORK_H
#define MRMD_WORK_H

#include <stdbool.h>

/**
 * struct work - a call that may take its time
 * @run: makes the call, in a thread of its own; touches nothing but what is its own
 * @done: takes the result, in the thread of the event loop, and frees it
 * @slow: it asks QEMU, which may never answer
 * @next: of a list
 */
struct work {
	void (*run)(struct work *work);
	void (*done)(struct work *work);
	bool slow;
	struct work *next;
};

int work_init(void);
void work_start(struct work *work);

#endif
