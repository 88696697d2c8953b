// SPDX-License-Identifier: GPL-2.0
/* Swap files: made, locked, wiped, and what is left alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>

#include "guest.h"
#include "kept.h"
#include "module.h"
#include "swap.h"
#include "swap_file.h"
#include "tap.h"
#include "tree.h"
#include "work.h"

#define BYTES (3ull << 20)

/* Of a VM that was there before. */
#define BEFORE "a.12.23456789abcdef01.swap"

static bool exists(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

static void test_names(void)
{
	char name[SWAP_NAME_MAX], other[SWAP_NAME_MAX], vm[300];

	tap_ok(!swap_file_name(name, "../a\nb", 7) && swap_file_is(name), "a name is ours");
	tap_ok(!strncmp(name, "_._a_b.7.", 9), "and stays in the directory");
	tap_ok(!swap_file_name(other, "../a\nb", 7) && strcmp(name, other),
	       "the next of the same VM is another");
	memset(vm, 'v', sizeof(vm) - 1);
	vm[sizeof(vm) - 1] = '\0';
	tap_ok(!swap_file_name(name, vm, INT_MAX) && swap_file_is(name), "one that is long is cut");
	tap_ok(!swap_file_name(name, "", 1) && swap_file_is(name), "a VM without a name");
	tap_ok(!swap_file_is("") && !swap_file_is("a.swap") && !swap_file_is("a.7.swap") &&
		       !swap_file_is(".7.0123456789abcdef.swap") &&
		       !swap_file_is("a..0123456789abcdef.swap") &&
		       !swap_file_is("a.x7.0123456789abcdef.swap") &&
		       !swap_file_is("a.7.0123456789abcdeg.swap") &&
		       !swap_file_is("a.7.0123456789abcdef.swap~") &&
		       swap_file_is("a.7.0123456789abcdef.swap"),
	       "other files are not");
}

static void test_directories(const char *base)
{
	char path[PATH_MAX], why[128];
	struct stat st;
	int dir;

	snprintf(path, sizeof(path), "%s/new/swap//", base);
	dir = swap_directory_open(path, why, sizeof(why));
	tap_ok(dir >= 0 && !fstat(dir, &st) && (st.st_mode & 07777) == 0700,
	       "a directory is made, for its owner alone");
	tap_ok(swap_directory_open(path, why, sizeof(why)) == -EBUSY, "only one can have it");
	tap_text(why, "another mrmd uses it", "which is said");
	tap_ok(!fchmod(dir, 0770), "one that a group may write to");
	close(dir);
	tap_ok(swap_directory_open(path, why, sizeof(why)) == -EPERM, "is not used");
	tap_text(why, "others than its owner may write to it (mode 0770)", "which is said");
	snprintf(path, sizeof(path), "%s/none/such/directory", base);
	tap_ok(swap_directory_open(path, why, sizeof(why)) == -ENOENT,
	       "nor one that cannot be made");
	tap_ok(swap_directory_open("/proc/version", why, sizeof(why)) == -ENOTDIR, "or is none");
}

static bool page_is(int fd, off_t at, char wanted)
{
	char page[4096];
	size_t i;

	if (pread(fd, page, sizeof(page), at) != sizeof(page))
		return false;
	for (i = 0; i < sizeof(page) && page[i] == wanted; i++)
		;
	return i == sizeof(page);
}

/* Pages of the file that are secret. */
static bool fill_pages(int fd)
{
	static char page[4096] __attribute__((aligned(4096)));

	memset(page, 's', sizeof(page));
	return pwrite(fd, page, sizeof(page), 4096) == sizeof(page) &&
	       pwrite(fd, page, sizeof(page), BYTES - 4096) == sizeof(page);
}

static void test_file(int dir, const char *name)
{
	int fd = swap_file_make(dir, name, BYTES), reader;
	struct stat st;

	tap_ok(fd >= 0 && !fstat(fd, &st) && st.st_size == BYTES && (st.st_mode & 07777) == 0600,
	       "a file is made, for its owner alone");
	tap_ok(st.st_blocks * 512ull >= BYTES, "and has its room");
	tap_ok(fcntl(fd, F_GETFL) & O_DIRECT, "for direct I/O");
	tap_ok(swap_file_make(dir, name, BYTES) == -EEXIST, "and not made twice");
	tap_ok(fill_pages(fd), "it is written to");
	tap_ok(swap_file_wipe(dir, name) == -EBUSY && exists(dir, name), "it is not wiped in use");
	reader = openat(dir, name, O_RDONLY | O_CLOEXEC);
	tap_ok(page_is(reader, 4096, 's') && page_is(reader, BYTES - 4096, 's'),
	       "and what is in it stays");
	close(fd);
	tap_ok(!swap_file_wipe(dir, name) && !exists(dir, name), "after that it is wiped and gone");
	tap_ok(page_is(reader, 4096, 0) && page_is(reader, BYTES - 4096, 0), "with what was in it");
	close(reader);
	tap_ok(!swap_file_wipe(dir, name), "what is gone need not be wiped");
	tap_ok(swap_file_make(dir, name, 1ull << 60) == -ENOSPC && !exists(dir, name),
	       "one without room leaves nothing");
}

/* One that the kernel has, and writes to. */
static void test_grow(int dir, const char *name)
{
	int used = swap_file_make(dir, name, BYTES), fd;
	struct stat st;

	tap_ok(used >= 0 && fill_pages(used), "a file is in use");
	fd = swap_file_grow(dir, name, 2 * BYTES);
	tap_ok(fd >= 0 && !fstat(fd, &st) && st.st_size == 2 * BYTES, "it grows");
	tap_ok(st.st_blocks * 512ull >= 2 * BYTES, "and has its room");
	tap_ok(fcntl(fd, F_GETFL) & O_DIRECT, "for direct I/O");
	close(fd);
	tap_ok(swap_file_wipe(dir, name) == -EBUSY, "it is in use as before");
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	tap_ok(page_is(fd, 4096, 's') && page_is(fd, BYTES - 4096, 's') && page_is(fd, BYTES, 0),
	       "with what is in it");
	close(fd);
	tap_ok(swap_file_grow(dir, name, 1ull << 60) == -ENOSPC, "where there is no room");
	tap_ok(!fstat(used, &st) && st.st_size == 2 * BYTES, "it stays as it is");
	fd = swap_file_grow(dir, name, BYTES);
	tap_ok(fd >= 0 && !fstat(fd, &st) && st.st_size == 2 * BYTES, "it never shrinks");
	close(fd);
	close(used);
	tap_ok(!swap_file_wipe(dir, name), "all of it is wiped");
	tap_ok(swap_file_grow(dir, name, BYTES) == -ENOENT, "one that is gone is not made anew");
	tap_ok(!symlinkat("other", dir, name) && swap_file_grow(dir, name, BYTES) == -EPERM,
	       "a link is not followed");
	unlinkat(dir, name, 0);
}

static void test_not_ours(int dir, const char *name)
{
	int fd = openat(dir, "precious", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	tap_ok(fd >= 0 && write(fd, "data", 4) == 4, "a file that is not ours");
	tap_ok(!symlinkat("precious", dir, name) && swap_file_wipe(dir, name) == -EPERM,
	       "a link to it is not followed");
	unlinkat(dir, name, 0);
	tap_ok(!linkat(dir, "precious", dir, name, 0) && swap_file_wipe(dir, name) == -EPERM,
	       "nor one of its names taken for ours");
	unlinkat(dir, name, 0);
	tap_ok(!mkfifoat(dir, name, 0600) && swap_file_wipe(dir, name) && exists(dir, name),
	       "what is no file is left alone");
	unlinkat(dir, name, 0);
	tap_ok(lseek(fd, 0, SEEK_END) == 4, "it is as it was");
	unlinkat(dir, "precious", 0);
	close(fd);
}

static bool over;

static void time_over(int timer, void *data)
{
	(void)data;
	virEventRemoveTimeout(timer);
	over = true;
}

/* Let what is under way, and due within so many milliseconds, be done. */
static void go_on(int ms)
{
	over = false;
	virEventAddTimeout(ms, time_over, NULL, NULL);
	while (!over)
		virEventRunDefaultImpl();
}

/* An mrmd before us has left files behind, of which the kernel still has @before and another. */
static void test_left(const char *path, int dir, int *before)
{
	int used = swap_file_make(dir, "a.1.0123456789abcdef.swap", BYTES);
	int left = swap_file_make(dir, "a.1.123456789abcdef0.swap", BYTES);
	int other = openat(dir, "other.swap", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct mrm_vms none = { 0 };
	struct swap_room room;

	*before = swap_file_make(dir, BEFORE, BYTES);
	tap_ok(used >= 0 && left >= 0 && other >= 0 && *before >= 0, "files are left behind");
	close(left);
	close(other);
	tap_ok(!swap_room(&room), "there is no swap");
	swap_vms(&none);
	/* Nobody else may have the directory. */
	close(dir);
	tap_ok(!swap_init(path), "there is");
	tap_ok(swap_room(&room) && *room.directory == '/' && room.free, "and room for it");
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	swap_vms(&none);
	go_on(1000);
	tap_ok(!exists(dir, "a.1.123456789abcdef0.swap"), "one that nobody has is wiped");
	tap_ok(exists(dir, "a.1.0123456789abcdef.swap"), "one in use is not, if no VM has it");
	tap_ok(exists(dir, "other.swap"), "nor one that is not ours");
	close(used);
	go_on(3500);
	tap_ok(!exists(dir, "a.1.0123456789abcdef.swap"), "until its lock is free");
	close(dir);
}

/* How many files of ours there are, and how large the last of them is. */
static unsigned int count_files(const char *path, off_t *size)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	unsigned int count = 0;
	struct stat st;

	while (stream && (entry = readdir(stream))) {
		if (!swap_file_is(entry->d_name) || fstatat(dirfd(stream), entry->d_name, &st, 0))
			continue;
		*size = st.st_size;
		count++;
	}
	closedir(stream);
	return count;
}

/* What a VM of 64 MiB keeps where there are swap files, in MiB. */
static uint64_t keeps(pid_t pid)
{
	const struct admission_reach reach = { .swap = true };
	struct mrm_vms vms = { 0 };
	uint64_t kept = UINT64_MAX;
	size_t i;

	mrm_vms_read(module_root(), &vms, 0);
	for (i = 0; i < vms.count; i++) {
		if (vms.vm[i].pid != pid)
			continue;
		vms.vm[i].value[MRM_VM_SIZE_BYTES] = 64ull << 20;
		vms.vm[i].value[MRM_VM_ADOPTED_BYTES] = 64ull << 20;
		kept = kept_by(&vms.vm[i], &reach) >> 20;
	}
	mrm_vms_free(&vms);
	return kept;
}

/* The kernel was told something of a VM's file since the last time. */
static bool is_told(const struct tree *tree, const char *file)
{
	char text[MRM_TEXT_MAX];
	bool told;

	tree_read(tree, file, text, sizeof(text));
	told = strtol(text, NULL, 10) > 2;
	tree_write(tree, file, "a file");
	return told;
}

/* A VM has the file @before of an mrmd before us, who may not have told the kernel of all of it. */
static void test_before(const struct tree *tree, const char *path, int before)
{
	char file[PATH_MAX];
	off_t size = 0;

	tree_add_vm(tree, 12, "before", 0);
	snprintf(file, sizeof(file), "%s/%s", path, BEFORE);
	tree_write(tree, "vm/12/swap_file", file);
	tree_write(tree, "vm/12/max_bytes", "3145728");
	tap_ok(!module_init(tree->path), "a VM is there, and its file");
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == BYTES, "which is large enough");
	tap_ok(is_told(tree, "vm/12/swap_file"), "the kernel is told how large");
	tree_write(tree, "vm/12/max_bytes", "6291456");
	guests_swap();
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == 2 * BYTES, "it grows");
	tap_ok(is_told(tree, "vm/12/swap_file"), "and the kernel is told");
	tree_remove_vm(tree, 12);
	close(before);
	guests_swap();
	go_on(3500);
	tap_ok(!count_files(path, &size), "it goes with its VM");
}

/* A VM that has a file of 4 MiB gets another max and min. */
static void test_growing(const struct tree *tree, const char *path)
{
	struct swap_room room;
	off_t size = 0;

	tap_ok(is_told(tree, "vm/7/swap_file"), "the kernel has its file");
	tree_write(tree, "vm/7/min_bytes", "2097152");
	swap_bounds();
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == 6 << 20, "its file grows when min is less");
	tap_ok(is_told(tree, "vm/7/swap_file"), "and the kernel is told");
	tree_write(tree, "vm/7/max_bytes", "4194304");
	swap_bounds();
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == 6 << 20, "it does not shrink");
	tap_ok(!is_told(tree, "vm/7/swap_file"), "of which the kernel is not told");
	tree_write(tree, "vm/7/max_bytes", "1152921504606846976");
	tree_write(tree, "vm/7/adopted_bytes", "1152921504606846976");
	swap_bounds();
	tap_ok(swap_room(&room) && !room.free, "for one that is very large there may be no room");
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == 6 << 20, "then it stays as it is");
	tap_ok(!is_told(tree, "vm/7/swap_file"), "and the kernel is not told");
	tap_ok(swap_room(&room) && room.free, "nor are others kept from theirs");
	tree_write(tree, "vm/7/adopted_bytes", "10485760");
	swap_bounds();
	go_on(5000);
	tap_ok(count_files(path, &size) == 1 && size == 10 << 20,
	       "when less is wanted it is tried again");
	tap_ok(is_told(tree, "vm/7/swap_file"), "and the kernel is told again");
}

/* VMs of a made-up kernel, which takes any number for a file. */
static void test_vms(const struct tree *tree, const char *path)
{
	struct swap_room room;
	char text[MRM_TEXT_MAX];
	off_t size = 0;

	tree_add_vm(tree, 7, "a/b", 0);
	tree_write(tree, "vm/7/swap_file", "");
	tree_write(tree, "vm/7/max_bytes", "8388608");
	tree_add_vm(tree, 8, "large", 0);
	tree_write(tree, "vm/8/swap_file", "");
	tree_write(tree, "vm/8/max_bytes", "1152921504606846976");
	tree_write(tree, "vm/8/adopted_bytes", "1152921504606846976");
	tree_add_vm(tree, 9, "all", 0);
	tree_write(tree, "vm/9/swap_file", "");
	tree_write(tree, "vm/9/max_bytes", "8388608");
	tree_write(tree, "vm/9/min_bytes", "8388608");
	tree_add_vm(tree, 10, "old module", 0);
	tree_add_vm(tree, 11, "huge pages", 0);
	tree_write(tree, "vm/11/swap_file", "");
	tree_write(tree, "vm/11/max_bytes", "8388608");
	tree_write(tree, "vm/11/adopted_bytes", "0");
	guests_vms();
	tap_ok(!count_files(path, &size), "whose min and max may not be known");
	tap_ok(swap_room(&room) && !room.free, "room that one waits for is not free");
	tree_write(tree, "vm/7/min_bytes", "4194304");
	go_on(7000);
	tap_ok(count_files(path, &size) == 1 && size == 4194304,
	       "one has a file, as large as it is");
	tree_read(tree, "vm/7/swap_file", text, sizeof(text));
	tap_ok(strtol(text, NULL, 10) > 2, "which the kernel has");
	tree_read(tree, "vm/8/swap_file", text, sizeof(text));
	tap_text(text, "\n", "one without room has none");
	tree_read(tree, "vm/11/swap_file", text, sizeof(text));
	tap_text(text, "\n", "nor has one from which nothing can be taken");
	tap_ok(swap_room(&room) && room.free, "and does not keep others from theirs");
	tap_ok(keeps(7) == 0, "all can be taken from one that has a file");
	tap_ok(keeps(8) == 64, "but not from one without room");
	tap_ok(keeps(9) == 0, "one that needs none keeps no more than its min");
	guests_swap();
	go_on(500);
	tap_ok(count_files(path, &size) == 1, "nobody gets a second one");
	test_growing(tree, path);
	tree_write(tree, "vm/9/min_bytes", "4194304");
	tree_write(tree, "vm/11/adopted_bytes", "8388608");
	guests_swap();
	go_on(7000);
	tap_ok(count_files(path, &size) == 3, "who needed none gets one when that has changed");
	tree_remove_vm(tree, 7);
	tree_remove_vm(tree, 9);
	tree_remove_vm(tree, 11);
	guests_swap();
	go_on(3500);
	tap_ok(!count_files(path, &size), "when their VMs have ended they are wiped");
}

/**
 * test_swap() - swap files
 */
void test_swap(void)
{
	char base[] = "/tmp/mrmd-swap-XXXXXX", path[64], command[128], why[128];
	struct tree tree;
	int dir, before;

	if (!mkdtemp(base) || virEventRegisterDefaultImpl() < 0 || work_init())
		exit(2);
	test_names();
	snprintf(path, sizeof(path), "%s/swap", base);
	dir = swap_directory_open(path, why, sizeof(why));
	if (dir == -EINVAL) {
		tap_ok(true, "swap files # SKIP /tmp is without direct I/O");
	} else {
		test_directories(base);
		test_file(dir, "a.1.0123456789abcdef.swap");
		test_grow(dir, "a.1.0123456789abcdef.swap");
		test_not_ours(dir, "a.1.0123456789abcdef.swap");
		test_left(path, dir, &before);
		tree_make(&tree);
		test_before(&tree, path, before);
		test_vms(&tree, path);
		tree_remove(&tree);
	}
	snprintf(command, sizeof(command), "rm -r %s", base);
	if (system(command))
		exit(2);
}
