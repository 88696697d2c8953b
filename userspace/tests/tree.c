// SPDX-License-Identifier: GPL-2.0
/* A made-up copy of the kernel's files, and reading it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ranges.h"
#include "tap.h"
#include "tree.h"
#include "tunable.h"
#include "vm.h"

static void must(bool done, const char *what)
{
	if (done)
		return;
	perror(what);
	exit(2);
}

static void make_directory(const struct tree *tree, const char *directory)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tree->path, directory);
	must(!mkdir(path, 0755) || errno == EEXIST, path);
}

/**
 * tree_write() - write a file of the copy
 * @tree: the copy
 * @file: relative to the copy of /sys/kernel/mrm
 * @text: its contents, without the newline at the end
 */
void tree_write(const struct tree *tree, const char *file, const char *text)
{
	char path[256];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", tree->path, file);
	stream = fopen(path, "w");
	must(stream, path);
	fprintf(stream, "%s\n", text);
	must(!fclose(stream), path);
}

/**
 * tree_read() - read a file of the copy
 * @tree: the copy
 * @file: relative to the copy of /sys/kernel/mrm
 * @text: receives its contents, with the newline
 * @size: bytes at @text
 */
void tree_read(const struct tree *tree, const char *file, char *text, size_t size)
{
	char path[256];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", tree->path, file);
	stream = fopen(path, "r");
	must(stream, path);
	text[fread(text, 1, size - 1, stream)] = '\0';
	fclose(stream);
}

static void write_number(const struct tree *tree, const char *file, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	tree_write(tree, file, text);
}

/**
 * tree_make() - make a copy as of a host without VMs
 * @tree: filled in, to be removed with tree_remove()
 */
void tree_make(struct tree *tree)
{
	char number[MRM_TUNABLE_MAX];
	size_t i;

	strcpy(tree->base, "/tmp/mrmctl-test-XXXXXX");
	must(mkdtemp(tree->base), "mkdtemp");
	snprintf(tree->path, sizeof(tree->path), "%s/mrm", tree->base);
	make_directory(tree, "");
	make_directory(tree, "vm");
	make_directory(tree, "../debug");
	make_directory(tree, "../debug/mrm");
	make_directory(tree, "../debug/mrm/vm");
	for (i = 0; i < MRM_HOST_NR; i++)
		write_number(tree, mrm_host_counters[i].name, 1000 * (i + 1));
	for (i = 0; i < mrm_tunable_count; i++)
		tree_write(tree, mrm_tunables[i].name,
			   mrm_tunable_format(&mrm_tunables[i], mrm_tunables[i].usual, number));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

/**
 * tree_remove() - remove what tree_make() made
 * @tree: the copy
 */
void tree_remove(struct tree *tree)
{
	nftw(tree->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/**
 * tree_add_vm() - add a VM
 * @tree: the copy
 * @pid: of the VM
 * @name: of the VM
 * @shared: its shared pages; the other counters follow from it
 */
void tree_add_vm(const struct tree *tree, pid_t pid, const char *name, unsigned long shared)
{
	char file[128];
	int i;

	snprintf(file, sizeof(file), "vm/%d", (int)pid);
	make_directory(tree, file);
	for (i = 0; i < MRM_VM_NR; i++) {
		snprintf(file, sizeof(file), "vm/%d/%s", (int)pid, mrm_vm_counters[i].name);
		write_number(tree, file, i == MRM_VM_SHARE || i == MRM_VM_LARGE);
	}
	for (i = 0; i < MRM_VM_TEXT_NR; i++) {
		snprintf(file, sizeof(file), "vm/%d/%s", (int)pid, mrm_vm_texts[i]);
		tree_write(tree, file, i == MRM_VM_NAME ? name : i == MRM_VM_STATE ? "on" : "");
	}
	snprintf(file, sizeof(file), "vm/%d/adopted_bytes", (int)pid);
	write_number(tree, file, 128ul << 20);
	snprintf(file, sizeof(file), "vm/%d/resident_pages", (int)pid);
	write_number(tree, file, 2 * shared);
	snprintf(file, sizeof(file), "vm/%d/shared_pages", (int)pid);
	write_number(tree, file, shared);
	snprintf(file, sizeof(file), "vm/%d/saved_pages", (int)pid);
	write_number(tree, file, shared / 2);
}

/**
 * tree_remove_vm() - remove a VM
 * @tree: the copy
 * @pid: of the VM
 */
void tree_remove_vm(const struct tree *tree, pid_t pid)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/vm/%d", tree->path, (int)pid);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_open(const struct tree *tree)
{
	struct mrm_root root;
	char path[128];

	tap_ok(mrm_open(&root, "/nonexistent/mrm") == -ENOENT, "a tree that is not there");
	tap_ok(mrm_open(&root, tree->base) == -EUCLEAN, "a directory that is no tree");
	snprintf(path, sizeof(path), "%s/vms", tree->path);
	tap_ok(mrm_open(&root, path) == -ENOTDIR, "a file for a tree");
	tap_ok(!mrm_open(&root, tree->path) && !root.live, "a copy is opened, and known as one");
	mrm_close(&root);
}

static void test_values(const struct tree *tree, const struct mrm_root *root)
{
	uint64_t value = 7;
	char text[4], path[256];

	tree_write(tree, "odd", "-5");
	tap_ok(mrm_read_u64(root->fd, "odd", &value) == -EINVAL && value == 7,
	       "a negative counter is refused");
	tree_write(tree, "odd", "12345678");
	tap_ok(!mrm_read_text(root->fd, "odd", text, sizeof(text)), "a long value is read");
	tap_text(text, "123", "and cut");
	tap_ok(!mrm_write_text(root->fd, "odd", ""), "an empty value is written");
	tree_read(tree, "odd", text, sizeof(text));
	tap_text(text, "\n", "as a newline");
	tap_ok(mrm_write_text(root->fd, "missing", "1") == -ENOENT, "no file is created");

	snprintf(path, sizeof(path), "%s/link", tree->path);
	must(!symlink("/etc/passwd", path), path);
	tap_ok(mrm_read_text(root->fd, "link", text, sizeof(text)) == -ELOOP,
	       "a symbolic link is not followed");
	snprintf(path, sizeof(path), "%s/pipe", tree->path);
	must(!mkfifo(path, 0600), path);
	tap_ok(mrm_read_u64(root->fd, "pipe", &value) == -EINVAL, "a FIFO does not stop us");
}

static void test_watch(const struct tree *tree, const struct mrm_root *root)
{
	uint64_t value;
	int watch;

	watch = mrm_watch_open(root, "full_scans");
	tap_ok(watch >= 0 && !mrm_watch_value(watch, &value), "a counter is watched");
	tree_write(tree, "full_scans", "77");
	tap_ok(!mrm_watch_value(watch, &value) && value == 77, "and read again");
	tap_ok(mrm_watch_wait(watch, 1) == 0, "waiting ends");
	close(watch);
	tap_ok(mrm_watch_open(root, "missing") == -ENOENT, "a counter that is missing");
}

static void test_vms(const struct tree *tree, const struct mrm_root *root)
{
	struct mrm_vm vm;
	struct mrm_vms vms;
	char path[256];

	tap_ok(!mrm_vms_read(root, &vms, MRM_WANT_ALL) && !vms.count, "a host without VMs");
	mrm_vms_free(&vms);
	tree_add_vm(tree, 300, "web", 512);
	tree_add_vm(tree, 20, "300", 256);
	tree_write(tree, "vm/stray", "1");
	tree_write(tree, "vm/99", "a file");
	snprintf(path, sizeof(path), "%s/vm/300/zero_pages", tree->path);
	must(!unlink(path), path);

	tap_ok(!mrm_vms_read(root, &vms, MRM_WANT_ALL), "VMs are read");
	tap_ok(vms.count == 2 && vms.vm[0].pid == 20 && vms.vm[1].pid == 300,
	       "in the order of their pids, without what is not a VM");
	tap_ok(vms.vm[1].value[MRM_VM_SHARED_PAGES] == 512, "with their counters");
	tap_ok(!(vms.vm[1].have & MRM_WANT(MRM_VM_ZERO_PAGES)) &&
		       vms.vm[0].have & MRM_WANT(MRM_VM_ZERO_PAGES),
	       "a counter that is missing is marked");
	tap_ok(mrm_vm_matches(&vms.vm[1], "web") && mrm_vm_matches(&vms.vm[1], "300") &&
		       mrm_vm_matches(&vms.vm[1], "pid:300"),
	       "a VM is known by name and pid");
	tap_ok(mrm_vm_matches(&vms.vm[0], "300") && !mrm_vm_matches(&vms.vm[0], "pid:300"),
	       "a number can be a name, unless it is said to be a pid");
	tap_ok(!mrm_vm_matches(&vms.vm[0], "") && !mrm_vm_matches(&vms.vm[0], "pid:"),
	       "nothing is nobody's name");

	vm = vms.vm[1];
	tap_ok(!mrm_vm_write(root, &vm, "salt", "x"), "a setting is written");
	tap_ok(!mrm_vm_reread(root, &vm, MRM_WANT_ALL), "a VM is read again");
	tap_text(vm.text[MRM_VM_SALT], "x", "with the new setting");
	vm.node++;
	tap_ok(mrm_vm_write(root, &vm, "salt", "y") == -ENODEV,
	       "another VM with the same pid is left alone");
	tree_remove_vm(tree, 300);
	vm = vms.vm[1];
	tap_ok(mrm_vm_reread(root, &vm, MRM_WANT_ALL) == -ENODEV, "a VM that has ended");
	tap_ok(mrm_vm_write(root, &vm, "salt", "y") == -ENODEV, "is not written to");
	mrm_vms_free(&vms);
}

static void test_range_lines(void)
{
	static const struct {
		const char *line;
		int error;
		struct mrm_range range;
	} cases[] = {
		{ "7f0000000000 32768 adopted", 0, { 0x7f0000000000, 32768, true, "" } },
		{ "0x1000 1 not locked in memory", 0, { 0x1000, 1, false, "locked in memory" } },
		{ "0 2 not adopted: a device", 0, { 0, 2, false, "a device" } },
		{ "1000  2 not  hugetlb", 0, { 0x1000, 2, false, "hugetlb" } },
		{ "1000 2 not", 0, { 0x1000, 2, false, "" } },
		{ "1000 2 maybe", -EINVAL, { 0 } },
		{ "1000 2", -EINVAL, { 0 } },
		{ "", -EINVAL, { 0 } },
		{ "-1 2 adopted", -EINVAL, { 0 } },
		{ "1000 x adopted", -EINVAL, { 0 } },
		{ "ffffffffffffffffff 1 adopted", -EINVAL, { 0 } },
	};
	struct mrm_range range;
	char line[80];
	size_t i;
	int error;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mrm_range *wanted = &cases[i].range;

		strcpy(line, cases[i].line);
		error = mrm_range_parse(line, &range);
		tap_ok(error == cases[i].error && (error || (range.start == wanted->start &&
							     range.pages == wanted->pages &&
							     range.adopted == wanted->adopted &&
							     !strcmp(range.words, wanted->words))),
		       "range \"%s\"", cases[i].line);
	}
}

static void test_many_ranges(const struct tree *tree, const struct mrm_root *root)
{
	struct mrm_ranges ranges;
	char path[256];
	FILE *file;
	int i;

	tap_ok(mrm_ranges_read(root, 20, &ranges) == -ENOENT, "no debugfs");
	make_directory(tree, "../debug/mrm/vm/20");
	snprintf(path, sizeof(path), "%s/../debug/mrm/vm/20/ranges", tree->path);
	file = fopen(path, "w");
	must(file, path);
	for (i = 0; i < 1000; i++)
		fprintf(file, "%x 512 %s\n", i << 21, i % 2 ? "adopted" : "not adopted: hugetlb");
	fprintf(file, "not understood\n");
	fclose(file);
	tap_ok(!mrm_ranges_read(root, 20, &ranges) && ranges.count == 1000,
	       "a thousand ranges, without a line that is something else");
	tap_ok(ranges.range[999].start == 999ul << 21 && ranges.range[999].adopted, "to the last");
	mrm_ranges_free(&ranges);
}

/**
 * test_tree() - reading and writing the kernel's files
 */
void test_tree(void)
{
	struct mrm_host host;
	struct mrm_root root;
	struct tree tree;

	tree_make(&tree);
	test_open(&tree);
	must(!mrm_open(&root, tree.path), tree.path);
	tap_ok(!mrm_host_read(&root, &host) && host.have[MRM_HOST_NR - 1] &&
		       host.value[MRM_HOST_ADOPTED_BYTES] == 2000,
	       "counters of the host");
	test_values(&tree, &root);
	test_watch(&tree, &root);
	test_vms(&tree, &root);
	test_range_lines();
	test_many_ranges(&tree, &root);
	mrm_close(&root);
	tree_remove(&tree);
}
