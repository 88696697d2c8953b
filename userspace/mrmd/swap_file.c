// SPDX-License-Identifier: GPL-2.0
/*
 * Swap files, and the directory they are in.  Whoever uses one has it locked, and so nobody
 * else wipes it.  The lock is flock()'s: it belongs to the open file, and the kernel keeps
 * open what it was handed, so it holds for as long as the kernel may write there, whatever
 * becomes of us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "swap_file.h"

#define SUFFIX ".swap"
#define RANDOM_DIGITS 16

/* Direct I/O is in blocks, of which this suits every disk. */
#define BLOCK 4096
#define WIPE_BYTES (1 << 20)
#define PIECE (256ull << 20)

/**
 * swap_file_name() - a name that no other file has
 * @name: receives NAME.PID.RANDOM.swap
 * @vm: the VM's name, as far as it can be part of a file's
 * @pid: of its QEMU process
 *
 * Return: 0, or a negative error.
 */
int swap_file_name(char name[SWAP_NAME_MAX], const char *vm, pid_t pid)
{
	uint64_t random;
	char *c;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(name, SWAP_NAME_MAX, "%.64s.%d.%0*llx" SUFFIX, *vm ? vm : "vm", (int)pid,
		 RANDOM_DIGITS, (unsigned long long)random);
	for (c = name; *c; c++)
		if (*c == '/' || (unsigned char)*c < 0x20)
			*c = '_';
	/* Not one that "ls" hides. */
	if (*name == '.')
		*name = '_';
	return 0;
}

/**
 * swap_file_is() - whether a file is one of ours, by its name
 * @name: without a directory
 *
 * Return: true when swap_file_name() may have made it; other files are left alone.
 */
bool swap_file_is(const char *name)
{
	size_t length = strlen(name), rest = RANDOM_DIGITS + strlen(SUFFIX);
	const char *random, *pid;

	if (length < rest + strlen("a.1."))
		return false;
	random = name + length - rest;
	if (strcmp(random + RANDOM_DIGITS, SUFFIX) || random[-1] != '.' ||
	    strspn(random, "0123456789abcdef") != RANDOM_DIGITS)
		return false;
	for (pid = random - 1; pid > name && pid[-1] >= '0' && pid[-1] <= '9'; pid--)
		;
	return pid < random - 1 && pid > name + 1 && pid[-1] == '.';
}

static int lock(int fd)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

/*
 * Where a file system would write elsewhere what is written again (btrfs), wiping would leave what
 * was there, and what has been reserved would not suffice.  Others do not know the flag.
 */
static void overwrite_in_place(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags |= FS_NOCOW_FL;
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* A new file, empty and locked.  Returns a file descriptor, or an error. */
static int create(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
	int error = fd < 0 ? -errno : lock(fd);

	if (!error) {
		overwrite_in_place(fd);
		return fd;
	}
	/* That there is no direct I/O, a file system says when the file is there. */
	if (error != -EEXIST)
		unlinkat(dir, name, 0);
	if (fd >= 0)
		close(fd);
	return error;
}

/*
 * All of it from @size on is there, so that there is room when it is needed.  In pieces: while the
 * file system makes one nothing can be read from the rest of the file, which may be in use.
 */
static int fill(int dir, int fd, uint64_t size, uint64_t bytes)
{
	uint64_t piece;
	int result = 0;

	/* Do not fill the disk only to find that it does not suffice. */
	if (swap_directory_free(dir) < bytes - size)
		return -ENOSPC;
	while (size < bytes) {
		piece = bytes - size < PIECE ? bytes - size : PIECE;
		result = fallocate(fd, 0, size, piece);
		if (!result)
			size += piece;
		else if (errno != EINTR)
			break;
	}
	/* Not every file system can: then there is what others leave. */
	if (result < 0 && errno == EOPNOTSUPP)
		result = ftruncate(fd, bytes);
	return result < 0 ? -errno : 0;
}

/**
 * swap_file_make() - make a file
 * @dir: the directory
 * @name: from swap_file_name()
 * @bytes: how large
 *
 * It may take long.
 *
 * Return: a file descriptor, with which the file is locked, and which the kernel takes for
 * swap; -ENOSPC, or another negative error, and then there is no file.
 */
int swap_file_make(int dir, const char *name, uint64_t bytes)
{
	int fd = create(dir, name), error;

	if (fd < 0)
		return fd;
	error = fill(dir, fd, 0, bytes);
	if (!error)
		return fd;
	unlinkat(dir, name, 0);
	close(fd);
	return error;
}

static int write_zeroes(int fd, const char *zeroes, off_t start, off_t end)
{
	ssize_t written;

	while (start < end) {
		written = pwrite(fd, zeroes, end - start < WIPE_BYTES ? end - start : WIPE_BYTES,
				 start);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		if (written < BLOCK)
			return -EIO;
		start += written & -BLOCK;
	}
	return 0;
}

/* What was ever written; the rest of the file reads as zeroes anyhow. */
static int overwrite(int fd, const char *zeroes)
{
	off_t start = 0, end = 0;
	int error = 0;

	while (!error && (start = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			break;
		start &= -BLOCK;
		end = (end + BLOCK - 1) & -BLOCK;
		error = write_zeroes(fd, zeroes, start, end);
	}
	/* Behind the last of it. */
	if (!error && errno != ENXIO)
		error = -errno;
	if (!error && fsync(fd) < 0)
		error = -errno;
	return error;
}

/* Ours alone. */
static int check_file(int fd, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1 || st->st_uid != geteuid())
		return -EPERM;
	return 0;
}

static int open_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 ? fd : errno == ELOOP ? -EPERM : -errno;
}

/**
 * swap_file_grow() - make a file larger that the kernel uses
 * @dir: the directory
 * @name: of the file
 * @bytes: how large it is to be at the least
 *
 * It may take long.
 *
 * Return: a file descriptor, which the kernel takes for that file; -EPERM when it is not what we
 * make; -ENOSPC, or another negative error, and then it is as large as before.
 */
int swap_file_grow(int dir, const char *name, uint64_t bytes)
{
	int fd = open_file(dir, name), error;
	struct stat st;

	if (fd < 0)
		return fd;
	error = check_file(fd, &st);
	if (!error && (uint64_t)st.st_size < bytes) {
		error = fill(dir, fd, st.st_size, bytes);
		/* Some of it may be there, of which the kernel has not been told. */
		if (error && ftruncate(fd, st.st_size) < 0)
			error = -errno;
	}
	if (!error)
		return fd;
	close(fd);
	return error;
}

/**
 * swap_file_wipe() - overwrite a file that nobody uses, and remove it
 * @dir: the directory
 * @name: of the file
 *
 * It may take long.
 *
 * Return: 0, also when there is no such file; -EBUSY when it is in use; -EPERM when it is
 * not what we make; another negative error when it could not be overwritten.  Unless it is
 * 0 the file is still there.
 */
int swap_file_wipe(int dir, const char *name)
{
	/* Directly, or the zeroes would take the memory that guests wait for. */
	int fd = open_file(dir, name), error;
	void *zeroes = NULL;
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	error = check_file(fd, &st);
	/* Nobody uses it. */
	if (!error)
		error = lock(fd);
	if (!error)
		error = -posix_memalign(&zeroes, BLOCK, WIPE_BYTES);
	if (!error) {
		memset(zeroes, 0, WIPE_BYTES);
		error = overwrite(fd, zeroes);
	}
	if (!error && unlinkat(dir, name, 0) < 0)
		error = -errno;
	free(zeroes);
	close(fd);
	return error;
}

/* It, and the one that it is in. */
static void make_directory(const char *path)
{
	char *copy = strdup(path);
	size_t length = copy ? strlen(copy) : 0;
	char *slash;

	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	slash = copy ? strrchr(copy, '/') : NULL;
	if (slash && slash != copy) {
		*slash = '\0';
		mkdir(copy, 0755);
		*slash = '/';
	}
	if (copy)
		mkdir(copy, 0700);
	free(copy);
}

/* Whether there can be files: it may be read-only, or without direct I/O. */
static int try_directory(int dir)
{
	char name[SWAP_NAME_MAX];
	int fd = swap_file_name(name, "mrmd", getpid());

	if (!fd)
		fd = create(dir, name);
	if (fd < 0)
		return fd;
	unlinkat(dir, name, 0);
	close(fd);
	return 0;
}

static int check_directory(int dir, char *why, size_t size)
{
	struct stat st;
	int error;

	if (fstat(dir, &st) < 0) {
		error = -errno;
		snprintf(why, size, "%s", strerror(-error));
		return error;
	}
	if (st.st_uid != geteuid()) {
		snprintf(why, size, "it belongs to another user (uid %u)", (unsigned int)st.st_uid);
		return -EPERM;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(why, size, "others than its owner may write to it (mode %04o)",
			 (unsigned int)st.st_mode & 07777);
		return -EPERM;
	}
	error = lock(dir);
	if (error) {
		snprintf(why, size, "%s",
			 error == -EBUSY ? "another mrmd uses it" : strerror(-error));
		return error;
	}
	error = try_directory(dir);
	if (error)
		snprintf(why, size, "a file for direct I/O cannot be made: %s", strerror(-error));
	return error;
}

/**
 * swap_directory_open() - open a directory for swap files, if it can be one
 * @path: its path; made if it is not there, as is the one it is in
 * @why: receives why not, in words
 * @size: bytes at @why
 *
 * Only one process has it at a time: who finds a file there unlocked may take it for one
 * that was left behind.
 *
 * Return: a file descriptor, or a negative error.
 */
int swap_directory_open(const char *path, char *why, size_t size)
{
	int dir, error;

	make_directory(path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		error = -errno;
		snprintf(why, size, "%s", strerror(-error));
		return error;
	}
	error = check_directory(dir, why, size);
	if (!error)
		return dir;
	close(dir);
	return error;
}

/**
 * swap_directory_free() - room for files
 * @dir: the directory
 *
 * Return: bytes free on its file system, without what is kept for root.
 */
uint64_t swap_directory_free(int dir)
{
	struct statvfs fs;

	return fstatvfs(dir, &fs) < 0 ? 0 : (uint64_t)fs.f_bavail * fs.f_frsize;
}
