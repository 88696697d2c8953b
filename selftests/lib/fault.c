// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "mrm.h"
#include "tap.h"

#define MODULES_END	0xffffffffff000000UL	/* x86-64 */
#define RECORD		8192	/* of the kernel's log */

static const char * const kinds[] = { "failslab", "fail_page_alloc" };
static int kernel_log = -1;

static int set_file(const char *kind, const char *file, unsigned long value)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, file);
	snprintf(text, sizeof(text), "%lu", value);
	return file_write(path, text);
}

static void set_both(const char *file, unsigned long value)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (set_file(kinds[i], file, value))
			tap_bail("cannot set %s of %s", file, kinds[i]);
}

/* Addresses of the functions of a module; of everything but modules for "". */
static void find_text(const char *module, unsigned long *first, unsigned long *last)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[512], type, of[64];
	unsigned long address;

	*first = ULONG_MAX;
	*last = 0;
	while (symbols && fgets(line, sizeof(line), symbols)) {
		*of = '\0';
		if (sscanf(line, "%lx %c %*s [%63[^]]]", &address, &type, of) < 2 ||
		    strcmp(of, module) || !strchr("tT", type))
			continue;
		*first = address < *first ? address : *first;
		*last = address > *last ? address : *last;
	}
	if (symbols)
		fclose(symbols);
	if (*first > *last || !*first)
		tap_bail("no functions of \"%s\" in /proc/kallsyms", module);
}

/**
 * fault_any_module() - only what any module asks for fails: ours is not loaded yet
 */
void fault_any_module(void)
{
	unsigned long first, last;

	find_text("", &first, &last);
	set_both("require-start", last + 1);
	set_both("require-end", MODULES_END);
}

/**
 * fault_our_module() - only what our module asks for fails
 */
void fault_our_module(void)
{
	unsigned long first, last;

	find_text("kvm_mrm", &first, &last);
	set_both("require-start", first);
	/* The last function has an end. */
	set_both("require-end", last + 4096);
}

/* What the kernel has said so far is not of interest. */
static void skip_log(void)
{
	lseek(kernel_log, 0, SEEK_END);
}

/**
 * fault_begin() - can this kernel fail allocations?  Then prepare it
 * Return: true if it can.
 */
bool fault_begin(void)
{
	if (access("/sys/kernel/debug/failslab/require-start", F_OK) ||
	    access("/sys/kernel/debug/fail_page_alloc/require-start", F_OK))
		return false;
	kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kernel_log < 0)
		tap_bail("cannot read the kernel's log: %s", strerror(errno));
	set_both("probability", 0);
	set_both("ignore-gfp-wait", 0);
	set_file("fail_page_alloc", "ignore-gfp-highmem", 0);
	set_file("fail_page_alloc", "min-order", 0);
	set_both("verbose", 2);
	set_both("stacktrace-depth", 32);
	return true;
}

static void fail_nth_path(char path[PATH_MAX], pid_t pid)
{
	snprintf(path, PATH_MAX, "/proc/%d/task/%d/fail-nth", pid, pid);
}

/**
 * fault_arm() - the n-th allocation of a thread is going to fail
 * @pid: a process, whose first thread it is, or a thread of the kernel
 * @n: from 1 on; 0: none
 */
void fault_arm(pid_t pid, unsigned int n)
{
	char path[PATH_MAX], text[32];

	fail_nth_path(path, pid);
	snprintf(text, sizeof(text), "%u", n);
	skip_log();
	if (file_write(path, text))
		tap_bail("cannot write %s", path);
}

/**
 * fault_left() - which of the allocations to come is going to fail
 * @pid: as for fault_arm()
 * Return: the n-th from now on; 0: it has failed, or none is to.
 */
unsigned int fault_left(pid_t pid)
{
	char path[PATH_MAX], text[32] = "";

	fail_nth_path(path, pid);
	if (file_read(path, text, sizeof(text)) < 0)
		tap_bail("cannot read %s", path);
	return strtoul(text, NULL, 10);
}

/* The innermost function of ours in the trace that the kernel has just logged. */
static void find_site(char site[FAULT_SITE])
{
	char record[RECORD], *line, *plus;
	bool tracing = false;
	ssize_t n;

	snprintf(site, FAULT_SITE, "(those that ask not to be logged)");
	while ((n = read(kernel_log, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = '\0';
		line = strchr(record, ';');
		tracing |= !!strstr(record, "FAULT_INJECTION");
		if (!tracing || !line || !strstr(line, "[kvm_mrm]"))
			continue;
		for (line++; *line == ' '; line++)
			;
		/* A guess, of what was on the stack before. */
		if (*line == '?')
			continue;
		plus = strchr(line, '+');
		if (plus)
			*plus = '\0';
		snprintf(site, FAULT_SITE, "%s", line);
		break;
	}
	skip_log();
}

/**
 * fault_fired() - did the allocation of fault_arm() fail, or was there none?
 * @pid: as for fault_arm(); disarmed
 * @site: where to: the function that wanted it
 * Return: true if it failed.
 */
bool fault_fired(pid_t pid, char site[FAULT_SITE])
{
	bool fired = !fault_left(pid);
	char path[PATH_MAX];

	fail_nth_path(path, pid);
	file_write(path, "0");
	if (fired)
		find_site(site);
	return fired;
}

/**
 * fault_storm() - let every so manieth allocation fail, whoever makes it
 * @interval: which
 */
void fault_storm(unsigned int interval)
{
	set_both("verbose", 0);
	set_both("interval", interval);
	/* They are counted down. */
	set_both("times", INT_MAX);
	set_both("probability", 100);
}

static unsigned long failed(const char *kind)
{
	char path[PATH_MAX], text[32] = "";

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/times", kind);
	if (file_read(path, text, sizeof(text)) <= 0)
		tap_bail("cannot read %s", path);
	return INT_MAX - strtol(text, NULL, 10);
}

/**
 * fault_storm_end() - let no more fail
 * Return: how many did.
 */
unsigned long fault_storm_end(void)
{
	unsigned long n = failed("failslab") + failed("fail_page_alloc");

	set_both("probability", 0);
	set_both("verbose", 2);
	return n;
}
