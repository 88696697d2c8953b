// SPDX-License-Identifier: GPL-2.0
/*
 * Swap files.  Each VM gets one, of its max less its min, when the kernel has it in its
 * list: made here, opened for direct I/O, and handed over.  The kernel has it open as long as
 * the VM lives, whatever becomes of us; then what was written to it is overwritten, and it
 * is removed.  So are those that an mrmd before us has left behind.
 *
 * To make a large file, or to wipe it, takes its time: in threads of their own (work.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "module.h"
#include "swap.h"
#include "work.h"

#define SUFFIX ".swap"
#define LEAST_BYTES (1ull << 20)
#define WIPE_BYTES (1u << 20)

/**
 * struct swap - a file that is made, handed over, or wiped
 * @work: what is done with it now
 * @next: another one, or NULL
 * @name: of the file in the directory: NAME.PID.swap
 * @vm: whose it is
 * @bytes: how large
 * @fd: -1, but between making it and handing it over
 * @error: what came of @work, negative
 * @busy: @work is under way
 */
struct swap {
	struct work work;
	struct swap *next;
	char name[128];
	struct mrm_vm vm;
	uint64_t bytes;
	int fd;
	int error;
	bool busy;
};

static int dir = -1;
static char *path;
static struct swap *swaps;

static struct swap *of_work(struct work *work)
{
	return (struct swap *)((char *)work - offsetof(struct swap, work));
}

static void forget(struct swap *swap)
{
	struct swap **where = &swaps;

	while (*where != swap)
		where = &(*where)->next;
	*where = swap->next;
	free(swap);
}

static struct swap *add(const char *name)
{
	struct swap *swap = calloc(1, sizeof(*swap));

	if (!swap) {
		log_error("swap file %s: out of memory", name);
		return NULL;
	}
	snprintf(swap->name, sizeof(swap->name), "%s", name);
	swap->fd = -1;
	swap->next = swaps;
	swaps = swap;
	return swap;
}

/* In a thread.  All of it is there, or the file is not. */
static void make(struct work *work)
{
	struct swap *swap = of_work(work);

	swap->fd = openat(dir, swap->name, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
	swap->error = swap->fd < 0 ? -errno : 0;
	if (!swap->error && fallocate(swap->fd, 0, 0, swap->bytes) < 0)
		swap->error = -errno;
	/* Not every file system can: then there may be no room when it is needed. */
	if (swap->error == -EOPNOTSUPP)
		swap->error = ftruncate(swap->fd, swap->bytes) < 0 ? -errno : 0;
	if (swap->error && swap->fd >= 0) {
		unlinkat(dir, swap->name, 0);
		close(swap->fd);
		swap->fd = -1;
	}
}

static void wipe(struct work *work);
static void wiped(struct work *work);

static void start(struct swap *swap, void (*run)(struct work *), void (*done)(struct work *))
{
	swap->busy = true;
	swap->work.run = run;
	swap->work.done = done;
	swap->work.slow = true;
	work_start(&swap->work);
}

static void made(struct work *work)
{
	struct swap *swap = of_work(work);
	char number[16];
	int error;

	swap->busy = false;
	if (swap->error) {
		log_error("VM %d: no swap file %s/%s of %" PRIu64 " MiB: %s", (int)swap->vm.pid, path,
			  swap->name, swap->bytes >> 20, strerror(-swap->error));
		/* Not again and again: it stays known, as one that failed. */
		return;
	}
	snprintf(number, sizeof(number), "%d", swap->fd);
	error = module_root() ? mrm_vm_write(module_root(), &swap->vm, "swap_file", number)
			      : -ENODEV;
	close(swap->fd);
	swap->fd = -1;
	if (!error) {
		log_info("VM %d: swap file %s/%s of %" PRIu64 " MiB", (int)swap->vm.pid, path,
			 swap->name, swap->bytes >> 20);
		return;
	}
	if (error != -ENODEV)
		log_error("VM %d: swap_file: %s", (int)swap->vm.pid, strerror(-error));
	start(swap, wipe, wiped);
}

/* Overwrite what was ever written.  In a thread. */
static int overwrite(int fd)
{
	off_t start = 0, end;
	char *zeroes = NULL;
	int error = 0;

	if (posix_memalign((void **)&zeroes, 4096, WIPE_BYTES))
		return -ENOMEM;
	memset(zeroes, 0, WIPE_BYTES);
	while (!error && (start = lseek(fd, start, SEEK_DATA)) >= 0) {
		end = lseek(fd, start, SEEK_HOLE);
		while (!error && start < end) {
			size_t n = end - start < WIPE_BYTES ? (size_t)(end - start) : WIPE_BYTES;
			ssize_t written = pwrite(fd, zeroes, n, start);

			if (written <= 0)
				error = written ? -errno : -EIO;
			else
				start += written;
		}
	}
	if (!error && errno != ENXIO)
		error = -errno;
	if (!error && fsync(fd) < 0)
		error = -errno;
	free(zeroes);
	return error;
}

static void wipe(struct work *work)
{
	struct swap *swap = of_work(work);
	int fd = openat(dir, swap->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	swap->error = fd < 0 ? -errno : overwrite(fd);
	if (fd >= 0)
		close(fd);
	if (swap->error != -ENOENT && unlinkat(dir, swap->name, 0) < 0 && !swap->error)
		swap->error = -errno;
}

static void wiped(struct work *work)
{
	struct swap *swap = of_work(work);

	if (swap->error && swap->error != -ENOENT)
		log_error("swap file %s/%s: not wiped: %s", path, swap->name,
			  strerror(-swap->error));
	forget(swap);
}

static const struct mrm_vm *find(const struct mrm_vms *vms, const struct swap *swap)
{
	size_t i;

	for (i = 0; i < vms->count; i++)
		if (vms->vm[i].pid == swap->vm.pid &&
		    (!swap->vm.node || vms->vm[i].node == swap->vm.node))
			return &vms->vm[i];
	return NULL;
}

static struct swap *swap_of(const struct mrm_vm *vm)
{
	struct swap *swap;

	for (swap = swaps; swap; swap = swap->next)
		if (swap->vm.pid == vm->pid && (!swap->vm.node || swap->vm.node == vm->node))
			return swap;
	return NULL;
}

static void read_file(const struct mrm_vm *vm, const char *name, char *text, size_t size)
{
	char file[64];

	snprintf(file, sizeof(file), "vm/%d/%s", (int)vm->pid, name);
	if (mrm_read_text(module_root()->fd, file, text, size))
		*text = '\0';
}

static uint64_t read_number(const struct mrm_vm *vm, const char *name)
{
	uint64_t value = 0;
	char file[64];

	snprintf(file, sizeof(file), "vm/%d/%s", (int)vm->pid, name);
	mrm_read_u64(module_root()->fd, file, &value);
	return value;
}

/* The VM's name, as far as it can be part of a file's. */
static void file_name(const struct mrm_vm *vm, char *name, size_t size)
{
	char text[MRM_TEXT_MAX], *c;

	read_file(vm, "name", text, sizeof(text));
	snprintf(name, size, "%.64s.%d" SUFFIX, *text ? text : "vm", (int)vm->pid);
	for (c = name; *c; c++)
		if (*c == '/' || (unsigned char)*c < 0x20)
			*c = '_';
	if (*name == '.')
		*name = '_';
}

/* A VM without a swap file gets one. */
static void offer(const struct mrm_vm *vm)
{
	uint64_t max = read_number(vm, "max_bytes"), min = read_number(vm, "min_bytes");
	char text[MRM_TEXT_MAX], name[128];
	struct swap *swap;

	read_file(vm, "swap_file", text, sizeof(text));
	if (*text || max <= min || max - min < LEAST_BYTES)
		return;
	file_name(vm, name, sizeof(name));
	swap = add(name);
	if (!swap)
		return;
	swap->vm = *vm;
	swap->bytes = (max - min) & ~4095ull;
	start(swap, make, made);
}

/**
 * swap_vms() - VMs have come or gone
 * @vms: all there are
 */
void swap_vms(const struct mrm_vms *vms)
{
	struct swap *swap;
	size_t i;

	if (dir < 0)
		return;
	for (swap = swaps; swap; swap = swap->next)
		if (!swap->busy && !find(vms, swap))
			start(swap, wipe, wiped);
	/* A module that knows nothing of swap has no such file. */
	for (i = 0; module_root() && i < vms->count; i++)
		if (!swap_of(&vms->vm[i]))
			offer(&vms->vm[i]);
}

/* The pid in NAME.PID.swap, or 0. */
static pid_t pid_of(const char *name)
{
	size_t length = strlen(name);
	const char *dot;
	char *end;
	long pid;

	if (length < strlen(SUFFIX) || strcmp(name + length - strlen(SUFFIX), SUFFIX))
		return 0;
	for (dot = name + length - strlen(SUFFIX) - 1; dot > name && *dot != '.'; dot--)
		;
	pid = *dot == '.' ? strtol(dot + 1, &end, 10) : 0;
	return pid > 0 && pid <= INT32_MAX && !strcmp(end, SUFFIX) ? pid : 0;
}

static int make_directory(const char *directory)
{
	char *above = strdup(directory), *slash = above ? strrchr(above, '/') : NULL;

	if (slash && slash != above) {
		*slash = '\0';
		mkdir(above, 0755);
	}
	free(above);
	return mkdir(directory, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/**
 * swap_init() - make swap files in a directory
 * @directory: its path; made if it is not there, as is the one it is in; only its owner may
 *             look into it
 *
 * Files of an mrmd before us are known again; those whose VM is gone are removed as soon as the
 * list of VMs is known.
 *
 * Return: 0, or a negative error.
 */
int swap_init(const char *directory)
{
	struct dirent *entry;
	struct swap *swap;
	DIR *stream;
	pid_t pid;
	int copy;

	if (make_directory(directory) < 0)
		return -errno;
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	copy = dir < 0 ? -1 : fcntl(dir, F_DUPFD_CLOEXEC, 0);
	stream = copy < 0 ? NULL : fdopendir(copy);
	path = strdup(directory);
	if (!stream || !path)
		return -errno;
	while ((entry = readdir(stream))) {
		pid = pid_of(entry->d_name);
		if (!pid)
			continue;
		swap = add(entry->d_name);
		if (swap)
			swap->vm.pid = pid;
	}
	closedir(stream);
	return 0;
}
