// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM's process does to its RAM by system calls: map, unmap, move, protect,
 * lock, bind, seal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef SYS_mseal
#define SYS_mseal	462
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

static bool can(struct fuzz *f, size_t page, int prot)
{
	return (f->v->map[page].prot & prot) == prot && f->v->map[page].mapped;
}

/* Writes what may be written; what may not be is left out. */
static long user_write(struct fuzz *f)
{
	uint64_t state = fuzz_state(f);
	long n = 0;
	size_t i;

	fuzz_detail(f, "state %#lx", state);
	for (i = 0; i < f->count; i++) {
		size_t page = f->first + i;

		if (!can(f, page, PROT_READ | PROT_WRITE))
			continue;
		fuzz_set(f, page, fuzz_state_next(state, i));
		pattern_fill((uint64_t *)fuzz_address(page), f->v->page[page].state);
		n++;
	}
	return n ?: -EFAULT;
}

static long user_read(struct fuzz *f)
{
	return fuzz_verify(f, f->first, f->count);
}

static void read_page(void *page)
{
	(void)*(volatile uint64_t *)page;
}

static void write_page(void *page)
{
	*(volatile uint64_t *)page = 0;
}

/* Touch what must not be touched. */
static long user_illegal(struct fuzz *f)
{
	bool write = fuzz_random(f, 2);
	int got;
	size_t i;

	for (i = f->first; i < f->first + f->count; i++) {
		if (can(f, i, write ? PROT_WRITE : PROT_READ) ||
		    /* The processor cannot keep anyone from reading these. */
		    (f->v->map[i].mapped && f->v->map[i].prot && !write))
			continue;
		got = fuzz_signal_of(write ? write_page : read_page, fuzz_address(i));
		if (got != SIGSEGV)
			return fuzz_wrong(f, i, "%s page %zu: signal %d, not SIGSEGV",
					  write ? "write to" : "read of", i, got);
		return 0;
	}
	return -ENOENT;
}

static int new_memfd(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, FUZZ_PAGES * PAGE_SIZE)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* All that can come there is zeroes. */
static long mmap_over(struct fuzz *f)
{
	static const int kinds[] = {
		MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED, MAP_PRIVATE,
	};
	int flags = kinds[fuzz_random(f, sizeof(kinds) / sizeof(kinds[0]))] | MAP_FIXED;
	int prot = fuzz_random(f, 8) ? PROT_READ | PROT_WRITE : fuzz_random(f, 8);
	int fd = flags & MAP_ANONYMOUS ? -1 : new_memfd();
	size_t i;
	void *p;
	int err;

	fuzz_detail(f, "flags %#x prot %d", flags, prot);
	p = mmap(fuzz_address(f->first), f->count * PAGE_SIZE, prot, flags, fd,
		 fd < 0 ? 0 : f->first * PAGE_SIZE);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return -err;
	for (i = 0; i < f->count; i++)
		fuzz_set(f, f->first + i, 0);
	return 0;
}

/* Where there is something it must be refused. */
static long mmap_noreplace(struct fuzz *f)
{
	void *p;
	size_t i;

	for (i = f->first; i < f->first + f->count; i++)
		if (f->v->map[i].mapped)
			break;
	p = mmap(fuzz_address(f->first), f->count * PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	fuzz_detail(f, "MAP_FIXED_NOREPLACE");
	if (i < f->first + f->count)
		return fuzz_must_fail(f, p == MAP_FAILED ? -errno : 0);
	if (p == MAP_FAILED)
		return -errno;
	for (i = 0; i < f->count; i++)
		fuzz_set(f, f->first + i, 0);
	return 0;
}

static long unmap(struct fuzz *f)
{
	return fuzz_result(munmap(fuzz_address(f->first), f->count * PAGE_SIZE));
}

/* What was moved away must be there, and is lost to the VM. */
static long moved_away(struct fuzz *f, uint8_t *to, size_t pages)
{
	long result = 0;
	size_t i;

	for (i = 0; i < pages && !result; i++)
		if (f->v->map[f->first + i].prot & PROT_READ)
			result = fuzz_check(f, f->first + i, (uint64_t *)(to + i * PAGE_SIZE),
					    "moved by mremap");
	munmap(to, pages * PAGE_SIZE);
	return result;
}

/*
 * Some newer kernels move several mappings one by one, and may fail in the middle.
 * What is unmapped here and mapped there has been moved.  If nothing is unmapped
 * there is no telling; but what the module has is never moved.
 */
static long moved_in_part(struct fuzz *f, size_t to, bool dontunmap, long err)
{
	static struct fuzz_map now[FUZZ_PAGES];
	size_t i;

	if (fuzz_read_map(f->pid, now))
		return fuzz_wrong(f, f->first, "cannot read maps");
	for (i = 0; i < f->count; i++)
		if (f->v->map[f->first + i].mapped && !now[f->first + i].mapped &&
		    now[to + i].mapped)
			fuzz_move(f, to + i, &f->v->page[f->first + i]);
	for (i = 0; i < f->count && dontunmap; i++) {
		if (now[f->first + i].ours || !f->v->map[f->first + i].mapped)
			continue;
		f->v->page[f->first + i].unknown = true;
		if (!now[to + i].ours)
			f->v->page[to + i].unknown = true;
	}
	return err;
}

/*
 * Moving takes the contents along.  What the module has may not be moved, nor grow;
 * a failure may still have unmapped the place that it was to be moved to.
 */
static long remap(struct fuzz *f)
{
	static struct fuzz_page moved[FUZZ_PAGES];
	static const size_t grow[] = { 1, 16, 512 };
	size_t to = fuzz_random(f, FUZZ_OPEN - f->count + 1), pages = f->count, i;
	int how = fuzz_random(f, 7), flags = 0;
	uint8_t *old = fuzz_address(f->first), *new = NULL, *p;
	bool ours = false, shared = false, all = fuzz_all(f, fuzz_is_mapped);

	for (i = f->first; i < f->first + f->count; i++) {
		ours |= f->v->map[i].ours;
		shared |= f->v->map[i].shared;
	}
	switch (how) {
	case 0:
		pages += grow[fuzz_random(f, 3)];
		break;
	case 1:
		pages += grow[fuzz_random(f, 3)];
		flags = MREMAP_MAYMOVE;
		break;
	case 2:
		pages -= fuzz_random(f, f->count);
		break;
	case 3:
	case 4:
		flags = MREMAP_MAYMOVE | MREMAP_FIXED | (how == 4 ? MREMAP_DONTUNMAP : 0);
		new = fuzz_address(to);
		break;
	case 5:
		flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
		break;
	default:
		/* Onto itself: always refused. */
		flags = MREMAP_MAYMOVE | MREMAP_FIXED;
		new = old + (f->count / 2) * PAGE_SIZE;
	}
	if (pages > f->count && f->first + pages > FUZZ_OPEN)
		return -EDOM;
	/* The same page in two places is not for this model. */
	if (how == 4 && shared)
		return -EDOM;
	if (how == 3 || how == 4) {
		f->v->also_first = to;
		f->v->also_count = f->count;
	}
	fuzz_detail(f, "to %ld pages %zu flags %d", new ? (long)(new - FUZZ_BASE) / 4096 : -1,
		    pages, flags);
	p = mremap(old, f->count * PAGE_SIZE, pages * PAGE_SIZE, flags, new);
	if (p == MAP_FAILED)
		return how == 3 || how == 4 ? moved_in_part(f, to, how == 4, -errno) : -errno;
	if (how == 6)
		return fuzz_wrong(f, f->first, "mremap onto itself succeeded");
	if (ours && (pages > f->count || p != old))
		return fuzz_wrong(f, f->first, "mremap of adopted memory succeeded");
	/* Making it smaller only unmaps the end, and looks at the first page alone. */
	if (how == 2)
		all = f->v->map[f->first].mapped;
	if (!all && !(flags & MREMAP_FIXED))
		return fuzz_wrong(f, f->first, "mremap of a hole succeeded");
	if (p == old) {
		for (i = f->count; i < pages; i++)
			fuzz_set(f, f->first + i, 0);
		return 0;
	}
	for (i = 0; i < f->count; i++) {
		moved[i] = f->v->page[f->first + i];
		f->v->writes[f->first + i]++;
	}
	if (flags & MREMAP_FIXED) {
		/* Newer kernels move what there is, and leave what is opposite a hole. */
		for (i = 0; i < f->count; i++)
			if (f->v->map[f->first + i].mapped)
				fuzz_move(f, to + i, &moved[i]);
	} else if (moved_away(f, p, f->count)) {
		return FUZZ_WRONG;
	}
	/* What stays behind is empty, but for pages of a shared file. */
	for (i = 0; i < f->count && flags & MREMAP_DONTUNMAP; i++)
		if (!f->v->map[f->first + i].shared &&
		    (!(flags & MREMAP_FIXED) || f->first + i < to || f->first + i >= to + f->count))
			fuzz_set(f, f->first + i, 0);
	return 0;
}

static long protect(struct fuzz *f)
{
	int prot = fuzz_random(f, 3) ? PROT_READ | PROT_WRITE : fuzz_random(f, 8);

	if (!fuzz_random(f, 30))
		prot = 0x7fff0000;
	fuzz_detail(f, "prot %#x", prot);
	return fuzz_result(mprotect(fuzz_address(f->first), f->count * PAGE_SIZE, prot));
}

static long lock(struct fuzz *f)
{
	void *p = fuzz_address(f->first) + fuzz_random(f, 2) * fuzz_random(f, 4096);
	size_t bytes = f->count * PAGE_SIZE - fuzz_random(f, 2) * fuzz_random(f, 4096);
	int how = fuzz_random(f, 8);

	fuzz_detail(f, "how %d", how);
	switch (how) {
	case 0:
		return fuzz_result(mlock(p, bytes));
	case 1:
		return fuzz_result(syscall(SYS_mlock2, p, bytes, 1));
	case 2:
		return fuzz_result(mlockall(MCL_CURRENT | fuzz_random(f, 2) * MCL_ONFAULT));
	case 3:
		if (fuzz_random(f, 8))
			return -EDOM;
		f->v->future = true;
		return fuzz_result(mlockall(MCL_FUTURE | fuzz_random(f, 2) * MCL_ONFAULT));
	case 4:
	case 5:
		f->v->future = false;
		return fuzz_result(munlockall());
	default:
		return fuzz_result(munlock(p, bytes));
	}
}

static long limit(struct fuzz *f)
{
	struct rlimit r = { .rlim_max = RLIM_INFINITY };

	r.rlim_cur = fuzz_random(f, 2) ? RLIM_INFINITY : fuzz_random(f, 64) << 16;
	return fuzz_result(setrlimit(RLIMIT_MEMLOCK, &r));
}

static long bind(struct fuzz *f)
{
	unsigned long nodes = fuzz_random(f, 4) ? 1 : fuzz_random(f, 8);
	unsigned int mode = fuzz_random(f, 6), flags = fuzz_random(f, 8);

	fuzz_detail(f, "mode %u nodes %#lx flags %u", mode, nodes, flags);
	return fuzz_result(syscall(SYS_mbind, fuzz_address(f->first), f->count * PAGE_SIZE, mode,
				   &nodes, 64, flags));
}

/* Of a shared file's pages it would change the contents. */
static long remap_file(struct fuzz *f)
{
	long result;

	if (!fuzz_all(f, fuzz_is_ours))
		return -EDOM;
	fuzz_detail(f, "remap_file_pages");
	result = syscall(SYS_remap_file_pages, fuzz_address(f->first), f->count * PAGE_SIZE, 0,
			 fuzz_random(f, FUZZ_PAGES), 0);
	return fuzz_must_fail(f, fuzz_result(result));
}

static long seal(struct fuzz *f)
{
	long result = syscall(SYS_mseal, fuzz_address(f->first), f->count * PAGE_SIZE, 0);

	if (!result)
		f->v->sealed = true;
	return fuzz_result(result);
}

static long sync_pages(struct fuzz *f)
{
	int flags = fuzz_random(f, 8);

	return fuzz_result(msync(fuzz_address(f->first), f->count * PAGE_SIZE, flags));
}

static long in_core(struct fuzz *f)
{
	static unsigned char vec[FUZZ_PAGES];

	return fuzz_result(mincore(fuzz_address(f->first), f->count * PAGE_SIZE, vec));
}

const struct fuzz_op fuzz_memory_ops[] = {
	{ "write", 40, FUZZ_MUST, user_write },
	{ "read", 20, FUZZ_MUST, user_read },
	{ "touch illegally", 6, FUZZ_MUST, user_illegal },
	{ "mmap", 10, FUZZ_REMAPS | FUZZ_MUST, mmap_over },
	{ "mmap noreplace", 4, FUZZ_REMAPS, mmap_noreplace },
	{ "munmap", 4, FUZZ_REMAPS | FUZZ_MUST, unmap },
	{ "mremap", 16, FUZZ_REMAPS | FUZZ_MUST, remap },
	{ "mprotect", 10, FUZZ_REMAPS | FUZZ_MUST, protect },
	{ "mlock", 10, FUZZ_ANYWHERE | FUZZ_MUST, lock },
	{ "RLIMIT_MEMLOCK", 1, 0, limit },
	{ "mbind", 4, FUZZ_ANYWHERE, bind },
	{ "remap_file_pages", 2, 0, remap_file },
	{ "mseal", 1, 0, seal },
	{ "msync", 3, FUZZ_ANYWHERE | FUZZ_MUST, sync_pages },
	{ "mincore", 2, FUZZ_ANYWHERE | FUZZ_MUST, in_core },
	{}
};
