/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Those who look for equal pages
 *
 * KSM and kvm-mrm, behind one interface.
 */
#ifndef SCANNER_H
#define SCANNER_H

#include <sys/types.h>

#include "guests.h"

/**
 * enum scan_mode - how fast they may go
 * @LIMITED: an equal number of pages a second
 * @FLAT: as fast as they can
 * @MODES: how many modes there are
 */
enum scan_mode {
	LIMITED,
	FLAT,
	MODES,
};

/**
 * struct scan_counters - how far a scanner is
 * @saved: pages
 * @scanned: pages, since some beginning
 * @passes: over everything, since some beginning
 * @cpu_ns: processor time of its thread, since some beginning
 */
struct scan_counters {
	long saved, scanned, passes;
	double cpu_ns;
};

/**
 * struct scanner - one who looks for equal pages
 * @name: for people
 * @prepare: before the guests are started; it must not scan yet
 * @set: with the guests there: set it up for a mode, but do not scan yet
 * @start: scan
 * @hold: while it scans, now and then: see that it goes as fast as the mode says
 * @again: a pass has ended
 * @read: its counters
 * @metadata: bytes it spends on a page it has scanned
 * @stop: scan no longer
 * @finish: after the guests have ended
 * @thread: its kernel thread
 */
struct scanner {
	const char *name;
	void (*prepare)(void);
	void (*set)(struct guests *g, enum scan_mode mode, long rate);
	void (*start)(void);
	void (*hold)(double seconds, long scanned);
	void (*again)(void);
	void (*read)(struct scan_counters *c);
	double (*metadata)(struct guests *g);
	void (*stop)(void);
	void (*finish)(void);
	pid_t (*thread)(void);
};

extern const struct scanner ksm, ksm_zero, mrm;

const char *ksm_metadata_source(void);
void ksm_describe(void);

#endif
