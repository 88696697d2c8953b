// SPDX-License-Identifier: GPL-2.0
/*
 * Which VM has which swap file.  Each VM gets one, of its max less its min, when both are
 * known: made here, and handed over; when these are further apart later, made larger, and handed
 * over again.  The kernel has it open as long as it may write to it, whatever becomes of us; then
 * it is wiped.  So are those that an mrmd before us has left behind.  A file that cannot be locked
 * is in use, whatever else we think of it, and is not wiped (swap_file.c).
 *
 * To make a large file, or a larger one of it, or to wipe it, takes its time: in threads of their
 * own (work.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>

#include "guest.h"
#include "log.h"
#include "module.h"
#include "swap.h"
#include "swap_file.h"
#include "work.h"

#define LEAST_BYTES (1ull << 20)

/* A VM's max and min are known when they have been the same for so long. */
#define SETTLED_MS 1500
/* Nobody tells of that, nor when the kernel lets go of a file, after the VM has left its list. */
#define LOOK_MS 2000

/**
 * enum swap_state - what becomes of a VM's swap, or of a file
 * @SWAP_NEW: a VM without a file, whose max and min may not be known yet
 * @SWAP_MAKING: its file is being made
 * @SWAP_GIVEN: the kernel has it
 * @SWAP_GROWING: the kernel has it, and it is being made larger
 * @SWAP_NONE: the VM has none: it needs none, or it could not be had
 * @SWAP_LEFT: a file whose VM has ended, or is not known
 * @SWAP_WIPING: it is being wiped
 * @SWAP_KEPT: it could not be wiped
 */
enum swap_state {
	SWAP_NEW,
	SWAP_MAKING,
	SWAP_GIVEN,
	SWAP_GROWING,
	SWAP_NONE,
	SWAP_LEFT,
	SWAP_WIPING,
	SWAP_KEPT,
};

/**
 * struct swap - a VM's swap, or a file that nobody needs
 * @work: makes the file, makes it larger, or wipes it
 * @next: another one, or NULL
 * @state: where it is
 * @name: of the file in the directory, or empty
 * @vm: whose it is; a pid of 0 when that is not known
 * @guest: what the kernel calls it
 * @max: the VM's, when it was last looked at
 * @min: likewise
 * @adopted: likewise: of its memory, what can be taken from it
 * @since_ms: they have been the same since then
 * @bytes: how large the file is to be at the least, as far as that is known
 * @given: how large the kernel knows it to be; 0: an mrmd before us handed it over
 * @size: how large it was when it was to be made larger
 * @fd: the file, between making it and handing it over
 * @error: what came of @work, negative
 * @said: the error that the log has
 * @tried: to wipe it was tried in this round
 */
struct swap {
	struct work work;
	struct swap *next;
	enum swap_state state;
	char name[SWAP_NAME_MAX];
	struct mrm_vm vm;
	char guest[MRM_TEXT_MAX];
	uint64_t max;
	uint64_t min;
	uint64_t adopted;
	uint64_t since_ms;
	uint64_t bytes;
	uint64_t given;
	uint64_t size;
	int fd;
	int error;
	int said;
	bool tried;
};

static int dir = -1;
static char *path;
static struct swap *swaps;
static bool wiping;
static int timer = -1;

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

static struct swap *add(enum swap_state state, const char *name)
{
	struct swap *swap = calloc(1, sizeof(*swap));

	if (!swap) {
		log_error("swap: out of memory");
		return NULL;
	}
	snprintf(swap->name, sizeof(swap->name), "%s", name);
	swap->state = state;
	swap->next = swaps;
	swaps = swap;
	return swap;
}

static void start(struct swap *swap, enum swap_state state, void (*run)(struct work *),
		  void (*done)(struct work *))
{
	swap->state = state;
	swap->work.run = run;
	swap->work.done = done;
	swap->work.class = WORK_DISK;
	work_start(&swap->work);
}

static void look_soon(void)
{
	virEventUpdateTimeout(timer, LOOK_MS);
}

static void wipe_run(struct work *work)
{
	struct swap *swap = of_work(work);

	swap->error = swap_file_wipe(dir, swap->name);
}

static void wipe_next(void);

static void wipe_done(struct work *work)
{
	struct swap *swap = of_work(work);

	wiping = false;
	if (swap->error == -EBUSY) {
		swap->state = SWAP_LEFT;
	} else if (swap->error) {
		log_error("swap file %s/%s: not wiped, and left there: %s", path, swap->name,
			  strerror(-swap->error));
		swap->state = SWAP_KEPT;
	} else {
		forget(swap);
	}
	/* It may be free by then, or there is room for another one now. */
	look_soon();
	wipe_next();
}

/* One at a time: the other thread is for VMs that wait for a file. */
static void wipe_next(void)
{
	struct swap *swap = swaps;

	while (swap && (swap->state != SWAP_LEFT || swap->tried))
		swap = swap->next;
	if (!swap || wiping)
		return;
	wiping = true;
	swap->tried = true;
	start(swap, SWAP_WIPING, wipe_run, wipe_done);
}

static void make_run(struct work *work)
{
	struct swap *swap = of_work(work);

	swap->fd = swap_file_make(dir, swap->name, swap->bytes);
	swap->error = swap->fd < 0 ? swap->fd : 0;
}

/* The kernel has not taken the file: the VM goes without, and the file by itself. */
static void take_back(struct swap *swap)
{
	add(SWAP_LEFT, swap->name);
	*swap->name = '\0';
	swap->state = SWAP_NONE;
	look_soon();
}

/* Returns 0 or an error; -ENODEV when the VM has ended. */
static int give(struct swap *swap)
{
	char number[16];
	int error = -ENODEV;

	snprintf(number, sizeof(number), "%d", swap->fd);
	if (module_root())
		error = mrm_vm_write(module_root(), &swap->vm, "swap_file", number);
	close(swap->fd);
	return error;
}

static void hand_over(struct swap *swap)
{
	int error = give(swap);

	if (!error) {
		swap->given = swap->bytes;
		log_info("guest %s: swap file %s/%s of %" PRIu64 " MiB", swap->guest, path,
			 swap->name, swap->bytes >> 20);
		swap->state = SWAP_GIVEN;
		/* It may need more by now. */
		look_soon();
		return;
	}
	/* One that has ended meanwhile needs none. */
	if (error != -ENODEV)
		log_error("guest %s: the kernel does not take swap file %s/%s: %s", swap->guest,
			  path, swap->name, strerror(-error));
	take_back(swap);
}

static void make_done(struct work *work)
{
	struct swap *swap = of_work(work);

	if (!swap->error) {
		hand_over(swap);
		return;
	}
	if (swap->error != swap->said)
		log_error("guest %s: no swap: no file of %" PRIu64 " MiB in %s: %s", swap->guest,
			  swap->bytes >> 20, path, strerror(-swap->error));
	swap->said = swap->error;
	swap->state = SWAP_NONE;
}

static const struct mrm_vm *find(const struct mrm_vms *vms, const struct swap *swap)
{
	size_t i;

	for (i = 0; i < vms->count; i++)
		if (vms->vm[i].pid == swap->vm.pid && vms->vm[i].node == swap->vm.node)
			return &vms->vm[i];
	return NULL;
}

/* What is known of a VM's swap, or NULL. */
static const struct swap *swap_of(const struct mrm_vm *vm)
{
	const struct swap *swap = swaps;

	while (swap && (swap->vm.pid != vm->pid || swap->vm.node != vm->node))
		swap = swap->next;
	return swap;
}

static struct swap *find_file(const char *name)
{
	struct swap *swap;

	for (swap = swaps; swap; swap = swap->next)
		if (*name && !strcmp(swap->name, name))
			return swap;
	return NULL;
}

/* A VM that is not known: one that is new, or that an mrmd before us knew. */
static void meet(const struct mrm_vm *vm)
{
	char text[PATH_MAX], *slash;
	struct swap *swap;

	/* A module that knows nothing of swap has no such file. */
	if (mrm_vm_read_text(module_root(), vm->pid, "swap_file", text, sizeof(text)))
		return;
	slash = strrchr(text, '/');
	swap = *text ? find_file(slash ? slash + 1 : text) : add(SWAP_NEW, "");
	if (swap)
		swap->vm = *vm;
}

static uint64_t size_now(const struct swap *swap, uint64_t *size)
{
	struct stat st;

	if (!*swap->name || fstatat(dir, swap->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if ((uint64_t)st.st_size > *size)
		*size = st.st_size;
	return st.st_blocks * 512ull;
}

static void read_guest(struct swap *swap)
{
	if (mrm_vm_read_text(module_root(), swap->vm.pid, "name", swap->guest, sizeof(swap->guest)))
		*swap->guest = '\0';
}

/* In the log one without a name has a number. */
static void call_guest(struct swap *swap)
{
	if (!*swap->guest)
		snprintf(swap->guest, sizeof(swap->guest), "pid:%d", (int)swap->vm.pid);
}

static void make(struct swap *swap)
{
	read_guest(swap);
	swap->error = swap_file_name(swap->name, swap->guest, swap->vm.pid);
	call_guest(swap);
	if (swap->error)
		make_done(&swap->work);
	else
		start(swap, SWAP_MAKING, make_run, make_done);
}

static void grow_run(struct work *work)
{
	struct swap *swap = of_work(work);

	swap->fd = swap_file_grow(dir, swap->name, swap->bytes);
	swap->error = swap->fd < 0 ? swap->fd : 0;
}

/* The kernel has the file as it was, whatever came of it. */
static void grow_done(struct work *work)
{
	struct swap *swap = of_work(work);

	swap->state = SWAP_GIVEN;
	if (!swap->error)
		swap->error = give(swap);
	if (!swap->error || swap->error == -ENODEV)
		look_soon();
	if (swap->error == -ENODEV) {
		/* Its VM has ended meanwhile. */
		swap->error = 0;
	} else if (!swap->error) {
		swap->given = swap->size > swap->bytes ? swap->size : swap->bytes;
		if (swap->given > swap->size)
			log_info("guest %s: swap file %s/%s has grown from %" PRIu64 " to %" PRIu64
				 " MiB",
				 swap->guest, path, swap->name, swap->size >> 20,
				 swap->given >> 20);
	} else if (swap->error != swap->said) {
		log_error("guest %s: its swap file in %s stays at %" PRIu64
			  " MiB, and is to have %" PRIu64 ": %s",
			  swap->guest, path, swap->size >> 20, swap->bytes >> 20,
			  strerror(-swap->error));
	}
	swap->said = swap->error;
}

static void grow(struct swap *swap)
{
	read_guest(swap);
	call_guest(swap);
	swap->size = 0;
	size_now(swap, &swap->size);
	start(swap, SWAP_GROWING, grow_run, grow_done);
}

/*
 * What a VM has in the kernel is not what it had when it was last looked at.  Memory that was
 * not adopted, of huge pages or of another's file, can never be taken.
 */
static bool has_changed(struct swap *swap)
{
	uint64_t max = mrm_vm_u64_or_0(module_root(), swap->vm.pid, "max_bytes");
	uint64_t min = mrm_vm_u64_or_0(module_root(), swap->vm.pid, "min_bytes");
	uint64_t adopted = mrm_vm_u64_or_0(module_root(), swap->vm.pid, "adopted_bytes");
	uint64_t bytes = max > min ? max - min : 0;

	if (max && max == swap->max && min == swap->min && adopted == swap->adopted)
		return false;
	swap->max = max;
	swap->min = min;
	swap->adopted = adopted;
	swap->since_ms = now_ms();
	swap->bytes = (bytes < adopted ? bytes : adopted) & -(uint64_t)MRM_PAGE_SIZE;
	return true;
}

/* libvirt tells what a VM is to have after its start; QEMU does not plug all memory at once. */
static void settle(struct swap *swap)
{
	if (!guests_settled(&swap->vm) || has_changed(swap))
		return;
	if (now_ms() - swap->since_ms < SETTLED_MS) {
		return;
	} else if (swap->bytes < LEAST_BYTES) {
		swap->state = SWAP_NONE;
	} else {
		make(swap);
	}
}

/* Never smaller: what is swapped would have to be read first. */
static bool is_too_small(const struct swap *swap)
{
	return swap->bytes > swap->given;
}

/* The kernel has its file: is that large enough?  Returns whether to look again soon. */
static bool review(struct swap *swap)
{
	if (has_changed(swap))
		swap->error = 0;
	if (!is_too_small(swap))
		return false;
	if (now_ms() - swap->since_ms < SETTLED_MS)
		return true;
	/* Else libvirt will tell, and then it is looked at. */
	if (guests_settled(&swap->vm))
		grow(swap);
	return false;
}

/* Returns whether to look again soon. */
static bool look_at(struct swap *swap, const struct mrm_vms *vms)
{
	bool ended = !find(vms, swap);

	switch (swap->state) {
	case SWAP_NEW:
	case SWAP_NONE:
		if (ended)
			forget(swap);
		else if (swap->state == SWAP_NEW)
			settle(swap);
		/* One that needed none may need one now; what was in the way may be gone. */
		else if (has_changed(swap))
			swap->state = SWAP_NEW;
		else if (swap->error)
			make(swap);
		return !ended && swap->state == SWAP_NEW;
	case SWAP_GIVEN:
	case SWAP_LEFT:
		swap->state = ended ? SWAP_LEFT : SWAP_GIVEN;
		swap->tried = false;
		/* It needs no more room than it has. */
		if (ended)
			swap->bytes = 0;
		return ended || review(swap);
	case SWAP_MAKING:
	case SWAP_GROWING:
	case SWAP_WIPING:
	case SWAP_KEPT:
		break;
	}
	return false;
}

/**
 * swap_vms() - VMs have come or gone, or more is known of one
 * @vms: all there are
 */
void swap_vms(const struct mrm_vms *vms)
{
	struct swap *swap, *next;
	bool again = false;
	size_t i;

	if (dir < 0)
		return;
	for (i = 0; module_root() && i < vms->count; i++)
		if (!swap_of(&vms->vm[i]))
			meet(&vms->vm[i]);
	for (swap = swaps; swap; swap = next) {
		next = swap->next;
		again |= look_at(swap, vms);
	}
	virEventUpdateTimeout(timer, again ? LOOK_MS : -1);
	wipe_next();
}

/**
 * swap_bounds() - the max or min of a VM may be another
 *
 * When it stays so, it is seen what the VM needs.  What could not be done is not tried again before
 * VMs come or go.
 */
void swap_bounds(void)
{
	bool again = false;
	struct swap *swap;

	for (swap = swaps; module_root() && swap; swap = swap->next) {
		if ((swap->state != SWAP_GIVEN && swap->state != SWAP_NONE) || !has_changed(swap))
			continue;
		again = true;
		swap->error = 0;
		if (swap->state == SWAP_NONE)
			swap->state = SWAP_NEW;
	}
	if (again)
		look_soon();
}

static void look_again(int id, void *data)
{
	(void)data;
	virEventUpdateTimeout(id, -1);
	guests_swap();
}

/**
 * swap_is_used() - do guests get swap files?
 * Return: false when there is no swap.
 */
bool swap_is_used(void)
{
	return dir >= 0;
}

/**
 * swap_is_missing() - should a VM have a swap file, and has none?
 * @vm: the VM
 *
 * Return: true if it could not be made, or the kernel did not take it; false while it is being
 * made.
 */
bool swap_is_missing(const struct mrm_vm *vm)
{
	const struct swap *swap = swap_of(vm);

	return swap && swap->state == SWAP_NONE && swap->bytes >= LEAST_BYTES;
}

/* It could not be made larger, and is not, or that is only tried again. */
static bool does_without(const struct swap *swap)
{
	return (swap->state == SWAP_GIVEN && swap->error) ||
	       (swap->state == SWAP_GROWING && swap->said);
}

/**
 * swap_room() - room for the swap files of VMs to come
 * @room: receives how much there is
 *
 * What a file still lacks is not there for another: it is being made, or to be made larger, or its
 * file system gives it room only when it is written to.  One that could not be made larger does
 * without.
 *
 * Return: false when there is no swap.
 */
bool swap_room(struct swap_room *room)
{
	uint64_t lacking = 0, size, has;
	const struct swap *swap;

	if (!swap_is_used())
		return false;
	*room = (struct swap_room){ .directory = path, .free = swap_directory_free(dir) };
	for (swap = swaps; swap; swap = swap->next) {
		size = does_without(swap) ? 0 : swap->bytes;
		has = size_now(swap, &size);
		room->kept += swap->state == SWAP_KEPT;
		if (swap->state == SWAP_WIPING)
			room->wiping += has;
		else if (swap->state != SWAP_NONE && swap->state != SWAP_KEPT && size > has)
			lacking += size - has;
	}
	room->free = room->free > lacking ? room->free - lacking : 0;
	return true;
}

/**
 * swap_word() - whether a VM has its swap file
 * @vm: the VM
 *
 * Return: a word for people.
 */
const char *swap_word(const struct mrm_vm *vm)
{
	const struct swap *swap = swap_of(vm);
	char file[MRM_TEXT_MAX];

	switch (swap ? swap->state : SWAP_NONE) {
	case SWAP_NEW:
		return "waiting";
	case SWAP_MAKING:
		return "making";
	case SWAP_GIVEN:
	case SWAP_GROWING:
		return "yes";
	default:
		break;
	}
	/* It may have been given one by somebody else. */
	return module_root() &&
			       !mrm_vm_read_text(module_root(), vm->pid, "swap_file", file,
						 sizeof(file)) &&
			       *file
		       ? "yes"
		       : "no";
}

/* Files of an mrmd before us. */
static int list_files(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!stream) {
		int error = -errno;

		if (copy >= 0)
			close(copy);
		return error;
	}
	while ((entry = readdir(stream)))
		if (swap_file_is(entry->d_name) && strlen(entry->d_name) < SWAP_NAME_MAX)
			add(SWAP_LEFT, entry->d_name);
	closedir(stream);
	return 0;
}

/**
 * swap_init() - make swap files in a directory
 * @directory: its path; made if it is not there, as is the one it is in
 *
 * Files of an mrmd before us are known again; those whose VM is gone are removed as soon as the
 * list of VMs is known.
 *
 * Return: 0, or a negative error, which the log has: then there is no swap.
 */
int swap_init(const char *directory)
{
	int fd, error;
	char why[128];

	fd = swap_directory_open(directory, why, sizeof(why));
	if (fd < 0) {
		log_error("there is no swap, as there can be no files in %s: %s", directory, why);
		return fd;
	}
	path = realpath(directory, NULL);
	timer = virEventAddTimeout(-1, look_again, NULL, NULL);
	error = !path || timer < 0 ? -ENOMEM : list_files(fd);
	if (error) {
		log_error("there is no swap: %s: %s", directory, strerror(-error));
		close(fd);
		return error;
	}
	dir = fd;
	return 0;
}
