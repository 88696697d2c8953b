// SPDX-License-Identifier: GPL-2.0
/*
 * What is done to a VM from outside: by debuggers, by those who read and write
 * other processes' memory, and by the administrator.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "mrm.h"

static uint64_t buffer[FUZZ_PAGES * PAGE_WORDS];

static int open_proc(struct fuzz *f, const char *name, int flags)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", f->pid, name);
	return open(path, flags | O_CLOEXEC);
}

/* Pages up to the first that may not be read are read. */
static long vm_readv(struct fuzz *f)
{
	struct iovec here = { buffer, f->count * PAGE_SIZE };
	struct iovec there = { fuzz_address(f->first), f->count * PAGE_SIZE };
	ssize_t n = process_vm_readv(f->pid, &here, 1, &there, 1, 0);
	ssize_t i;

	if (n < 0)
		return -errno;
	for (i = 0; i < n / (ssize_t)PAGE_SIZE; i++)
		if (fuzz_check(f, f->first + i, buffer + i * PAGE_WORDS, "process_vm_readv"))
			return FUZZ_WRONG;
	return n;
}

static void fill_buffer(struct fuzz *f, uint64_t state)
{
	size_t i;

	for (i = 0; i < f->count; i++)
		pattern_fill(buffer + i * PAGE_WORDS, fuzz_state_next(state, i));
}

static long written(struct fuzz *f, uint64_t state, ssize_t n, int err)
{
	ssize_t i;

	for (i = 0; i < n / (ssize_t)PAGE_SIZE; i++)
		fuzz_set(f, f->first + i, fuzz_state_next(state, i));
	/* The rest was not touched: it is what it was. */
	return n < 0 ? -err : n;
}

static long vm_writev(struct fuzz *f)
{
	struct iovec here = { buffer, f->count * PAGE_SIZE };
	struct iovec there = { fuzz_address(f->first), f->count * PAGE_SIZE };
	uint64_t state = fuzz_state(f);
	ssize_t n;

	fuzz_detail(f, "state %#lx", state);
	fill_buffer(f, state);
	n = process_vm_writev(f->pid, &here, 1, &there, 1, 0);
	return written(f, state, n, errno);
}

static long mem_write(struct fuzz *f)
{
	uint64_t state = fuzz_state(f);
	int fd = open_proc(f, "mem", O_RDWR), err;
	ssize_t n;

	if (fd < 0)
		return -errno;
	fuzz_detail(f, "state %#lx", state);
	fill_buffer(f, state);
	n = pwrite(fd, buffer, f->count * PAGE_SIZE, (off_t)fuzz_address(f->first));
	err = errno;
	close(fd);
	return written(f, state, n, err);
}

static long stop_it(struct fuzz *f)
{
	int status;

	if (ptrace(PTRACE_ATTACH, f->pid, NULL, NULL))
		return fuzz_wrong(f, 0, "cannot attach: %s", strerror(errno));
	if (waitpid(f->pid, &status, __WALL) != f->pid || !WIFSTOPPED(status))
		return fuzz_wrong(f, 0, "attached, and it ended with status %#x", status);
	return 0;
}

/* One word, as a debugger that sets a breakpoint; and takes it back. */
static long poke(struct fuzz *f)
{
	struct fuzz_page *p = &f->v->page[f->first];
	uint64_t state = p->state & POKED ? (uint32_t)p->state :
			 pattern_poke(p->state, fuzz_random(f, PAGE_WORDS));
	unsigned int word = pattern_of(p->state & POKED ? p->state : state).poke;
	struct pattern now = pattern_of(p->state), then = pattern_of(state);
	uint64_t *at = (uint64_t *)fuzz_address(f->first) + word;
	long result, got;

	if (p->has_alt || p->unknown)
		return -EDOM;
	fuzz_detail(f, "word %u state %#lx", word, state);
	if (stop_it(f))
		return FUZZ_WRONG;
	errno = 0;
	got = ptrace(PTRACE_PEEKDATA, f->pid, at, NULL);
	result = -errno;
	if (!result && (uint64_t)got != pattern_word(&now, word))
		result = fuzz_wrong(f, f->first, "PEEKDATA: page %zu word %u is %#lx, not %#lx",
				    f->first, word, got, pattern_word(&now, word));
	if (!result)
		result = fuzz_result(ptrace(PTRACE_POKEDATA, f->pid, at,
					    pattern_word(&then, word)));
	if (!result)
		fuzz_set(f, f->first, state);
	ptrace(PTRACE_DETACH, f->pid, NULL, NULL);
	return result;
}

/* One of these, from outside. */
static long advise(struct fuzz *f, const int *advices, uint32_t n)
{
	struct iovec iov = { fuzz_address(f->first), f->count * PAGE_SIZE };
	int advice = advices[fuzz_random(f, n)], fd = syscall(SYS_pidfd_open, f->pid, 0);
	long result;

	if (fd < 0)
		return -errno;
	fuzz_detail(f, "advice %d", advice);
	result = fuzz_result(syscall(SYS_process_madvise, fd, &iov, 1, advice, 0));
	close(fd);
	return result;
}

/* The advice others may give changes no contents. */
static long advise_other(struct fuzz *f)
{
	static const int advices[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, 25 };

	return advise(f, advices, 4);
}

/* That of discarding is not for others. */
static long discard_other(struct fuzz *f)
{
	static const int advices[] = { MADV_DONTNEED, MADV_FREE, MADV_REMOVE, 24, 102 };

	return fuzz_must_fail(f, advise(f, advices, 5));
}

static long clear_refs(struct fuzz *f)
{
	static const char * const what[] = { "1", "2", "3", "4", "5", "6", "0" };
	int fd = open_proc(f, "clear_refs", O_WRONLY);
	unsigned int i = fuzz_random(f, 7);
	long result;

	if (fd < 0)
		return -errno;
	fuzz_detail(f, "%s", what[i]);
	result = fuzz_result(write(fd, what[i], 1));
	close(fd);
	return result;
}

/* Files of the process that walk its page tables. */
static long read_proc(struct fuzz *f)
{
	static const char * const names[] = { "pagemap", "smaps", "smaps_rollup", "numa_maps" };
	unsigned int i = fuzz_random(f, 4);
	int fd = open_proc(f, names[i], O_RDONLY);
	long result, n;

	if (fd < 0)
		return -errno;
	fuzz_detail(f, "%s", names[i]);
	if (!i) {
		result = pread(fd, buffer, f->count * 8, (off_t)fuzz_address(f->first) / 4096 * 8);
		result = fuzz_result(result);
	} else {
		for (result = 0; (n = read(fd, buffer, sizeof(buffer))) > 0; result += n)
			;
		result = n < 0 ? -errno : result;
	}
	close(fd);
	return result;
}

static long move_to_node(struct fuzz *f)
{
	static void *pages[FUZZ_PAGES];
	static int nodes[FUZZ_PAGES], status[FUZZ_PAGES];
	size_t i;

	for (i = 0; i < f->count; i++) {
		pages[i] = fuzz_address(f->first + i);
		nodes[i] = 0;
	}
	return fuzz_result(syscall(SYS_move_pages, f->pid, f->count, pages, nodes, status,
				   MPOL_MF_MOVE_ALL));
}

/* An administrator turns the knobs; most of the time to what gets most done. */
static long tune(struct fuzz *f)
{
	static const struct {
		const char *file, *values[4];
		bool of_vm;
	} knobs[] = {
		{ "share", { "1", "0", "1", "1" }, true },
		{ "salt", { "fuzz", "", "other", "fuzz" }, true },
		{ "share_force_salting", { "2", "0", "1", "2" }, false },
		{ "share_scan_time", { "1", "0", "1", "3600" }, false },
		{ "share_rate_max", { "10000000", "1000", "0", "10000000" }, false },
		{ "share_cpu_max", { "100", "10", "0", "100" }, false },
		{ "share_scan_now", { "1", "1", "1", "1" }, false },
		{ "sample_period", { "1", "0", "1", "2" }, false },
		{ "sample_pages", { "1000", "100", "1", "10000" }, false },
		{ "sample_method", { "1", "0", "1", "0" }, false },
		{ "zip_max", { "50", "0", "1", "10" }, false },
		{ "zip_algorithm", { "lz4", "zstd", "lz4", "zstd" }, false },
		{ "alloc_guest_large_page", { "1", "0", "1", "0" }, false },
		{ "alloc_guest_large_page", { "1", "0", "1", "1" }, true },
		{ "large_break_pct", { "1", "88", "100", "20" }, false },
		{ "large_rebuild_rate", { "1024", "0", "1", "16" }, false },
	};
	unsigned int i = fuzz_random(f, sizeof(knobs) / sizeof(knobs[0]));
	const char *value = knobs[i].values[fuzz_random(f, 2) ? 0 : fuzz_random(f, 4)];

	fuzz_detail(f, "%s = %s", knobs[i].file, value);
	return knobs[i].of_vm ? mrm_vm_set(f->pid, knobs[i].file, value) :
				mrm_set(knobs[i].file, value);
}

/* Some of it is taken: zipped, or written to its swap file. */
static long reclaim(struct fuzz *f)
{
	fuzz_detail(f, "%zu pages", f->count);
	return mrm_vm_reclaim(f->pid, f->count * PAGE_SIZE);
}

/* With fewer bits of the hash different pages look equal. */
static long hash_bits(struct fuzz *f)
{
	static const char * const bits[] = { "64", "64", "64", "8", "1" };
	const char *value = bits[fuzz_random(f, 5)];

	fuzz_detail(f, "%s", value);
	return mrm_debug_write("hash_bits", value);
}

static long read_counters(struct fuzz *f)
{
	static const char * const of_vm[] = {
		"saved_pages", "saved_within_pages", "overhead_bytes", "share_state", "name",
		"not_adopted_reason",
	};
	static char text[0x40000];
	char path[64];

	switch (fuzz_random(f, 4)) {
	case 0:
		snprintf(path, sizeof(path), "vm/%d/pages", f->pid);
		return mrm_debug_read(path, text, sizeof(text));
	case 1:
		snprintf(path, sizeof(path), "vm/%d/ranges", f->pid);
		return mrm_debug_read(path, text, sizeof(text));
	case 2:
		return mrm_debug_read("table", text, sizeof(text));
	default:
		snprintf(path, sizeof(path), MRM_SYSFS "/vm/%d/%s", f->pid,
			 of_vm[fuzz_random(f, 6)]);
		return file_read(path, text, sizeof(text));
	}
}

const struct fuzz_op fuzz_outside_ops[] = {
	{ "process_vm_readv", 10, FUZZ_OUTSIDE | FUZZ_MUST, vm_readv },
	{ "process_vm_writev", 14, FUZZ_OUTSIDE | FUZZ_MUST, vm_writev },
	{ "/proc/PID/mem", 8, FUZZ_OUTSIDE | FUZZ_MUST, mem_write },
	{ "ptrace", 6, FUZZ_OUTSIDE | FUZZ_MUST, poke },
	{ "process_madvise", 6, FUZZ_OUTSIDE | FUZZ_ANYWHERE, advise_other },
	{ "process_madvise, discard", 2, FUZZ_OUTSIDE, discard_other },
	{ "clear_refs", 3, FUZZ_OUTSIDE | FUZZ_MUST, clear_refs },
	{ "files of /proc/PID", 3, FUZZ_OUTSIDE | FUZZ_ANYWHERE | FUZZ_MUST, read_proc },
	{ "move_pages", 2, FUZZ_OUTSIDE | FUZZ_ANYWHERE, move_to_node },
	{ "reclaim", 16, FUZZ_OUTSIDE | FUZZ_ANYWHERE | FUZZ_MUST, reclaim },
	{ "tunables", 10, FUZZ_OUTSIDE | FUZZ_MUST, tune },
	{ "hash_bits", 1, FUZZ_OUTSIDE | FUZZ_MUST, hash_bits },
	{ "counters", 4, FUZZ_OUTSIDE | FUZZ_MUST, read_counters },
	{}
};
