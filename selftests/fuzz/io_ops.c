// SPDX-License-Identifier: GPL-2.0
/*
 * What holds pages of RAM by other means than mappings: direct I/O, pipes, pins for
 * long, userfaultfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk.h"
#include "fuzz.h"

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif
#define LENT	16U	/* pages that a pipe has room for */

static off_t disk_offset(struct fuzz *f, size_t page)
{
	return (off_t)(f->index * FUZZ_PAGES + page) * PAGE_SIZE;
}

static long direct_out(struct fuzz *f)
{
	size_t at = fuzz_random(f, FUZZ_OPEN - f->count + 1), i;
	ssize_t n;
	int fd = open(DISK_RAM, O_WRONLY | O_DIRECT | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, fuzz_address(f->first), f->count * PAGE_SIZE, disk_offset(f, at));
	err = errno;
	close(fd);
	for (i = 0; i < f->count; i++) {
		struct fuzz_page *p = &f->v->page[f->first + i];

		f->v->disk_known[at + i] = n == (ssize_t)(f->count * PAGE_SIZE) && !p->has_alt &&
					   !p->unknown;
		f->v->disk[at + i] = p->state;
	}
	return n < 0 ? -err : n;
}

/* If it fails, a part may have come, or not. */
static long direct_in(struct fuzz *f)
{
	size_t at = fuzz_random(f, FUZZ_OPEN - f->count + 1), i;
	bool writable = true;
	ssize_t n;
	int fd, err;

	for (i = 0; i < f->count; i++) {
		writable &= f->v->map[f->first + i].mapped &&
			    f->v->map[f->first + i].prot & PROT_WRITE;
		if (!f->v->disk_known[at + i])
			return -ENODATA;
	}
	fd = open(DISK_RAM, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, fuzz_address(f->first), f->count * PAGE_SIZE, disk_offset(f, at));
	err = errno;
	close(fd);
	fuzz_detail(f, "from %zu", at);
	for (i = 0; i < f->count; i++) {
		if (n == (ssize_t)(f->count * PAGE_SIZE))
			fuzz_set(f, f->first + i, f->v->disk[at + i]);
		else if (f->v->map[f->first + i].prot & PROT_WRITE)
			fuzz_or(f, f->first + i, f->v->disk[at + i], false);
	}
	return writable ? fuzz_must_work(f, (n < 0 ? -err : n)) : (n < 0 ? -err : n);
}

/*
 * Pages lent to a pipe.  What comes out is what a page held when it was lent, if
 * it was not written to since; and if it was discarded, the pipe has it still.
 */
static int pipe_fd[2] = { -1, -1 };
static size_t lent_first, lent_count;
static uint64_t lent_state[LENT];
static unsigned int lent_writes[LENT];

static long take_back(struct fuzz *f)
{
	static uint64_t contents[PAGE_WORDS];
	long result = 0;
	size_t i;

	for (i = 0; i < lent_count && !result; i++) {
		if (read(pipe_fd[0], contents, PAGE_SIZE) != (ssize_t)PAGE_SIZE) {
			result = fuzz_wrong(f, lent_first + i, "a pipe: %s", strerror(errno));
			break;
		}
		if (f->v->writes[lent_first + i] == lent_writes[i] &&
		    pattern_check(contents, lent_state[i]) != PAGE_WORDS)
			result = fuzz_wrong(f, lent_first + i, "a pipe has another page %zu",
					    lent_first + i);
	}
	lent_count = 0;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return result;
}

static long lend(struct fuzz *f)
{
	struct iovec iov = { fuzz_address(f->first), PAGE_SIZE };
	size_t i;
	ssize_t n;

	if (lent_count)
		return take_back(f);
	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	for (i = 0; i < f->count && i < LENT; i++) {
		struct fuzz_page *p = &f->v->page[f->first + i];

		if (p->has_alt || p->unknown)
			break;
		iov.iov_base = fuzz_address(f->first + i);
		n = vmsplice(pipe_fd[1], &iov, 1, fuzz_random(f, 2) ? SPLICE_F_GIFT : 0);
		if (n != (ssize_t)PAGE_SIZE)
			break;
		lent_state[i] = p->state;
		lent_writes[i] = f->v->writes[f->first + i];
	}
	lent_first = f->first;
	lent_count = i;
	if (i)
		return fuzz_random(f, 2) ? take_back(f) : 0;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return -EFAULT;
}

/* Pins for long; closing gives them up. */
static int pin_fd = -1;

static long pin(struct fuzz *f)
{
	struct io_uring_params params = {};
	struct iovec iov = { fuzz_address(f->first), f->count * PAGE_SIZE };
	struct xdp_umem_reg reg = {
		.addr = (unsigned long)iov.iov_base, .len = iov.iov_len, .chunk_size = PAGE_SIZE,
	};
	long result;

	if (pin_fd >= 0) {
		fuzz_detail(f, "given up");
		result = close(pin_fd);
		pin_fd = -1;
		return result;
	}
	if (fuzz_random(f, 2)) {
		fuzz_detail(f, "by io_uring");
		pin_fd = syscall(SYS_io_uring_setup, 4, &params);
		result = syscall(SYS_io_uring_register, pin_fd, IORING_REGISTER_BUFFERS, &iov, 1);
	} else {
		fuzz_detail(f, "by AF_XDP");
		pin_fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
		result = setsockopt(pin_fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg));
	}
	result = fuzz_result(result);
	if (result < 0) {
		close(pin_fd);
		pin_fd = -1;
	}
	return result;
}

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Where a page was discarded a new one is put. */
static long fill_missing(struct fuzz *f, int fd)
{
	static uint64_t contents[PAGE_WORDS];
	uint64_t state = fuzz_state(f);
	struct uffdio_copy copy = {
		.dst = (unsigned long)fuzz_address(f->first), .src = (unsigned long)contents,
		.len = PAGE_SIZE,
	};
	struct uffdio_zeropage zero = { .range = { copy.dst, PAGE_SIZE } };

	if (f->v->map[f->first].shared || madvise(fuzz_address(f->first), PAGE_SIZE, MADV_DONTNEED))
		return -EDOM;
	fuzz_set(f, f->first, 0);
	if (fuzz_random(f, 2))
		return fuzz_result(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	pattern_fill(contents, state);
	if (ioctl(fd, UFFDIO_COPY, &copy))
		return -errno;
	fuzz_set(f, f->first, state);
	return 0;
}

/*
 * Closed before anyone can wait for it.  The module's mappings refuse all that
 * would call for somebody's help.
 */
static long userfault(struct fuzz *f)
{
	static const int modes[] = {
		UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR,
		UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	int mode = modes[fuzz_random(f, 4)], fd = open_uffd(0);
	struct uffdio_register reg = {
		.range = { (unsigned long)fuzz_address(f->first), f->count * PAGE_SIZE },
		.mode = mode,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	bool ours = false;
	long result;
	size_t i;

	for (i = f->first; i < f->first + f->count; i++)
		ours |= f->v->map[i].ours;
	fuzz_detail(f, "mode %d", mode);
	if (fd < 0)
		return -errno;
	result = fuzz_result(ioctl(fd, UFFDIO_REGISTER, &reg));
	if (ours) {
		result = fuzz_must_fail(f, result);
	} else if (!result) {
		if (mode & UFFDIO_REGISTER_MODE_MISSING)
			result = fill_missing(f, fd);
		if (mode & UFFDIO_REGISTER_MODE_WP)
			ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
	}
	close(fd);
	return result;
}

/* Asks nobody, so any memory may be watched, ours as well; it stays so a while. */
static long watch_writes(struct fuzz *f)
{
	static int fd = -1;
	struct uffdio_register reg = {
		.range = { (unsigned long)fuzz_address(f->first), f->count * PAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = { .range = reg.range };
	long result;

	if (fd >= 0 && !fuzz_random(f, 4)) {
		fuzz_detail(f, "no more");
		result = close(fd);
		fd = -1;
		return result;
	}
	if (fd < 0)
		fd = open_uffd(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	if (fd < 0)
		return -errno;
	result = fuzz_result(ioctl(fd, UFFDIO_REGISTER, &reg));
	if (result)
		return result;
	wp.mode = fuzz_random(f, 4) ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
	return fuzz_result(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
}

const struct fuzz_op fuzz_io_ops[] = {
	{ "O_DIRECT write", 8, 0, direct_out },
	{ "O_DIRECT read", 12, 0, direct_in },
	{ "vmsplice", 8, FUZZ_MUST, lend },
	{ "pin", 3, 0, pin },
	{ "userfaultfd", 6, 0, userfault },
	{ "userfaultfd, watch", 5, 0, watch_writes },
	{}
};
