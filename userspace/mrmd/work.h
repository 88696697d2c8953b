/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_WORK_H
#define MRMD_WORK_H

/**
 * enum work_class - what a call waits for, and so how many are made at once
 * @WORK_QUICK: libvirt
 * @WORK_SLOW: QEMU, by libvirt; it may never answer
 * @WORK_DISK: a disk, and libvirt not at all
 * @WORK_MODULE: the module, and by it a process that it serves; it may never let go
 * @WORK_CLASSES: how many there are
 */
enum work_class {
	WORK_QUICK,
	WORK_SLOW,
	WORK_DISK,
	WORK_MODULE,
	WORK_CLASSES,
};

/**
 * struct work - a call that may take its time
 * @run: makes the call, in a thread of its own; touches nothing but what is its own
 * @done: takes the result, in the thread of the event loop, and frees it
 * @class: what it waits for
 * @next: of a list
 */
struct work {
	void (*run)(struct work *work);
	void (*done)(struct work *work);
	enum work_class class;
	struct work *next;
};

int work_init(void);
void work_start(struct work *work);

#endif
