// SPDX-License-Identifier: GPL-2.0
/*
 * The VMs of the host.  Any of them can end while it is read; it is left out
 * then, as if it had ended a moment before.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"
#include "vm.h"

const struct mrm_counter mrm_vm_counters[MRM_VM_NR] = {
	[MRM_VM_ADOPTED_BYTES] = { "adopted_bytes", MRM_BYTES, "Memory adopted" },
	[MRM_VM_NOT_ADOPTED_BYTES] = { "not_adopted_bytes", MRM_BYTES, "Memory not adopted" },
	[MRM_VM_RESIDENT_PAGES] = { "resident_pages", MRM_PAGES, "Resident" },
	[MRM_VM_PRIVATE_PAGES] = { "private_pages", MRM_PAGES, "Private" },
	[MRM_VM_SHARED_PAGES] = { "shared_pages", MRM_PAGES, "Shared, zero pages too" },
	[MRM_VM_ZERO_PAGES] = { "zero_pages", MRM_PAGES, "Zero pages" },
	[MRM_VM_SAVED_PAGES] = { "saved_pages", MRM_PAGES, "Saved, its fair part" },
	[MRM_VM_SAVED_WITHIN_PAGES] = { "saved_within_pages", MRM_PAGES, "Saved, were it alone" },
	[MRM_VM_HINTED_PAGES] = { "hinted_pages", MRM_PAGES, "Hinted, not shared so far" },
	[MRM_VM_INELIGIBLE_PAGES] = { "ineligible_pages", MRM_PAGES, "Ineligible for sharing" },
	[MRM_VM_SCANNED_PAGES] = { "scanned_pages", MRM_COUNT, "Pages scanned", true },
	[MRM_VM_BROKEN_PAGES] = { "broken_pages", MRM_COUNT, "Copy-on-write breaks", true },
	[MRM_VM_OWNED_PAGES] = { "owned_pages", MRM_COUNT, "Shared by name alone, made own", true },
	[MRM_VM_DISCARDED_PAGES] = { "discarded_pages", MRM_COUNT, "Pages discarded", true },
	[MRM_VM_FULL_SCANS] = { "full_scans", MRM_COUNT, "Full scans", true },
	[MRM_VM_SCAN_CPU_NS] = { "scan_cpu_ns", MRM_NS, "CPU time of the scanner", true },
	[MRM_VM_OVERHEAD_BYTES] = { "overhead_bytes", MRM_BYTES, "Overhead of kvm_mrm" },
	[MRM_VM_SHARE] = { "share", MRM_COUNT, "Sharing allowed" },
	[MRM_VM_SHARES] = { "shares", MRM_COUNT, "Shares" },
	[MRM_VM_MIN_BYTES] = { "min_bytes", MRM_BYTES, "Min" },
	[MRM_VM_MAX_BYTES] = { "max_bytes", MRM_BYTES, "Max" },
	[MRM_VM_SIZE_BYTES] = { "size_bytes", MRM_BYTES, "Size" },
	[MRM_VM_GRANTED_BYTES] = { "granted_bytes", MRM_BYTES, "Granted" },
	[MRM_VM_CONSUMED_BYTES] = { "consumed_bytes", MRM_BYTES, "Consumed" },
	[MRM_VM_TARGET_BYTES] = { "target_bytes", MRM_BYTES, "Target" },
	[MRM_VM_BALLOON_TARGET_BYTES] = { "balloon_target_bytes", MRM_BYTES, "Target of balloon" },
	[MRM_VM_BALLOON_BYTES] = { "balloon_bytes", MRM_BYTES, "In the balloon" },
	[MRM_VM_ACTIVE_BYTES] = { "active_bytes", MRM_BYTES, "Active, estimated" },
	[MRM_VM_ACTIVE_SLOW_BYTES] = { "active_slow_bytes", MRM_BYTES, "Active, slow average" },
	[MRM_VM_ACTIVE_FAST_BYTES] = { "active_fast_bytes", MRM_BYTES, "Active, fast average" },
	[MRM_VM_TOUCHED_BYTES] = { "touched_bytes", MRM_BYTES, "Touched in this period" },
	[MRM_VM_SAMPLES] = { "samples", MRM_COUNT, "Periods sampled", true },
	[MRM_VM_SAMPLE_FAULTS] = { "sample_faults", MRM_COUNT, "Faults by sampling", true },
	[MRM_VM_RUNNING_NS] = { "running_ns", MRM_NS, "Time it has run", true },
	[MRM_VM_ZIPPED_PAGES] = { "zipped_pages", MRM_PAGES, "Zipped" },
	[MRM_VM_ZIPPED_BYTES] = { "zip_bytes", MRM_BYTES, "Memory for what is zipped" },
	[MRM_VM_ZIPS] = { "zips", MRM_COUNT, "Pages zipped", true },
	[MRM_VM_UNZIPS] = { "unzips", MRM_COUNT, "Pages unzipped", true },
	[MRM_VM_ZIP_MISFITS] = { "zip_misfits", MRM_COUNT, "Pages that did not fit", true },
	[MRM_VM_SWAPPED_PAGES] = { "swapped_pages", MRM_PAGES, "Swapped" },
	[MRM_VM_SWAP_CACHED_PAGES] = { "swap_cached_pages", MRM_PAGES, "In swap and in memory" },
	[MRM_VM_SWAP_FREE_PAGES] = { "swap_free_pages", MRM_PAGES, "Free in its swap file" },
	[MRM_VM_SWAP_BAD_PAGES] = { "swap_bad_pages", MRM_PAGES, "Bad in its swap file" },
	[MRM_VM_SWAP_OUTS] = { "swap_outs", MRM_COUNT, "Pages written to swap", true },
	[MRM_VM_SWAP_KEPT] = { "swap_kept", MRM_COUNT, "Swapped without a write", true },
	[MRM_VM_SWAP_INS] = { "swap_ins", MRM_COUNT, "Pages read from swap", true },
	[MRM_VM_READ_ERRORS] = { "read_errors", MRM_COUNT, "Pages lost", true },
	[MRM_VM_SWAP_AHEADS] = { "swap_aheads", MRM_COUNT, "Pages read ahead", true },
	[MRM_VM_RECLAIMED_BYTES] = { "reclaimed_bytes", MRM_BYTES, "Taken by the host", true },
	[MRM_VM_BLOCKED_VCPUS] = { "blocked_vcpus", MRM_COUNT, "vCPUs that wait for memory" },
	[MRM_VM_BLOCKS] = { "blocks", MRM_COUNT, "Times that a vCPU waited", true },
	[MRM_VM_LARGE] = { "alloc_guest_large_page", MRM_COUNT, "Large pages allowed" },
	[MRM_VM_LARGE_PAGES] = { "large_pages", MRM_LARGE_PAGES, "In large pages" },
	[MRM_VM_LARGE_HELD] = { "large_held_bytes", MRM_BYTES, "Held by broken large pages" },
	[MRM_VM_LARGE_UNTOUCHED] = { "large_untouched_bytes", MRM_BYTES, "Zero in large pages" },
	[MRM_VM_LARGE_BROKEN] = { "large_pages_broken", MRM_COUNT, "Large pages broken", true },
	[MRM_VM_LARGE_REBUILT] = { "large_pages_rebuilt", MRM_COUNT, "Large pages rebuilt", true },
	[MRM_VM_LARGE_FAILED] = { "large_pages_failed", MRM_COUNT, "Large pages not had", true },
	[MRM_VM_IO_BOUNCES] = { "io_bounces", MRM_COUNT, "Copies for devices", true },
	[MRM_VM_IO_BOUNCED_BYTES] = { "io_bounced_bytes", MRM_BYTES, "Copied for devices", true },
	[MRM_VM_IO_REMAPPED] = { "io_remapped_pages", MRM_COUNT, "Pages moved for devices", true },
	[MRM_VM_IO_RETURNED] = { "io_returned_pages", MRM_COUNT, "Pages moved back", true },
	[MRM_VM_IO_LOW_BYTES] = { "io_low_bytes", MRM_BYTES, "Kept low for devices" },
};

const char *const mrm_vm_texts[MRM_VM_TEXT_NR] = {
	[MRM_VM_NAME] = "name",
	[MRM_VM_REASON] = "not_adopted_reason",
	[MRM_VM_STATE] = "share_state",
	[MRM_VM_SALT] = "salt",
	[MRM_VM_BALLOON_STATE] = "balloon_state",
	[MRM_VM_SWAP_FILE] = "swap_file",
};

static int open_vms(const struct mrm_root *root)
{
	int fd = openat(root->fd, "vm", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The directory of a VM named by its pid, as kernel and saved copies have it. */
static int open_vm(int vms, const char *entry, uint64_t *node)
{
	struct stat st;
	int fd;

	fd = openat(vms, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	*node = st.st_ino;
	return fd;
}

/* A file of the VM was missing: is it the file alone, or the whole VM? */
static bool gone(int vms, const char *entry, uint64_t node)
{
	struct stat st;

	return fstatat(vms, entry, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != node;
}

/* Read what is wanted of one VM.  -ENODEV when it has ended. */
static int read_vm(int vms, const char *entry, struct mrm_vm *vm, mrm_want want)
{
	bool missing = false;
	int dir, error, i;

	memset(vm->text, 0, sizeof(vm->text));
	memset(vm->value, 0, sizeof(vm->value));
	vm->have = 0;
	dir = open_vm(vms, entry, &vm->node);
	if (dir < 0)
		return dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP ? -ENODEV : dir;
	for (i = 0; i < MRM_VM_NR + MRM_VM_TEXT_NR; i++) {
		if (!(want & MRM_WANT(i)))
			continue;
		if (i < MRM_VM_NR)
			error = mrm_read_u64(dir, mrm_vm_counters[i].name, &vm->value[i]);
		else
			error = mrm_read_text(dir, mrm_vm_texts[i - MRM_VM_NR],
					      vm->text[i - MRM_VM_NR], MRM_TEXT_MAX);
		if (!error)
			vm->have |= MRM_WANT(i);
		missing |= error == -ENOENT || error == -ENODEV;
	}
	close(dir);
	return missing && gone(vms, entry, vm->node) ? -ENODEV : 0;
}

static bool is_pid(const char *text, pid_t *pid)
{
	uint64_t number;

	if (mrm_parse_u64(text, &number) || !number || number > INT_MAX)
		return false;
	*pid = number;
	return true;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct mrm_vm *)a)->pid;
	pid_t y = ((const struct mrm_vm *)b)->pid;

	return (x > y) - (x < y);
}

static int append(struct mrm_vms *vms, size_t *room, const struct mrm_vm *vm)
{
	if (vms->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct mrm_vm *larger = realloc(vms->vm, more * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		vms->vm = larger;
		*room = more;
	}
	vms->vm[vms->count++] = *vm;
	return 0;
}

/**
 * mrm_vms_read() - read all VMs
 * @root: the open tree
 * @vms: filled in, to be freed with mrm_vms_free(), on error too
 * @want: set of MRM_WANT() and MRM_WANT_TEXT(); the rest is not read
 *
 * Return: 0, -ENOMEM, or the error of open(2) for the directory of VMs: -ENODEV
 * when the module has gone.
 */
int mrm_vms_read(const struct mrm_root *root, struct mrm_vms *vms, mrm_want want)
{
	struct dirent *entry;
	struct mrm_vm vm;
	size_t room = 0;
	int fd, error = 0;
	DIR *dir;

	memset(vms, 0, sizeof(*vms));
	fd = open_vms(root);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		error = -errno;
		close(fd);
		return error;
	}
	while (!error && (entry = readdir(dir))) {
		if (!is_pid(entry->d_name, &vm.pid))
			continue;
		error = read_vm(fd, entry->d_name, &vm, want);
		if (error == -ENODEV)
			error = 0;
		else if (!error)
			error = append(vms, &room, &vm);
	}
	closedir(dir);
	if (vms->count)
		qsort(vms->vm, vms->count, sizeof(*vms->vm), by_pid);
	return error;
}

/**
 * mrm_vms_free() - free what mrm_vms_read() filled in
 * @vms: empty afterwards
 */
void mrm_vms_free(struct mrm_vms *vms)
{
	free(vms->vm);
	memset(vms, 0, sizeof(*vms));
}

/**
 * mrm_vm_matches() - whether a VM is meant by what somebody typed
 * @vm: read with its name
 * @who: a name, a pid, or "pid:" and a pid, which is never taken for a name
 *
 * Return: true when it is meant; several VMs can be.
 */
bool mrm_vm_matches(const struct mrm_vm *vm, const char *who)
{
	pid_t pid;

	if (!strncmp(who, "pid:", 4))
		return is_pid(who + 4, &pid) && pid == vm->pid;
	if (is_pid(who, &pid) && pid == vm->pid)
		return true;
	return *who && !strcmp(who, vm->text[MRM_VM_NAME]);
}

/**
 * mrm_vm_reread() - read one VM again
 * @root: the open tree
 * @vm: tells which; filled in anew
 * @want: set of MRM_WANT() and MRM_WANT_TEXT(); the rest is not read
 *
 * Return: 0, -ENODEV when it has ended, or an error of open(2).
 */
int mrm_vm_reread(const struct mrm_root *root, struct mrm_vm *vm, mrm_want want)
{
	uint64_t node = vm->node;
	char entry[16];
	int vms, error;

	snprintf(entry, sizeof(entry), "%d", (int)vm->pid);
	vms = open_vms(root);
	if (vms < 0)
		return vms == -ENOENT ? -ENODEV : vms;
	error = read_vm(vms, entry, vm, want);
	close(vms);
	if (!error && vm->node != node)
		error = -ENODEV;
	return error;
}

static void file_of(pid_t pid, const char *file, char path[64])
{
	snprintf(path, 64, "vm/%d/%s", (int)pid, file);
}

/**
 * mrm_vm_read_text() - read one file of a VM as text
 * @root: the open tree
 * @pid: of the VM
 * @file: its name
 * @text: as for mrm_read_text()
 * @size: the same
 *
 * Return: as mrm_read_text().
 */
int mrm_vm_read_text(const struct mrm_root *root, pid_t pid, const char *file, char *text,
		     size_t size)
{
	char path[64];

	file_of(pid, file, path);
	return mrm_read_text(root->fd, path, text, size);
}

/**
 * mrm_vm_read_u64() - read one file of a VM as a number
 * @root: the open tree
 * @pid: of the VM
 * @file: its name
 * @value: receives the number, in the file's own unit; untouched on error
 *
 * Return: as mrm_read_u64().
 */
int mrm_vm_read_u64(const struct mrm_root *root, pid_t pid, const char *file, uint64_t *value)
{
	char path[64];

	file_of(pid, file, path);
	return mrm_read_u64(root->fd, path, value);
}

/**
 * mrm_vm_u64_or_0() - the same, where what cannot be read is 0
 * @root: the open tree
 * @pid: of the VM
 * @file: its name
 *
 * Return: the number.
 */
uint64_t mrm_vm_u64_or_0(const struct mrm_root *root, pid_t pid, const char *file)
{
	uint64_t value = 0;

	mrm_vm_read_u64(root, pid, file, &value);
	return value;
}

/**
 * mrm_vm_write() - change a setting of a VM
 * @root: the open tree
 * @vm: tells which
 * @file: name of the setting
 * @value: as mrm_write_text() takes it
 *
 * Return: 0, -ENODEV when the VM has ended, or an error as from
 * mrm_write_text().
 */
int mrm_vm_write(const struct mrm_root *root, const struct mrm_vm *vm, const char *file,
		 const char *value)
{
	char entry[16];
	int vms, dir, error;
	uint64_t node = 0;

	snprintf(entry, sizeof(entry), "%d", (int)vm->pid);
	vms = open_vms(root);
	if (vms < 0)
		return vms;
	dir = open_vm(vms, entry, &node);
	if (dir < 0) {
		error = dir == -ENOENT ? -ENODEV : dir;
	} else {
		error = node == vm->node ? mrm_write_text(dir, file, value) : -ENODEV;
		if (error == -ENOENT && gone(vms, entry, node))
			error = -ENODEV;
		close(dir);
	}
	close(vms);
	return error;
}
