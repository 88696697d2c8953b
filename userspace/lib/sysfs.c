// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing kvm_mrm's files, one value a file, relative to a
 * directory that is already open: with a thousand VMs the path walk would cost
 * more than the reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "sysfs.h"
#include "text.h"

/*
 * A saved copy comes from elsewhere.  It must not lead a root user's read out
 * of the tree by a symbolic link, nor stop it by a FIFO.
 */
#define OPEN_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

/**
 * mrm_open() - open the tree of kvm_mrm's files
 * @root: filled in on success; to be closed with mrm_close()
 * @path: the directory, MRM_SYSFS or a saved copy of it
 *
 * Return: 0, -EUCLEAN when the directory does not hold kvm_mrm's files, or the
 * error of open(2): -ENOENT when the module is not loaded.
 */
int mrm_open(struct mrm_root *root, const char *path)
{
	struct statfs fs;

	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root->fd < 0)
		return -errno;
	if (faccessat(root->fd, "vms", F_OK, 0) < 0) {
		mrm_close(root);
		return -EUCLEAN;
	}
	root->live = fstatfs(root->fd, &fs) == 0 && fs.f_type == SYSFS_MAGIC;
	return 0;
}

/**
 * mrm_close() - close what mrm_open() opened
 * @root: the tree; may have been closed before
 */
void mrm_close(struct mrm_root *root)
{
	if (root->fd >= 0)
		close(root->fd);
	root->fd = -1;
}

/* Read until the buffer is full or the file ends.  Returns bytes or -errno. */
static ssize_t read_up_to(int fd, char *buffer, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while (length < size) {
		got = read(fd, buffer + length, size - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		length += got;
	}
	return length;
}

static void strip_newline(char *text, size_t length)
{
	text[length] = '\0';
	if (length && text[length - 1] == '\n')
		text[length - 1] = '\0';
}

/**
 * mrm_read_text() - read a file of one value as text
 * @dir: directory the file is in
 * @file: its name
 * @text: receives the value, without the newline at its end
 * @size: bytes at @text, more than 0; a longer value is cut
 *
 * Return: 0, or the error of open(2) or read(2); -ENOENT or -ENODEV when the VM
 * or the module has gone.
 */
int mrm_read_text(int dir, const char *file, char *text, size_t size)
{
	ssize_t length;
	int fd;

	fd = openat(dir, file, O_RDONLY | OPEN_FLAGS);
	if (fd < 0)
		return -errno;
	length = read_up_to(fd, text, size - 1);
	close(fd);
	if (length < 0)
		return length;
	strip_newline(text, length);
	return 0;
}

/**
 * mrm_read_u64() - read a file of one decimal number
 * @dir: directory the file is in
 * @file: its name
 * @value: receives the number, in the file's own unit; untouched on error
 *
 * Return: 0, -EINVAL when it is not a number, -ERANGE when it is too large, or
 * an error as from mrm_read_text().
 */
int mrm_read_u64(int dir, const char *file, uint64_t *value)
{
	char text[32];
	int error;

	error = mrm_read_text(dir, file, text, sizeof(text));
	return error ? error : mrm_parse_u64(text, value);
}

/**
 * mrm_read_all() - read a file of many lines
 * @dir: directory @file is relative to
 * @file: its name or path
 * @text: receives the whole contents, to be freed; untouched on error
 *
 * Return: 0, -ENOMEM, or an error as from mrm_read_text().
 */
int mrm_read_all(int dir, const char *file, char **text)
{
	size_t size = 0, length = 0;
	char *buffer = NULL, *larger;
	ssize_t got;
	int fd;

	fd = openat(dir, file, O_RDONLY | OPEN_FLAGS);
	if (fd < 0)
		return -errno;
	do {
		size = size ? 2 * size : 4096;
		larger = realloc(buffer, size);
		if (!larger) {
			got = -ENOMEM;
			break;
		}
		buffer = larger;
		got = read_up_to(fd, buffer + length, size - length - 1);
		if (got < 0)
			break;
		length += got;
	} while (length == size - 1);
	close(fd);
	if (got < 0) {
		free(buffer);
		return got;
	}
	buffer[length] = '\0';
	*text = buffer;
	return 0;
}

/**
 * mrm_write_text() - write a file of one value
 * @dir: directory the file is in
 * @file: its name
 * @text: the value, may be empty; a newline is added, because the kernel does
 *        not see a write of nothing
 *
 * Return: 0, -ENAMETOOLONG when @text is longer than any value, or the error of
 * open(2) or write(2): -EACCES when not root, -EINVAL when the kernel refuses
 * the value.
 */
int mrm_write_text(int dir, const char *file, const char *text)
{
	size_t length = strlen(text);
	char line[256];
	ssize_t done;
	int fd, error = 0;

	if (length > sizeof(line) - 1)
		return -ENAMETOOLONG;
	memcpy(line, text, length);
	line[length++] = '\n';

	fd = openat(dir, file, O_WRONLY | O_TRUNC | OPEN_FLAGS);
	if (fd < 0)
		return -errno;
	do {
		done = write(fd, line, length);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		error = -errno;
	else if ((size_t)done != length)
		error = -EIO;
	if (close(fd) < 0 && !error)
		error = -errno;
	return error;
}

/**
 * mrm_watch_open() - open a counter whose changes poll(2) can wait for
 * @root: the open tree
 * @file: name of the counter
 *
 * Return: a file descriptor to be closed, or the negative error of open(2).
 */
int mrm_watch_open(const struct mrm_root *root, const char *file)
{
	int fd = openat(root->fd, file, O_RDONLY | OPEN_FLAGS);

	return fd < 0 ? -errno : fd;
}

/**
 * mrm_watch_value() - read a watched counter; later changes wake a waiter
 * @watch: from mrm_watch_open()
 * @value: receives the number; untouched on error
 *
 * Return: 0, -EINVAL when it is not a number, or the error of pread(2): -ENODEV
 * when the module has gone.
 */
int mrm_watch_value(int watch, uint64_t *value)
{
	char text[32];
	ssize_t got;

	got = pread(watch, text, sizeof(text) - 1, 0);
	if (got < 0)
		return -errno;
	strip_newline(text, got);
	return mrm_parse_u64(text, value);
}

/**
 * mrm_watch_wait() - wait until a counter changed after it was last read
 * @watch: from mrm_watch_open()
 * @timeout: milliseconds to wait at most, or -1 for ever
 *
 * Return: 1 when it changed, 0 when the time is over or a signal came, or the
 * negative error of poll(2).
 */
int mrm_watch_wait(int watch, int timeout)
{
	struct pollfd change = { .fd = watch, .events = POLLPRI };
	int ready;

	ready = poll(&change, 1, timeout);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	return ready;
}
