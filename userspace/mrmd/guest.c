// SPDX-License-Identifier: GPL-2.0
/*
 * The guests: each known to its driver (libvirt, or QMP) and, by the pid of its
 * QEMU process, to the kernel.  Either may come first, and go first.  All of this
 * is done in the thread of the event loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libvirt/libvirt.h>
#include <systemd/sd-daemon.h>

#include "control.h"
#include "guest.h"
#include "libvirt_pid.h"
#include "log.h"
#include "module.h"
#include "round.h"
#include "sharing.h"
#include "swap.h"

struct guest *guests;

static struct round rebalance;
static int timer = -1;

static void drive(void);

/**
 * now_ms() - the time, of a clock that never goes back
 *
 * Return: milliseconds.
 */
uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void timer_over(int id, void *data)
{
	(void)id;
	(void)data;
	drive();
}

/**
 * guests_init() - be ready for guests; once, after the event loop
 *
 * Return: 0, or a negative error.
 */
int guests_init(void)
{
	timer = virEventAddTimeout(-1, timer_over, NULL, NULL);
	return timer < 0 ? -ENOMEM : 0;
}

static uint64_t read_or_0(const struct guest *guest, const char *name)
{
	return mrm_vm_u64_or_0(module_root(), guest->pid, name);
}

/* Said once for each file: a module that lacks it lacks it for all guests. */
static void note_missing(const char *file)
{
	static const char *said[8];
	size_t i;

	for (i = 0; i < sizeof(said) / sizeof(said[0]) && said[i]; i++)
		if (!strcmp(said[i], file))
			return;
	if (i < sizeof(said) / sizeof(said[0]))
		said[i] = file;
	log_notice("this kvm_mrm has no file %s for a VM: it is older than mrmd", file);
}

/**
 * struct refusal - what to do when the kernel does not take a setting
 * @guest: whose it is
 * @ended: the VM has ended meanwhile
 * @full: there is no room for its min
 * @small: its min or max is more than the RAM that it has so far
 * @salt: its salt is the old one
 */
struct refusal {
	const struct guest *guest;
	bool ended;
	bool full;
	bool small;
	bool salt;
};

static void refused(void *data, const char *file, const char *value, int error)
{
	struct refusal *refusal = data;
	const char *name = refusal->guest->name;

	refusal->salt |= !strcmp(file, "salt");
	switch (error) {
	case -ENODEV:
		refusal->ended = true;
		break;
	case -ENOENT:
		if (refusal->guest->element)
			note_missing(file);
		break;
	case -ENOSPC:
		refusal->full = true;
		if (!refusal->guest->refused)
			log_error("guest %s: %s = %s: it does not fit into what is unreserved, "
				  "less what cannot be taken from others; it is tried again when "
				  "another guest has ended",
				  name, file, value);
		break;
	case -EINVAL:
	case -ERANGE:
		if ((strcmp(file, "min_bytes") && strcmp(file, "max_bytes")) ||
		    strtoull(value, NULL, 10) <= refusal->guest->size) {
			log_error("guest %s: %s = %s: the kernel does not take this value", name,
				  file, value);
			break;
		}
		refusal->small = true;
		if (!refusal->guest->small)
			log_notice("guest %s: %s = %s: the kernel knows of %" PRIu64
				   " MiB that it has; it is tried again when that is more",
				   name, file, value, refusal->guest->size >> 20);
		break;
	default:
		log_error("guest %s: %s = %s: %s", name, file, value, strerror(-error));
		break;
	}
}

/*
 * What the XML says holds, and what it leaves out is at its default; but a guest
 * whose XML says nothing at all is somebody else's to set, and so are the switches of
 * which it says nothing, and did not: sharing that was stopped by hand does not begin again.
 * One that is to start with less than its size is not to have more, unless its XML says how
 * much.  What others were @promised, in bytes, its min cannot take.
 */
static void apply(struct guest *guest, uint64_t promised)
{
	bool limited = guest->current && !*guest->settings.text[MRM_MAX];
	bool whole = guest->element || guest->managed;
	struct refusal refusal = { .guest = guest };
	struct mrm_settings all = guest->settings;
	uint64_t max = guest->current, min;
	bool said = guest->refused;
	int i;

	if (!guest->listed)
		return;
	if (!whole && !limited && !guest->limited) {
		/* What its XML said may not be undone yet. */
		sharing_apply(guest);
		return;
	}
	if (limited) {
		min = mrm_settings_bytes(&all, MRM_MIN);
		snprintf(all.text[MRM_MAX], sizeof(all.text[MRM_MAX]), "%" PRIu64 "KiB",
			 (max > min ? max : min) >> 10);
	}
	for (i = 0; i < MRM_SETTINGS; i++)
		all.given[i] = whole || i == MRM_MAX;
	all.given[MRM_LARGE] = guest->large || *all.text[MRM_LARGE];
	guest->large = *all.text[MRM_LARGE];
	/* It may take long, see below.  To stop it comes before another salt. */
	all.given[MRM_SHARE] = false;
	guest->salt_later = all.given[MRM_SALT] && sharing_stops(guest);
	all.given[MRM_SALT] &= !guest->salt_later;
	guest->size = read_or_0(guest, "size_bytes");
	mrm_settings_apply(module_root(), &guest->vm, &all, promised, refused, &refusal);
	guest->small = refusal.small;
	guest->managed = guest->element;
	guest->limited = limited;
	guest->refused = refusal.full;
	if (refusal.ended)
		guest->listed = false;
	else if (!guest->salt_later && !refusal.small && (!refusal.full || !said))
		log_info("guest %s (pid %d): shares %s, min %s, max %s, %s%s%s", guest->name,
			 (int)guest->pid, *all.text[MRM_SHARES] ? all.text[MRM_SHARES] : "normal",
			 *all.text[MRM_MIN] ? all.text[MRM_MIN] : "0",
			 *all.text[MRM_MAX] ? all.text[MRM_MAX] : "its size",
			 *all.text[MRM_SALT] ? "with a salt" : "no salt",
			 mrm_settings_off(&all, MRM_SHARE) ? ", not shared" : "",
			 mrm_settings_off(&all, MRM_LARGE) ? ", no large pages" : "");
	/* Under its old salt it does not begin to. */
	if (!refusal.salt || mrm_settings_off(&all, MRM_SHARE))
		sharing_apply(guest);
}

static int tell_file(const struct guest *guest, const char *file, const char *value)
{
	int error = mrm_vm_write(module_root(), &guest->vm, file, value);

	if (error == -ENOENT)
		note_missing(file);
	else if (error && error != -ENODEV)
		log_error("guest %s: %s = %s: %s", guest->name, file, value, strerror(-error));
	return error;
}

/* It could give, and does not: worth a line when that begins and when it ends. */
static bool is_idle(enum balloon_state state)
{
	return state == BALLOON_UNRESPONSIVE || state == BALLOON_DRIVERLESS;
}

/* Tell the kernel what the balloon holds. */
static void tell(struct guest *guest, uint64_t now)
{
	const struct balloon *balloon = &guest->balloon;
	enum balloon_state state = balloon_state(balloon, now), before = guest->told_state;
	uint64_t bytes = balloon->size > balloon->actual ? balloon->size - balloon->actual : 0;
	char number[24];

	if (!guest->known)
		return;
	if (state != before && (is_idle(state) || is_idle(before)))
		log_line(is_idle(state) ? SD_WARNING : SD_NOTICE,
			 "guest %s: balloon %s: it holds %" PRIu64 " of %" PRIu64
			 " MiB, and should hold %" PRIu64,
			 guest->name, balloon_state_names[state], bytes >> 20, balloon->size >> 20,
			 guest->hold >> 20);
	if (guest->listed && (bytes != guest->told_bytes || !before)) {
		snprintf(number, sizeof(number), "%" PRIu64, bytes);
		tell_file(guest, "balloon_bytes", number);
	}
	if (guest->listed && state != before)
		tell_file(guest, "balloon_state", balloon_state_names[state]);
	guest->told_bytes = bytes;
	guest->told_state = state;
}

/* What the kernel wants of this balloon.  Without a word from it, it is let go. */
static void aim(struct guest *guest)
{
	struct balloon *balloon = &guest->balloon;
	int error = -ENOENT;

	guest->hold = 0;
	if (guest->listed)
		error = mrm_vm_read_u64(module_root(), guest->pid, "balloon_target_bytes",
					&guest->hold);
	guest->aimed = !error;
	if (!error)
		balloon_goal(balloon, guest->hold, read_or_0(guest, "min_bytes"));
	else
		balloon->goal = guest->steered ? balloon->size : balloon->actual;
}

static const struct mrm_vm *find(const struct mrm_vms *vms, pid_t pid)
{
	size_t i;

	for (i = 0; i < vms->count; i++)
		if (vms->vm[i].pid == pid)
			return &vms->vm[i];
	return NULL;
}

/* Find a guest in the kernel's list, and see to it if it is new there. */
static void join(struct guest *guest, const struct mrm_vms *vms)
{
	const struct mrm_vm *vm = guest->known ? find(vms, guest->pid) : NULL;

	if (!vm) {
		guest->listed = false;
		return;
	}
	if (guest->listed && guest->vm.node == vm->node)
		return;
	if (guest->vm.pid != vm->pid || guest->vm.node != vm->node) {
		guest->sharing_said = false;
		guest->sharing_busy = false;
		/* Who stopped it before us may have died half-way. */
		guest->sharing_unsure = true;
		guest->large = false;
		guest->small = false;
	}
	guest->vm = *vm;
	guest->listed = true;
	guest->told_state = BALLOON_NONE;
	/* An mrmd before us has told it something. */
	guest->steered |= read_or_0(guest, "balloon_bytes") != 0;
	/* It has been admitted beside all that was promised to others. */
	apply(guest, 0);
	control_started(guest->name, guest->seen);
	guest->seen = false;
}

static uint64_t promised_beside(const struct guest *guest)
{
	return control_promised(guest->pid, mrm_settings_bytes(&guest->settings, MRM_MIN));
}

/**
 * guest_apply() - apply the settings of a guest again
 * @guest: the guest
 */
void guest_apply(struct guest *guest)
{
	apply(guest, promised_beside(guest));
}

static int read_vms(struct mrm_vms *vms)
{
	int error = 0;

	memset(vms, 0, sizeof(*vms));
	if (module_root())
		error = mrm_vms_read(module_root(), vms, 0);
	if (error && error != -ENODEV)
		log_error("the list of VMs: %s", strerror(-error));
	return error;
}

/**
 * guests_swap() - look again at who needs a swap file
 */
void guests_swap(void)
{
	struct mrm_vms vms;

	if (!read_vms(&vms))
		swap_vms(&vms);
	mrm_vms_free(&vms);
}

static const struct guest *guest_of(const struct mrm_vm *vm)
{
	const struct guest *guest = guests;

	while (guest && (!guest->listed || guest->vm.pid != vm->pid || guest->vm.node != vm->node))
		guest = guest->next;
	return guest;
}

/**
 * guests_pinned() - whether a VM's owner says that nothing can be taken from it
 * @vm: the VM
 *
 * The kernel says so, too, but only where it looks for pages to share.
 *
 * Return: true if it is locked or has a device.
 */
bool guests_pinned(const struct mrm_vm *vm)
{
	const struct guest *guest = guest_of(vm);

	return guest && guest->pinned;
}

/**
 * guests_settled() - whether a VM's min and max are what its owner asked for
 * @vm: the VM
 *
 * Return: false while libvirt, whose guest it is, has not told of it.
 */
bool guests_settled(const struct mrm_vm *vm)
{
	char name[NAME_MAX + 1], called[MRM_TEXT_MAX];

	if (guest_of(vm))
		return true;
	/* As a rule QEMU was told the domain's name: not all the others' files are looked at. */
	if (module_root() &&
	    !mrm_vm_read_text(module_root(), vm->pid, "name", called, sizeof(called)) &&
	    !strchr(called, '/') && mrm_libvirt_pid(called) == vm->pid)
		return false;
	return !mrm_libvirt_name(vm->pid, name, sizeof(name));
}

/**
 * guests_vms() - VMs have come or gone in the kernel's list
 */
void guests_vms(void)
{
	struct guest *guest;
	struct mrm_vms vms;
	int error;

	error = read_vms(&vms);
	for (guest = guests; guest; guest = guest->next) {
		bool refused = guest->listed && guest->refused;

		join(guest, &vms);
		if (refused && guest->listed)
			guest_apply(guest);
		aim(guest);
	}
	/* Now that their min and max are known. */
	if (!error)
		swap_vms(&vms);
	mrm_vms_free(&vms);
	drive();
}

/**
 * guests_balance() - the kernel has new targets
 */
void guests_balance(void)
{
	uint64_t free = 0, min_free = 0;
	struct guest *guest;

	mrm_read_u64(module_root()->fd, "free_bytes", &free);
	mrm_read_u64(module_root()->fd, "min_free_bytes", &min_free);
	round_begin(&rebalance, free, min_free);
	for (guest = guests; guest; guest = guest->next) {
		/* QEMU gives KVM one piece of it after the other. */
		if (guest->listed && guest->small && read_or_0(guest, "size_bytes") != guest->size)
			guest_apply(guest);
		aim(guest);
	}
	drive();
	/* Or a VM has another min or max. */
	swap_bounds();
}

/**
 * guests_module() - the module has come or gone
 */
void guests_module(void)
{
	struct guest *guest;

	for (guest = guests; guest; guest = guest->next)
		guest->listed = false;
	guests_vms();
	if (module_root())
		guests_balance();
}

/* Do the next thing for a guest.  Returns when it wants to be looked at again. */
static uint64_t drive_one(struct guest *guest, unsigned int giving, uint64_t now)
{
	uint64_t before = guest->balloon.asked ? guest->balloon.asked : guest->balloon.actual;
	struct balloon_step step;

	if (guest->busy)
		return balloon_wait(&guest->balloon, now);
	/* A balloon that the kernel says nothing about is only looked at. */
	if (!guest->aimed && !guest->steered && guest->balloon.driver)
		return 0;
	step = balloon_next(&guest->balloon, round_credit(&rebalance, giving), now);
	if (step.what == BALLOON_REST)
		return step.again_ms;
	guest->busy = true;
	if (step.what == BALLOON_LOOK) {
		guest->driver->look(guest);
		return step.again_ms;
	}
	if (step.keep > before)
		round_granted(&rebalance, step.keep - before);
	guest->steered = true;
	guest->driver->set(guest, step.keep);
	return step.again_ms;
}

static void say_status(void)
{
	static char said[128];
	char text[sizeof(said)];
	unsigned int count = 0, listed = 0;
	struct guest *guest;

	for (guest = guests; guest; guest = guest->next) {
		count += guest->known;
		listed += guest->known && guest->listed;
	}
	snprintf(text, sizeof(text), "%u guests, %u of them served by kvm_mrm%s", count, listed,
		 module_root() ? "" : ", which is not loaded");
	if (strcmp(text, said))
		sd_notifyf(0, "STATUS=%s", text);
	strcpy(said, text);
}

/* Those that give come first; the others get what there is. */
static void drive(void)
{
	uint64_t now = now_ms(), again = UINT64_MAX, one;
	unsigned int giving = 0, pass;
	struct guest *guest;

	for (pass = 0; pass < 2; pass++) {
		for (guest = guests; guest; guest = guest->next) {
			bool gives = guest->balloon.goal < guest->balloon.actual;

			if (!guest->known || gives != !pass)
				continue;
			one = drive_one(guest, giving, now);
			if (one && one < again)
				again = one;
			giving += !pass && balloon_gives(&guest->balloon);
			tell(guest, now);
		}
	}
	virEventUpdateTimeout(timer, again == UINT64_MAX ? -1
				     : again > now	 ? (int)(again - now)
							 : 0);
	say_status();
}

/**
 * guest_new() - there is a guest
 * @name: its name
 * @driver: how it is reached
 * @handle: the driver's
 *
 * Nothing is done about it before guest_news().
 *
 * Return: the guest, or NULL without memory.
 */
struct guest *guest_new(const char *name, const struct guest_driver *driver, void *handle)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (guest)
		guest->name = strdup(name);
	if (!guest || !guest->name) {
		free(guest);
		log_error("guest %s: out of memory", name);
		return NULL;
	}
	guest->driver = driver;
	guest->handle = handle;
	guest->next = guests;
	guests = guest;
	return guest;
}

/**
 * guest_drop() - a guest has ended
 * @guest: freed
 */
void guest_drop(struct guest *guest)
{
	struct guest **where = &guests;

	while (*where != guest)
		where = &(*where)->next;
	*where = guest->next;
	free(guest->name);
	free(guest);
	drive();
}

/**
 * guest_news() - what the driver knows of a guest, in the beginning and whenever it
 * has changed
 * @guest: the guest
 * @news: what it knows
 */
void guest_news(struct guest *guest, const struct guest_news *news)
{
	struct balloon *balloon = &guest->balloon;
	struct mrm_vms vms;
	bool listed;
	int error;

	if (!balloon->size || guest->pid != news->pid) {
		guest->listed = false;
		balloon_init(balloon, news->size, news->actual, news->device, now_ms());
	} else {
		balloon->size = news->size;
		balloon->device = news->device;
		balloon_actual(balloon, news->actual, now_ms());
		/* It may not have been told. */
		balloon->asked = 0;
	}
	guest->pid = news->pid;
	guest->known = true;
	guest->pinned = news->pinned;
	guest->element = news->element;
	guest->settings = news->settings;
	guest->current = news->current;
	listed = guest->listed;
	error = read_vms(&vms);
	join(guest, &vms);
	if (listed && guest->listed) {
		/* Of another min it is said again that there is no room. */
		guest->refused = false;
		guest_apply(guest);
	}
	/* What was promised for its file when it was admitted has just been let go. */
	if (!error)
		swap_vms(&vms);
	mrm_vms_free(&vms);
	aim(guest);
	drive();
}

/**
 * guest_actual() - a guest's balloon has moved
 * @guest: the guest
 * @actual: what it has now, in bytes
 */
void guest_actual(struct guest *guest, uint64_t actual)
{
	round_given(&rebalance, guest->balloon.actual, actual);
	balloon_actual(&guest->balloon, actual, now_ms());
	aim(guest);
	drive();
}

/**
 * guest_rebooted() - a guest has been reset
 * @guest: the guest
 */
void guest_rebooted(struct guest *guest)
{
	balloon_reboot(&guest->balloon, now_ms());
	drive();
}

/**
 * guest_set_done() - a balloon was told, or could not be
 * @guest: its guest
 * @problem: why not, or NULL
 */
void guest_set_done(struct guest *guest, const char *problem)
{
	guest->busy = false;
	if (problem)
		log_warning("guest %s: its balloon cannot be set: %s", guest->name, problem);
	drive();
}

/**
 * guest_looked() - a driver was looked for
 * @guest: in this guest
 * @last_update: when it was last heard, in seconds, 0 for never; NULL when that
 *               cannot be known
 */
void guest_looked(struct guest *guest, const uint64_t *last_update)
{
	guest->busy = false;
	if (last_update)
		balloon_stats(&guest->balloon, *last_update, now_ms());
	drive();
}
