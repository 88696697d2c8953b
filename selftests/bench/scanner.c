// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mrm.h"
#include "scanner.h"
#include "tap.h"

#define KSM		"/sys/kernel/mm/ksm/"
#define SLAB		"/sys/kernel/slab/"
#define KSM_SLEEP_MS	100	/* as long as our scanner's windows */
#define FAST		10000000L

static pid_t scan_thread;
static int schedstat = -1;
static char metadata_source[MRM_TEXT];

static long file_number(const char *path)
{
	char buf[MRM_TEXT];

	return file_read(path, buf, sizeof(buf)) > 0 ? strtol(buf, NULL, 10) : -1;
}

static void watch(const char *name)
{
	char path[64];

	scan_thread = kernel_thread(name);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", scan_thread);
	if (schedstat >= 0)
		close(schedstat);
	schedstat = open(path, O_RDONLY | O_CLOEXEC);
	if (!scan_thread || schedstat < 0)
		tap_bail("there is no thread %s, or %s cannot be read", name, path);
}

static pid_t watched(void)
{
	return scan_thread;
}

static double cpu_ns(void)
{
	char buf[MRM_TEXT];
	ssize_t n = pread(schedstat, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		tap_bail("the scanner's schedstat cannot be read");
	buf[n] = '\0';
	return strtod(buf, NULL);
}

/* KSM */

static int ksm_pages_to_scan;
static long ksm_rate;

static long ksm_get(const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), KSM "%s", file);
	return file_number(path);
}

static void ksm_set(const char *file, long value)
{
	char path[128], text[32];
	int err;

	snprintf(path, sizeof(path), KSM "%s", file);
	snprintf(text, sizeof(text), "%ld\n", value);
	err = file_write(path, text);
	if (err)
		tap_bail("%s: %ld: %s", path, value, strerror(-err));
}

/**
 * ksm_describe() - say how KSM is set up, where its defaults matter
 */
void ksm_describe(void)
{
	char advisor[MRM_TEXT] = "";

	file_read(KSM "advisor_mode", advisor, sizeof(advisor));
	advisor[strcspn(advisor, "\n")] = '\0';
	printf("KSM: smart_scan %ld, max_page_sharing %ld, advisor %s\n", ksm_get("smart_scan"),
	       ksm_get("max_page_sharing"), *advisor ? advisor : "none");
}

static void ksm_prepare_any(long use_zero_pages)
{
	if (mrm_loaded())
		tap_bail("the module is loaded");
	ksm_set("run", 2);
	ksm_set("use_zero_pages", use_zero_pages);
	watch("ksmd");
}

static void ksm_prepare(void)
{
	ksm_prepare_any(0);
}

static void ksm_zero_prepare(void)
{
	ksm_prepare_any(1);
}

static void ksm_mode(struct guests *g, enum scan_mode mode, long rate)
{
	ksm_rate = mode == LIMITED ? rate : 0;
	ksm_pages_to_scan = mode == LIMITED ? rate * KSM_SLEEP_MS / 1000 : guests_total(g);
	ksm_set("sleep_millisecs", mode == LIMITED ? KSM_SLEEP_MS : 0);
	ksm_set("pages_to_scan", ksm_pages_to_scan);
}

static void ksm_start(void)
{
	ksm_set("run", 1);
}

/*
 * KSM sleeps after each lot, however long the lot took, so it falls short of
 * its limit, and on an emulated processor far short.  Larger lots make up.
 */
static void ksm_hold(double seconds, long scanned)
{
	double real = scanned / seconds;

	if (!ksm_rate || seconds <= 0 || scanned <= 0)
		return;
	ksm_pages_to_scan += ksm_pages_to_scan * (ksm_rate - real) / ksm_rate / 2;
	if (ksm_pages_to_scan < 1)
		ksm_pages_to_scan = 1;
	ksm_set("pages_to_scan", ksm_pages_to_scan);
}

static void ksm_again(void)
{
}

static void ksm_read(struct scan_counters *c)
{
	long zero = ksm_get("ksm_zero_pages");

	c->saved = ksm_get("pages_sharing") + (zero > 0 ? zero : 0);
	c->scanned = ksm_get("pages_scanned");
	c->passes = ksm_get("full_scans");
	c->cpu_ns = cpu_ns();
}

static long count_items(struct guests *g)
{
	char path[64], buf[4096], *found;
	unsigned int i;
	long items = 0;

	for (i = 0; i < g->count; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ksm_stat", g->vm[i].pid);
		found = file_read(path, buf, sizeof(buf)) > 0 ?
			strstr(buf, "ksm_rmap_items ") : NULL;
		if (!found)
			return -1;
		items += strtol(strchr(found, ' '), NULL, 10);
	}
	return items;
}

/* Bytes in use of a cache that is no other's alias, or -1. */
static double slabinfo_bytes(const char *slabinfo, const char *cache)
{
	char format[64];
	const char *line = strstr(slabinfo, cache);
	long active, objects, size;

	snprintf(format, sizeof(format), "%s %%ld %%ld %%ld", cache);
	if (!line || sscanf(line, format, &active, &objects, &size) != 3)
		return -1;
	return (double)active * size;
}

static double ksm_metadata(struct guests *g)
{
	static const char * const caches[] = { "ksm_rmap_item", "ksm_stable_node", "ksm_mm_slot" };
	static const long by_source[] = { 64, 64, 48 };
	static char slabinfo[65536];
	long items = count_items(g), objects[3], size;
	double bytes = 0, one;
	char path[128];
	bool measured = true;
	unsigned int i;

	if (file_read("/proc/slabinfo", slabinfo, sizeof(slabinfo)) > 0) {
		for (i = 0; i < 3 && bytes >= 0; i++) {
			one = slabinfo_bytes(slabinfo, caches[i]);
			bytes = one < 0 ? -1 : bytes + one;
		}
		if (bytes > 0) {
			snprintf(metadata_source, sizeof(metadata_source),
				 "objects in use in /proc/slabinfo");
			return bytes / guests_total(g);
		}
	}
	if (items < 0)
		items = ksm_get("pages_shared") + ksm_get("pages_sharing") +
			ksm_get("pages_unshared") + ksm_get("pages_volatile");
	objects[0] = items;
	objects[1] = ksm_get("pages_shared") + ksm_get("stable_node_chains");
	objects[2] = g->count;
	bytes = 0;
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), SLAB "%s/slab_size", caches[i]);
		size = file_number(path);
		if (size < 0) {
			size = by_source[i];
			measured = false;
		}
		bytes += (double)objects[i] * size;
	}
	snprintf(metadata_source, sizeof(metadata_source), "KSM's own count of its objects, of %s",
		 measured ? "the sizes in /sys/kernel/slab" : "the sizes in its source");
	return bytes / guests_total(g);
}

/**
 * ksm_metadata_source() - where the figure for KSM's metadata comes from
 * Return: words.
 */
const char *ksm_metadata_source(void)
{
	return metadata_source;
}

static void ksm_stop(void)
{
	ksm_set("run", 0);
}

static void ksm_finish(void)
{
	ksm_set("run", 2);
	ksm_set("run", 0);
	ksm_set("use_zero_pages", 0);
}

#define KSM_SCANNER(text, prepare_with)	\
	.name = (text),			\
	.prepare = (prepare_with),	\
	.set = ksm_mode,		\
	.start = ksm_start,		\
	.hold = ksm_hold,		\
	.again = ksm_again,		\
	.read = ksm_read,		\
	.metadata = ksm_metadata,	\
	.stop = ksm_stop,		\
	.finish = ksm_finish,		\
	.thread = watched

const struct scanner ksm = { KSM_SCANNER("KSM", ksm_prepare) };
const struct scanner ksm_zero = { KSM_SCANNER("KSM zero", ksm_zero_prepare) };

/* kvm-mrm */

static bool mrm_flat;

static void tune(const char *file, long value)
{
	int err = mrm_set_number(file, value);

	if (err)
		tap_bail("%s: %ld: %s", file, value, strerror(-err));
}

static void mrm_prepare(void)
{
	int err = mrm_load();

	if (err)
		tap_bail("the module does not load: %s", strerror(-err));
	tune("share_cpu_max", 0);
	watch("mrm_share");
}

static void mrm_mode(struct guests *g, enum scan_mode mode, long rate)
{
	long bytes = g->pages * PAGE_SIZE, got;
	unsigned int i;

	for (i = 0; i < g->count; i++) {
		got = mrm_vm_get(g->vm[i].pid, "adopted_bytes");
		if (got != bytes)
			tap_bail("VM %d: %ld of %ld bytes adopted", g->vm[i].pid, got, bytes);
		mrm_vm_set(g->vm[i].pid, "salt", "benchmark");
	}
	/* Its limit is for each VM.  Without a scan time it does not scan yet,
	 * nor save up the right to.
	 */
	tune("share_scan_time", 0);
	tune("share_rate_max", mode == LIMITED ? rate / g->count : FAST);
	tune("share_cpu_max", 100);
	mrm_flat = mode == FLAT;
}

/* The shortest scan time would still make a pass last a second. */
static void mrm_again(void)
{
	if (mrm_flat)
		tune("share_scan_now", 1);
}

static void mrm_start(void)
{
	if (mrm_flat)
		mrm_again();
	else
		tune("share_scan_time", 1);
}

static void mrm_hold(double seconds, long scanned)
{
	(void)seconds;
	(void)scanned;
}

static void mrm_read(struct scan_counters *c)
{
	c->saved = mrm_get("saved_pages");
	c->scanned = mrm_get("scanned_pages");
	c->passes = mrm_get("full_scans");
	c->cpu_ns = cpu_ns();
}

static double mrm_metadata(struct guests *g)
{
	(void)g;
	return (double)mrm_get("overhead_bytes") / mrm_get("resident_pages");
}

static void mrm_stop(void)
{
	tune("share_cpu_max", 0);
}

static void mrm_finish(void)
{
	if (!mrm_unload_wait(MRM_LONG))
		tap_bail("the module does not unload");
}

const struct scanner mrm = {
	.name = "kvm-mrm",
	.prepare = mrm_prepare,
	.set = mrm_mode,
	.start = mrm_start,
	.hold = mrm_hold,
	.again = mrm_again,
	.read = mrm_read,
	.metadata = mrm_metadata,
	.stop = mrm_stop,
	.finish = mrm_finish,
	.thread = watched,
};
