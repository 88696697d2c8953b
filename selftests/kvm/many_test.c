// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand VMs, one after the other, that share with two VMs that stay: nothing
 * adds up, and the last one takes no longer than the first.
 *
 * MRM_VMS: how many.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	512	/* the least that is adopted */
#define USED	64	/* of them; each is equal to one of the others' */
#define STAY	2
#define GROUP	50	/* VMs in a row whose time is compared */

/* A line of /proc/meminfo, in kB. */
static long kilobytes(const char *what)
{
	char text[8192], *line;

	if (file_read("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	line = strstr(text, what);
	return line ? atol(line + strlen(what)) : -1;
}

/* Free pages that processors keep for themselves, and MemAvailable does not have, in kB. */
static long kept_kb(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	long pages = 0, n;
	char line[512];

	/* "pages free", "low" and the like are other lines. */
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages * (PAGE_SIZE / 1024);
}

/* What is available, in kB, also if it is in a cache. */
static long available_kb(void)
{
	file_write("/proc/sys/vm/drop_caches", "3");
	return kilobytes("MemAvailable:") + kept_kb();
}

/*
 * How many kB less are available than there were: what it is when it is less than
 * @most, or in the end.  A process's memory is given back some time after its end.
 */
static long missing_kb(long available, long most)
{
	long end = now_ms() + MRM_LONG, missing;

	do {
		missing = available - available_kb();
		if (missing < most)
			break;
		usleep(200000);
	} while (now_ms() < end);
	return missing;
}

/* Objects that a slab cache has in use; -1 if it is not listed. */
static long slab_objects(const char *cache)
{
	size_t len = strlen(cache);
	char line[512];
	long n = -1;
	FILE *f;

	/* KASAN keeps what was freed for a while, but not through this. */
	snprintf(line, sizeof(line), "/sys/kernel/slab/%s/shrink", cache);
	file_write(line, "1");
	f = fopen("/proc/slabinfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, cache, len) && line[len] == ' ')
			n = atol(line + len);
	if (f)
		fclose(f);
	return n;
}

static long directories(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	long n = 0;

	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static struct vm_process stay[STAY];

static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(p, &config);
	for (i = 0; i < USED; i++)
		p->states[i] = i;
	if (mrm_vm_set(p->pid, "salt", "many") || process_guest(p, GUEST_FILL, 0, USED))
		tap_bail("cannot fill");
}

static long one(int i)
{
	struct vm_process p;
	long begun = now_ms(), bad = 0;

	start(&p);
	/* Once in a while exactly, else wherever the scanner is. */
	if (i % GROUP == 0) {
		bad = !process_share_all(stay, STAY, 0, USED);
		process_read_zeroes(&p, 0, USED);
		bad |= mrm_get("shared_frames") != USED ||
		       mrm_get("shared_pages") != (STAY + 1) * USED;
	}
	if (bad)
		tap_note("VM %d: %ld shared frames, %ld shared pages", i, mrm_get("shared_frames"),
			 mrm_get("shared_pages"));
	if (i % 2)
		process_kill(&p);
	else
		process_stop(&p);
	bad += !mrm_wait("vms", STAY, STAY, MRM_LONG);
	return bad ? -1 : now_ms() - begun;
}

static int compare(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of a group: what else the machine does meanwhile is not in it. */
static long median(long *group)
{
	qsort(group, GROUP, sizeof(*group), compare);
	return group[GROUP / 2];
}

int main(void)
{
	long n = setting("MRM_VMS", 1000), first[GROUP] = {}, last[GROUP] = {};
	long i, took, bad = 0, available, vmalloc;

	mrm_begin();
	for (i = 0; i < STAY; i++)
		start(&stay[i]);
	tap_ok(process_share_all(stay, STAY, 0, USED), "a pass over %d VMs", STAY);
	mrm_set("share_scan_time", "1");
	/* What is made once is made by the first few. */
	for (i = 0; i < GROUP; i++)
		bad += one(i) < 0;
	available = available_kb();
	vmalloc = kilobytes("VmallocUsed:");
	for (i = GROUP; i < n; i++) {
		took = one(i);
		bad += took < 0;
		if (i < 2 * GROUP)
			first[i - GROUP] = took;
		if (i >= n - GROUP)
			last[i - n + GROUP] = took;
	}
	mrm_set("share_scan_time", "0");
	tap_equal(bad, 0, "%ld VMs came, shared and went", n);
	if (n < 2 * GROUP)
		tap_skip("too few", "the time of the first and the last ones");
	else
		tap_between(median(last), 0, 2 * median(first),
			    "the last ones took no longer than twice the first ones (ms)");
	tap_note("ms for a VM: %ld early, %ld late", median(first), median(last));
	/* 4 kB for each VM would be 4 MB; what else the host does is less. */
	took = missing_kb(available, 4 * n);
	tap_between(took, -(1L << 40), 4 * n, "less than 4 kB for a VM is gone for good");
	tap_note("%ld kB less available, %ld kB more vmalloc", took,
		 kilobytes("VmallocUsed:") - vmalloc);
	tap_between(kilobytes("VmallocUsed:") - vmalloc, -(1L << 40), 1024, "no vmalloc adds up");
	if (slab_objects("mrm_vm") < 0)
		tap_skip("/proc/slabinfo has no mrm_vm", "objects in the slab");
	else
		tap_between(slab_objects("mrm_vm"), STAY, 64, "no VM stays in the slab");
	tap_equal(directories(MRM_SYSFS "/vm"), STAY, "no directory stays in sysfs");
	tap_equal(directories(MRM_DEBUGFS "/vm"), STAY, "nor in debugfs");
	tap_ok(process_share_all(stay, STAY, 0, USED), "a last pass");
	tap_equal(mrm_get("shared_frames"), USED, "as many frames as contents are shared");
	tap_equal(mrm_get("shared_pages"), STAY * USED, "by the VMs that stay");
	tap_equal(mrm_get("private_pages"), 0, "all of whose pages are");
	mrm_check("after all");
	for (i = 0; i < STAY; i++) {
		tap_ok(process_verify(&stay[i]), "VM %ld: every byte is right", i);
		process_stop(&stay[i]);
	}
	mrm_reload("after a thousand VMs");
	return tap_done();
}
