// SPDX-License-Identifier: GPL-2.0
/*
 * madvise() with every advice there is and some that there are not, by the
 * VM's process on itself.
 *
 * QEMU believes its RAM is private anonymous memory, so what discards that must
 * discard ours: MADV_DONTNEED.  Other advice that would change anonymous memory
 * is refused, or has no effect.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#define MADV_OFFLINE	101

/* What an advice that is followed does to a page. */
enum effect {
	KEEPS,
	ZEROES,
	ZEROES_LAZILY,
};

static enum effect effect_on(const struct fuzz_map *map, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return map->shared ? KEEPS : ZEROES;
	case MADV_FREE:
		return map->anon ? ZEROES_LAZILY : KEEPS;
	case MADV_REMOVE:
		return map->shared ? ZEROES : KEEPS;
	case MADV_GUARD_INSTALL:
		return map->shared || map->ours ? KEEPS : ZEROES;
	default:
		return KEEPS;
	}
}

/*
 * A failure may come after a part of the range was done: then each page is the one
 * or the other.  ENOMEM is for holes; all that is no hole was done.
 */
static void tell_model(struct fuzz *f, size_t first, size_t count, int advice, long result)
{
	bool done = result >= 0 || result == -ENOMEM;
	enum effect effect;
	size_t i;

	if (first > FUZZ_OPEN)
		return;
	for (i = first; i < first + count && i < FUZZ_OPEN; i++) {
		effect = f->v->map[i].mapped ? effect_on(&f->v->map[i], advice) : KEEPS;
		if (effect == ZEROES && done)
			fuzz_set(f, i, 0);
		else if (effect != KEEPS)
			fuzz_or(f, i, 0, effect == ZEROES_LAZILY);
	}
}

static long advise(struct fuzz *f, void *start, size_t bytes, int advice)
{
	struct iovec iov = { start, bytes };
	long result;
	int self;

	if (fuzz_random(f, 4))
		return fuzz_result(madvise(start, bytes, advice));
	/* The same on itself, by the way for other processes. */
	self = syscall(SYS_pidfd_open, getpid(), 0);
	fuzz_detail(f, "process_madvise %d", advice);
	result = syscall(SYS_process_madvise, self, &iov, 1, advice, 0);
	result = fuzz_result(result);
	close(self);
	/* It did a part, up to a hole, or all. */
	return result >= 0 && (size_t)result < bytes ? -EIO : result;
}

/* As the balloon: page by page, or all at once. */
static long discard(struct fuzz *f)
{
	int advice = fuzz_random(f, 4) ? MADV_DONTNEED : MADV_DONTNEED_LOCKED;
	bool ours = fuzz_all(f, fuzz_is_ours), each = fuzz_random(f, 2);
	size_t i, step = each ? 1 : f->count;
	long result = 0, err;

	fuzz_detail(f, "advice %d%s", advice, each ? ", page by page" : "");
	for (i = 0; i < f->count; i += step) {
		err = madvise(fuzz_address(f->first + i), step * PAGE_SIZE, advice) ? -errno : 0;
		tell_model(f, f->first + i, step, advice, err);
		result = result ?: err;
	}
	return ours && !f->v->sealed ? fuzz_must_work(f, result) : result;
}

static long advise_any(struct fuzz *f)
{
	static const int odd[] = { -1, 26, 27, 99, MADV_OFFLINE, 104, 0x7fffffff };
	int advice = fuzz_random(f, 16) ? (int)fuzz_random(f, 26) : odd[fuzz_random(f, 7)];
	uint8_t *start = fuzz_address(f->first);
	size_t bytes = f->count * PAGE_SIZE;
	bool ours = fuzz_all(f, fuzz_is_ours);
	long result;

	if (advice == MADV_OFFLINE)
		bytes = PAGE_SIZE;
	/* A length is rounded up; a start that is not aligned is refused. */
	if (!fuzz_random(f, 4))
		bytes -= fuzz_random(f, PAGE_SIZE);
	if (!fuzz_random(f, 8))
		start += 1 + fuzz_random(f, PAGE_SIZE - 1);
	fuzz_detail(f, "advice %d", advice);
	result = advise(f, start, bytes, advice);
	if ((unsigned long)start % PAGE_SIZE)
		return fuzz_must_fail(f, result);
	tell_model(f, f->first, (bytes + PAGE_SIZE - 1) / PAGE_SIZE, advice, result);
	if (ours && (advice == MADV_FREE || advice == MADV_REMOVE || advice == MADV_WIPEONFORK))
		return fuzz_must_fail(f, result);
	return result;
}

/* What is kept is kept by each of them, so it may be done to all RAM. */
static long advise_keeping(struct fuzz *f)
{
	static const int keeping[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK,
		MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_DONTDUMP, MADV_DODUMP, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT,
		22, 23, MADV_COLLAPSE,
	};
	int advice = keeping[fuzz_random(f, sizeof(keeping) / sizeof(keeping[0]))];

	fuzz_detail(f, "advice %d", advice);
	return advise(f, fuzz_address(f->first), f->count * PAGE_SIZE, advice);
}

/* Lengths that wrap around, or are nothing at all: no page may change. */
static long advise_nonsense(struct fuzz *f)
{
	static const size_t lengths[] = { -PAGE_SIZE, ~0UL, -1UL << 40, 0 };
	size_t bytes = lengths[fuzz_random(f, 4)];
	int advice = fuzz_random(f, 2) ? MADV_DONTNEED : (int)fuzz_random(f, 26);
	long result = fuzz_result(madvise(fuzz_address(f->first), bytes, advice));

	fuzz_detail(f, "advice %d", advice);
	return bytes ? fuzz_must_fail(f, result) : result;
}

/* Guards are taken away at once, or whoever verifies would be killed by them. */
static long guard(struct fuzz *f)
{
	uint8_t *start = fuzz_address(f->first);
	size_t bytes = f->count * PAGE_SIZE;
	long result = fuzz_result(madvise(start, bytes, MADV_GUARD_INSTALL));

	madvise(start, bytes, MADV_GUARD_REMOVE);
	tell_model(f, f->first, f->count, MADV_GUARD_INSTALL, result);
	return result;
}

const struct fuzz_op fuzz_advice_ops[] = {
	{ "discard", 30, FUZZ_MUST, discard },
	{ "madvise", 30, FUZZ_MUST, advise_any },
	{ "madvise, keeping", 10, FUZZ_ANYWHERE | FUZZ_MUST, advise_keeping },
	{ "madvise, nonsense", 3, 0, advise_nonsense },
	{ "madvise, guard", 3, 0, guard },
	{}
};
