// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mrm.h"
#include "pattern.h"
#include "setting.h"
#include "tap.h"

#define MODULE	"kvm_mrm"

/**
 * mrm_long() - what MRM_LONG is on this machine
 * Return: ms.
 */
int mrm_long(void)
{
	static int ms;

	if (!ms)
		ms = 30000 * setting("MRM_PATIENCE", 1);
	return ms;
}

/**
 * now_ms() - what the clock says
 * Return: ms since some moment.
 */
long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/**
 * wait_until() - wait for what sends no event
 * @done: tells whether it is so
 * @context: for @done
 * @ms: how long at the most
 * Return: true; false if it did not come.
 */
bool wait_until(bool (*done)(void *context), void *context, int ms)
{
	long end = now_ms() + ms;

	while (!done(context)) {
		if (now_ms() > end)
			return false;
		usleep(5000);
	}
	return true;
}

static int read_fd(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size) {
		got = pread(fd, buf + n, size - 1 - n, n);
		/* Some files of debugfs know no offsets. */
		if (got < 0 && errno == ESPIPE)
			got = read(fd, buf + n, size - 1 - n);
		if (got < 0)
			return -errno;
		if (!got)
			break;
		n += got;
	}
	buf[n] = '\0';
	return n;
}

/**
 * file_read() - what a file says
 * @path: the file
 * @buf: where to, NUL-terminated
 * @size: room there
 * Return: bytes, or a negative errno.
 */
int file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), n;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read_fd(fd, buf, size);
	close(fd);
	return n;
}

/**
 * file_write() - write to a file, in one piece
 * @path: the file, which exists
 * @text: what to write
 * Return: 0 or a negative errno.
 */
int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

/**
 * kernel_thread() - find a thread of the kernel
 * @name: its name
 * Return: its id, or 0.
 */
pid_t kernel_thread(const char *name)
{
	char path[PATH_MAX], comm[MRM_TEXT];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		if (atoi(entry->d_name) <= 0 || file_read(path, comm, sizeof(comm)) <= 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (!strcmp(comm, name))
			found = atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

static long parse(const char *text, const char *path)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || (*end && *end != '\n'))
		tap_bail("%s: \"%s\" is not a number", path, text);
	return value;
}

static long get(const char *path)
{
	char buf[MRM_TEXT];
	int n = file_read(path, buf, sizeof(buf));

	return n < 0 ? n : parse(buf, path);
}

/* Wait by poll() for a file to say a number in a range. */
static bool wait_number(const char *path, long low, long high, int ms)
{
	long end = now_ms() + ms, left, value = LONG_MIN;
	struct pollfd p = { .events = POLLPRI };
	char buf[MRM_TEXT];

	p.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return false;
	/* Read, then wait: what changes in between is not missed. */
	while (read_fd(p.fd, buf, sizeof(buf)) > 0) {
		value = parse(buf, path);
		left = end - now_ms();
		if ((value >= low && value <= high) || left < 0)
			break;
		if (poll(&p, 1, left) < 0 && errno != EINTR)
			break;
	}
	close(p.fd);
	return value >= low && value <= high;
}

static void host_path(char path[PATH_MAX], const char *file)
{
	snprintf(path, PATH_MAX, MRM_SYSFS "/%s", file);
}

static void vm_path(char path[PATH_MAX], pid_t pid, const char *file)
{
	snprintf(path, PATH_MAX, MRM_SYSFS "/vm/%d/%s", pid, file);
}

/**
 * mrm_get() - a number of the host
 * @file: which
 * Return: the number; no counter is negative, so a negative errno otherwise.
 */
long mrm_get(const char *file)
{
	char path[PATH_MAX];

	host_path(path, file);
	return get(path);
}

/**
 * mrm_set() - write a tunable
 * @file: which
 * @text: what to write
 * Return: 0 or a negative errno.
 */
int mrm_set(const char *file, const char *text)
{
	char path[PATH_MAX];

	host_path(path, file);
	return file_write(path, text);
}

/**
 * mrm_set_number() - write a tunable
 * @file: which
 * @value: what to write
 * Return: 0 or a negative errno.
 */
int mrm_set_number(const char *file, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	return mrm_set(file, text);
}

/**
 * mrm_wait() - wait for a number, by poll()
 * @file: "vms", "full_scans" or "share_scan_now": files that send events
 * @low: the least that will do
 * @high: the most that will do
 * @ms: how long to wait at the most
 * Return: true; false if it did not come.
 */
bool mrm_wait(const char *file, long low, long high, int ms)
{
	char path[PATH_MAX];

	host_path(path, file);
	return wait_number(path, low, high, ms);
}

static bool state_is(void *word)
{
	char text[MRM_TEXT] = "";

	file_read(MRM_SYSFS "/state", text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	return !strcmp(text, word);
}

/**
 * mrm_state_is() - is the host in a state?
 * @word: the state
 * Return: true if so.
 */
bool mrm_state_is(const char *word)
{
	return state_is((void *)word);
}

/**
 * mrm_wait_state() - wait until the host is in a state
 * @word: the state
 * @ms: how long at the most
 * Return: false if it is not.
 */
bool mrm_wait_state(const char *word, int ms)
{
	return wait_until(state_is, (void *)word, ms);
}

/**
 * mrm_vm_get() - a number of a VM
 * @pid: its process
 * @file: which
 * Return: the number, or a negative errno.
 */
long mrm_vm_get(pid_t pid, const char *file)
{
	char path[PATH_MAX];

	vm_path(path, pid, file);
	return get(path);
}

/**
 * mrm_vm_text() - a text of a VM
 * @pid: its process
 * @file: which
 * @buf: where to; without the newline; the error in words if there is one
 * Return: @buf.
 */
char *mrm_vm_text(pid_t pid, const char *file, char buf[MRM_TEXT])
{
	char path[PATH_MAX];
	int n;

	vm_path(path, pid, file);
	n = file_read(path, buf, MRM_TEXT);
	if (n < 0)
		snprintf(buf, MRM_TEXT, "error: %s", strerror(-n));
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/**
 * mrm_vm_set() - write a file of a VM
 * @pid: its process
 * @file: which
 * @text: what to write
 * Return: 0 or a negative errno.
 */
int mrm_vm_set(pid_t pid, const char *file, const char *text)
{
	char path[PATH_MAX];

	vm_path(path, pid, file);
	return file_write(path, text);
}

/* @pid: of a VM; 0: the host's */
struct number {
	pid_t pid;
	const char *file;
	long low, high;
};

static bool number_is(void *context)
{
	struct number *want = context;
	long value = want->pid ? mrm_vm_get(want->pid, want->file) : mrm_get(want->file);

	return value >= want->low && value <= want->high;
}

/**
 * mrm_wait_count() - wait for a number that sends no event
 * @file: which
 * @low: the least that will do
 * @high: the most that will do
 * @ms: how long to wait at the most
 * Return: true; false if it did not come.
 */
bool mrm_wait_count(const char *file, long low, long high, int ms)
{
	struct number want = { 0, file, low, high };

	return wait_until(number_is, &want, ms);
}

/**
 * mrm_vm_wait() - wait for a number of a VM, which sends no event
 * @pid: its process
 * @file: which
 * @low: the least that will do
 * @high: the most that will do
 * @ms: how long to wait at the most
 * Return: true; false if it did not come.
 */
bool mrm_vm_wait(pid_t pid, const char *file, long low, long high, int ms)
{
	struct number want = { pid, file, low, high };

	return wait_until(number_is, &want, ms);
}

/**
 * mrm_debug_read() - what a file in debugfs says
 * @file: relative to mrm/
 * @buf: where to
 * @size: room there
 * Return: bytes, or a negative errno.
 */
int mrm_debug_read(const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MRM_DEBUGFS "/%s", file);
	return file_read(path, buf, size);
}

/**
 * mrm_debug_write() - write a file in debugfs
 * @file: relative to mrm/
 * @text: what to write
 * Return: 0 or a negative errno.
 */
int mrm_debug_write(const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MRM_DEBUGFS "/%s", file);
	return file_write(path, text);
}

/**
 * mrm_vm_reclaim() - have memory taken from a VM, now
 * @pid: the VM
 * @bytes: how much; less is no error
 * Return: 0 or a negative errno.
 */
int mrm_vm_reclaim(pid_t pid, long bytes)
{
	char file[64], text[32];

	snprintf(file, sizeof(file), "vm/%d/reclaim", pid);
	snprintf(text, sizeof(text), "%ld", bytes);
	return mrm_debug_write(file, text);
}

/**
 * mrm_vm_range() - what became of a piece of guest RAM
 * @pid: the VM's process
 * @start: the first address of the piece, there
 * @buf: where to: "PAGES adopted", "PAGES not adopted: WHY", or "not listed"
 * Return: @buf.
 */
char *mrm_vm_range(pid_t pid, const void *start, char buf[MRM_TEXT])
{
	static char all[65536];
	char file[64], *line, *save;
	unsigned long address;
	int skip;

	snprintf(file, sizeof(file), "vm/%d/ranges", pid);
	snprintf(buf, MRM_TEXT, "not listed");
	if (mrm_debug_read(file, all, sizeof(all)) < 0)
		return buf;
	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx %n", &address, &skip) == 1 &&
		    address == (unsigned long)start)
			snprintf(buf, MRM_TEXT, "%s", line + skip);
	}
	return buf;
}

/**
 * kvm_large_mappings() - mappings of 2 MiB that KVM has made, of all VMs
 * Return: how many; -1 if it does not count them.
 */
long kvm_large_mappings(void)
{
	char text[MRM_TEXT];
	long value;

	if (file_read("/sys/kernel/debug/kvm/pages_2m", text, sizeof(text) - 1) < 0 ||
	    sscanf(text, "%ld", &value) != 1)
		return -1;
	return value;
}

/**
 * mrm_loaded() - is the module loaded?
 * Return: true if it is.
 */
bool mrm_loaded(void)
{
	return !access(MRM_SYSFS, F_OK);
}

/**
 * mrm_gone() - is nothing of the module left, after it was unloaded?
 * Return: false if something is, which is told.
 */
bool mrm_gone(void)
{
	static const char * const paths[] = {
		MRM_SYSFS, MRM_DEBUGFS, "/sys/kernel/tracing/events/mrm", "/sys/module/" MODULE,
		"/sys/kernel/slab/mrm_vm",
	};
	bool gone = true;
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!access(paths[i], F_OK)) {
			tap_note("%s is still there", paths[i]);
			gone = false;
		}
	}
	return gone;
}

/* To both kinds of faults that "selftests/run --faults" has injected. */
static void inject(const char *file, const char *text)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc" };
	char path[MRM_TEXT];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kinds[i], file);
		file_write(path, text);
	}
}

/* What fails is what is allocated below the module's functions, wherever they are now. */
static void aim_faults(void)
{
	unsigned long address, first = ULONG_MAX, last = 0;
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[MRM_TEXT], type, of[MRM_TEXT];

	if (!symbols)
		tap_bail("no /proc/kallsyms");
	while (fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%lx %c %*s %255s", &address, &type, of) != 3 ||
		    (type != 't' && type != 'T') || strcmp(of, "[" MODULE "]"))
			continue;
		first = address < first ? address : first;
		last = address > last ? address : last;
	}
	fclose(symbols);
	snprintf(line, sizeof(line), "0x%lx", first);
	inject("require-start", line);
	snprintf(line, sizeof(line), "0x%lx", last + PAGE_SIZE);
	inject("require-end", line);
}

/*
 * No faults while the module is loaded or unloaded: the kernel does not tell who takes a kprobe
 * away that it could not, for lack of memory, and then calls what is there no more.  What
 * loading allocates fails in turn in the test "fault".
 */
static void pause_faults(void)
{
	if (getenv("MRM_FAULTS"))
		inject("probability", "0");
}

static void go_on_with_faults(void)
{
	if (!getenv("MRM_FAULTS") || !mrm_loaded())
		return;
	aim_faults();
	inject("probability", "100");
}

/**
 * mrm_load() - load the module
 *
 * MRM_KO names its file.
 *
 * Return: 0 or a negative errno.
 */
int mrm_load(void)
{
	const char *path = getenv("MRM_KO");
	int fd, err = 0;

	if (!path)
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pause_faults();
	if (syscall(SYS_finit_module, fd, "", 0))
		err = -errno;
	go_on_with_faults();
	close(fd);
	return err;
}

/**
 * mrm_unload() - try to unload the module, as rmmod does
 * Return: 0 or a negative errno.
 */
int mrm_unload(void)
{
	int err;

	pause_faults();
	err = syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
	go_on_with_faults();
	return err;
}

static bool unloaded(void *unused)
{
	int err = mrm_unload();

	(void)unused;
	return !err || err == -ENOENT;
}

/**
 * mrm_unload_wait() - unload the module as soon as the last VM has left it
 * @ms: how long to try
 * Return: true; false if it is still there.
 */
bool mrm_unload_wait(int ms)
{
	return wait_until(unloaded, NULL, ms);
}

static const struct {
	const char *file;
	long in_tests, by_default;
} tunables[] = {
	/* Only rounds that are asked for, and those at full speed. */
	{ "share_scan_time", 0, 3600 },
	{ "share_rate_max", 10000000, 1024 },
	{ "share_cpu_max", 100, 20 },
	{ "share_force_salting", 2, 2 },
	/* Only where a test asks for it: to look at a frame is to have a reference. */
	{ "sample_period", 0, 60 },
	{ "sample_pages", 100, 100 },
	{ "sample_method", 0, 0 },
	{ "zip_max", 10, 10 },
	{ "limit_bytes", 0, 0 },
	{ "min_free", 0, 0 },
	{ "idle_tax", 75, 75 },
	{ "balance_period", 15, 15 },
	/* Most tests count pages that were touched. */
	{ "alloc_guest_large_page", 0, 0 },
	{ "large_break_pct", 88, 88 },
	{ "large_rebuild_rate", 0, 16 },
	{ "hot_io_threshold", 16, 16 },
	{ "hot_io_period", 10, 10 },
	{ "hot_io_max", 64, 64 },
};

#define NR_TUNABLES (sizeof(tunables) / sizeof(tunables[0]))

static pid_t owner;

static void set_defaults(void)
{
	unsigned int i;

	if (getpid() != owner || !mrm_loaded())
		return;
	for (i = 0; i < NR_TUNABLES; i++)
		mrm_set_number(tunables[i].file, tunables[i].by_default);
	mrm_set("zip_algorithm", "lz4");
	mrm_debug_write("hash_bits", "64");
}

/**
 * mrm_tune() - set all tunables as tests want them
 */
void mrm_tune(void)
{
	unsigned int i;

	for (i = 0; i < NR_TUNABLES; i++)
		if (mrm_set_number(tunables[i].file, tunables[i].in_tests))
			tap_bail("cannot set %s", tunables[i].file);
	mrm_set("zip_algorithm", "lz4");
	if (mrm_large()) {
		/* What can be shared is, as without them: see mrm_share_all(). */
		mrm_set("alloc_guest_large_page", "1");
		mrm_set("large_break_pct", "1");
	}
	if (setting("MRM_SAMPLING", 0)) {
		mrm_set_number("sample_pages", 10000);
		mrm_set_number("sample_method", setting("MRM_SAMPLING", 0) - 1);
		mrm_set_number("sample_period", 1);
	}
	mrm_debug_write("hash_bits", "64");
}

/**
 * mrm_begin() - for tests that need the module: no VMs, no scanning unasked
 *
 * Ends the test if there is no module.  What is changed is set back when the
 * test ends.
 */
void mrm_begin(void)
{
	if (!mrm_loaded())
		tap_bail("the module is not loaded: no " MRM_SYSFS);
	if (!mrm_wait("vms", 0, 0, MRM_LONG))
		tap_bail("another VM is on the host");
	mrm_tune();
	if (!owner) {
		owner = getpid();
		atexit(set_defaults);
	}
}

/**
 * mrm_full_pass() - have all VMs scanned once, from the beginning
 *
 * Return: true; false if the scanner did not finish.
 */
bool mrm_full_pass(void)
{
	return !mrm_set("share_scan_now", "1") && mrm_wait("share_scan_now", 0, 0, 4 * MRM_LONG);
}

/**
 * mrm_check() - have the module recount everything; a result of the test
 * @when: what has just happened
 * Return: true if it is right.
 */
bool mrm_check(const char *when)
{
	char buf[4096], *line, *save;
	bool ok;

	/* It is exact of what stands still. */
	mrm_settle();
	if (mrm_debug_read("check", buf, sizeof(buf)) < 0)
		snprintf(buf, sizeof(buf), "cannot read it");
	ok = tap_ok(!strcmp(buf, "ok\n"), "the recount (debugfs check) is right %s", when);
	for (line = ok ? NULL : strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		tap_note("%s", line);
	return ok;
}

/**
 * mrm_nothing_left() - all VMs are gone, and all counters zero; a result
 * @when: what has just happened
 * Return: true if so.
 */
bool mrm_nothing_left(const char *when)
{
	static const char * const files[] = {
		"vms", "adopted_bytes", "resident_pages", "private_pages", "shared_pages",
		"shared_frames", "zero_pages", "zero_frames", "saved_pages", "hinted_pages",
		"ineligible_pages", "zipped_pages", "zip_bytes", "zip_frames", "swapped_pages",
		"swap_cached_pages", "large_pages", "large_held_bytes",
		"large_untouched_bytes", "io_low_bytes"
	};
	bool gone = mrm_wait("vms", 0, 0, MRM_LONG), zero = true;
	long value[sizeof(files) / sizeof(files[0])];
	unsigned int i;

	/* A round over no VM: the scanner has let go of the last one, too. */
	gone &= mrm_full_pass();
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		value[i] = mrm_get(files[i]);
		zero &= !value[i];
	}
	tap_ok(gone && zero, "all counters are zero %s", when);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (value[i])
			tap_note("%s is %ld", files[i], value[i]);
	return gone && zero;
}

/**
 * mrm_reload() - nothing is left, and the module can go without a trace and come back; a result
 * @when: what has just happened
 *
 * Tunables are as tests want them again.
 *
 * Return: true if so.
 */
bool mrm_reload(const char *when)
{
	bool gone;
	int err;

	if (!mrm_nothing_left(when))
		return false;
	gone = mrm_unload_wait(MRM_LONG) && mrm_gone();
	err = mrm_load();
	tap_ok(gone && !err, "the module is unloaded and loaded again (%s)", when);
	if (err)
		tap_bail("the module does not load again: %s", strerror(-err));
	mrm_tune();
	return gone;
}
