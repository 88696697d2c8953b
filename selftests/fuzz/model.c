// SPDX-License-Identifier: GPL-2.0
/*
 * What every page of RAM must hold, and how RAM is mapped.
 *
 * Where an operation may leave one of two contents, both are kept until the page
 * is seen to hold one of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "mrm.h"

/**
 * fuzz_state() - contents for a page that is written next
 * @f: the operation
 * Return: a state.
 */
uint64_t fuzz_state(struct fuzz *f)
{
	uint64_t state = fuzz_random(f, FUZZ_KEYS);

	return fuzz_random(f, 4) ? state : pattern_poke(state, fuzz_random(f, 4) * 160);
}

/**
 * fuzz_state_next() - contents for a page of a range
 * @state: of the first page
 * @i: number of the page in the range
 * Return: a state.
 */
uint64_t fuzz_state_next(uint64_t state, size_t i)
{
	uint32_t key = state;

	return (state & ~0xffffffffULL) | (key + i) % FUZZ_KEYS;
}

/**
 * fuzz_set() - from now on a page must hold this
 * @f: the operation
 * @page: the page
 * @state: its contents
 */
void fuzz_set(struct fuzz *f, size_t page, uint64_t state)
{
	f->v->page[page] = (struct fuzz_page){ .state = state };
	f->v->writes[page]++;
}

/**
 * fuzz_move() - from now on a page must hold what another one held
 * @f: the operation
 * @page: the page
 * @from: a copy of the model of the other
 */
void fuzz_move(struct fuzz *f, size_t page, const struct fuzz_page *from)
{
	f->v->page[page] = *from;
	f->v->writes[page]++;
}

/**
 * fuzz_or() - from now on a page may hold this, or what it held
 * @f: the operation
 * @page: the page
 * @alt: other contents
 * @lazy: it may change from the one to the other at any time
 */
void fuzz_or(struct fuzz *f, size_t page, uint64_t alt, bool lazy)
{
	struct fuzz_page *p = &f->v->page[page];

	if (p->has_alt && p->alt != alt)
		p->unknown = true;
	p->alt = alt;
	p->lazy |= lazy;
	f->v->writes[page]++;
	p->has_alt = p->alt != p->state;
}

/**
 * fuzz_wrong() - something is not as it must be
 * @f: the operation
 * @page: where
 * @fmt: what
 * Return: FUZZ_WRONG.
 */
long fuzz_wrong(struct fuzz *f, size_t page, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	f->v->wrong_page = page;
	vsnprintf(f->v->wrong, sizeof(f->v->wrong), fmt, args);
	va_end(args);
	return FUZZ_WRONG;
}

/**
 * fuzz_detail() - what an operation was in detail, for the list of the last ones
 * @f: the operation
 * @fmt: what
 */
void fuzz_detail(struct fuzz *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->v->detail, sizeof(f->v->detail), fmt, args);
	va_end(args);
}

/**
 * fuzz_check() - is this what a page must hold?
 * @f: the operation
 * @page: the page
 * @contents: what was read from it
 * @who: by whom
 * Return: 0 or FUZZ_WRONG.
 */
long fuzz_check(struct fuzz *f, size_t page, const uint64_t *contents, const char *who)
{
	struct fuzz_page *p = &f->v->page[page];
	uint32_t word = pattern_check(contents, p->state);
	struct pattern pattern = pattern_of(p->state);

	if (p->unknown)
		return 0;
	if (word == PAGE_WORDS) {
		if (!p->lazy)
			p->has_alt = false;
		return 0;
	}
	if (p->has_alt && pattern_check(contents, p->alt) == PAGE_WORDS) {
		fuzz_set(f, page, p->alt);
		return 0;
	}
	return fuzz_wrong(f, page, "%s: page %zu word %u is %#lx, not %#lx (state %#lx%s)", who,
			  page, word, contents[word], pattern_word(&pattern, word), p->state,
			  p->has_alt ? ", or another" : "");
}

/**
 * fuzz_verify() - does each page of a range hold what it must?
 * @f: the operation, in the VM's process or outside
 * @first: first page
 * @count: how many
 * Return: 0 or FUZZ_WRONG.
 */
long fuzz_verify(struct fuzz *f, size_t first, size_t count)
{
	static uint64_t contents[PAGE_WORDS];
	char path[32];
	long result = 0;
	int mem = -1;
	size_t i;

	for (i = first; i < first + count && !result; i++) {
		const struct fuzz_map *map = &f->v->map[i];

		if (!map->mapped)
			continue;
		if (f->vm && map->prot & PROT_READ) {
			result = fuzz_check(f, i, (uint64_t *)fuzz_address(i), "user space");
			continue;
		}
		/* It cannot be read; but by a debugger, as the kernel is configured. */
		if (mem < 0) {
			snprintf(path, sizeof(path), "/proc/%d/mem", f->pid);
			mem = open(path, O_RDONLY | O_CLOEXEC);
		}
		if (pread(mem, contents, sizeof(contents), (off_t)fuzz_address(i)) ==
		    sizeof(contents))
			result = fuzz_check(f, i, contents, "/proc/PID/mem");
		else if (errno != EIO || map->prot & PROT_READ)
			result = fuzz_wrong(f, i, "/proc/PID/mem: page %zu: %s", i,
					    strerror(errno));
	}
	if (mem >= 0)
		close(mem);
	return result;
}

static void read_line(const char *line, struct fuzz_map *map)
{
	unsigned long start, end, inode;
	struct fuzz_map m = { .mapped = true };
	char prot[5];
	size_t i, to;

	if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &start, &end, prot, &inode) != 4)
		return;
	if (end <= (unsigned long)FUZZ_BASE || start >= (unsigned long)fuzz_address(FUZZ_PAGES))
		return;
	m.prot = (prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
		 (prot[2] == 'x' ? PROT_EXEC : 0);
	m.ours = strstr(line, "/mrm-guest-ram");
	m.anon = prot[3] == 'p' && !inode;
	m.shared = prot[3] == 's' && !m.ours;
	i = start > (unsigned long)FUZZ_BASE ? (start - (unsigned long)FUZZ_BASE) / PAGE_SIZE : 0;
	to = (end - (unsigned long)FUZZ_BASE) / PAGE_SIZE;
	for (; i < to && i < FUZZ_PAGES; i++)
		map[i] = m;
}

/**
 * fuzz_read_map() - see how RAM is mapped
 * @pid: the VM's process
 * @map: where to, FUZZ_PAGES of them
 * Return: 0 or a negative errno.
 */
int fuzz_read_map(pid_t pid, struct fuzz_map *map)
{
	static char text[FUZZ_PAGES * 128];
	char path[32], *line, *save;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	n = file_read(path, text, sizeof(text));
	if (n < 0)
		return n;
	memset(map, 0, FUZZ_PAGES * sizeof(*map));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(line, map);
	return 0;
}

/**
 * fuzz_all() - are all pages of the operation's range so?
 * @f: the operation
 * @is: how
 * Return: true if they are.
 */
bool fuzz_all(struct fuzz *f, bool (*is)(const struct fuzz_map *map))
{
	size_t i;

	for (i = f->first; i < f->first + f->count; i++)
		if (!is(&f->v->map[i]))
			return false;
	return true;
}

/**
 * fuzz_is_mapped() - for fuzz_all()
 * @map: of a page
 * Return: true if it is mapped.
 */
bool fuzz_is_mapped(const struct fuzz_map *map)
{
	return map->mapped;
}

/**
 * fuzz_is_ours() - for fuzz_all()
 * @map: of a page
 * Return: true if it is adopted.
 */
bool fuzz_is_ours(const struct fuzz_map *map)
{
	return map->ours;
}

/**
 * fuzz_must_fail() - what was done is to be refused
 * @f: the operation
 * @result: what it returned
 * Return: that, or FUZZ_WRONG.
 */
long fuzz_must_fail(struct fuzz *f, long result)
{
	return result < 0 ? result : fuzz_wrong(f, f->first, "%s succeeded", f->v->detail);
}

/**
 * fuzz_must_work() - what was done is to succeed
 * @f: the operation
 * @result: what it returned
 * Return: that, or FUZZ_WRONG.
 */
long fuzz_must_work(struct fuzz *f, long result)
{
	return result >= 0 ? result :
	       fuzz_wrong(f, f->first, "%s: %s", f->v->detail, strerror(-result));
}
