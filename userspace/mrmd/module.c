// SPDX-License-Identifier: GPL-2.0
/*
 * The module: its files, their changes, and whether it is there at all.
 *
 * inotify says nothing about sysfs.  The kernel sends an event when a module has
 * been initialised, and when it goes; from the kernel itself and not from udev, so
 * that nobody has to run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libudev.h>
#include <libvirt/libvirt.h>

#include "guest.h"
#include "log.h"
#include "module.h"
#include "signed.h"

/**
 * struct watch - a file that wakes us
 * @file: its name
 * @changed: called then, and in the beginning
 * @fd: -1 while it is not open
 * @handle: of the event loop
 */
struct watch {
	const char *file;
	void (*changed)(void);
	int fd;
	int handle;
};

static const char *directory;
static struct mrm_root root = { .fd = -1 };
static struct udev_monitor *monitor;

static struct watch watches[] = {
	{ .file = "vms", .changed = guests_vms, .fd = -1 },
	{ .file = "balances", .changed = guests_balance, .fd = -1 },
};

static void changed(int handle, int fd, int events, void *data)
{
	struct watch *watch = data;
	uint64_t value;

	(void)handle;
	(void)events;
	/* Reading it is what makes the next change wake us; if it fails, the module is going. */
	if (mrm_watch_value(fd, &value)) {
		virEventUpdateHandle(watch->handle, 0);
		return;
	}
	watch->changed();
}

static void watch_close(struct watch *watch)
{
	if (watch->fd < 0)
		return;
	virEventRemoveHandle(watch->handle);
	close(watch->fd);
	watch->fd = -1;
}

static void watch_open(struct watch *watch)
{
	uint64_t value;

	watch->fd = mrm_watch_open(&root, watch->file);
	if (watch->fd < 0) {
		log_notice("this kvm_mrm has no file %s: it is older than mrmd", watch->file);
		return;
	}
	mrm_watch_value(watch->fd, &value);
	/* A change of a file in sysfs is POLLERR and POLLPRI; libvirt's loop knows the former. */
	watch->handle = virEventAddHandle(watch->fd, VIR_EVENT_HANDLE_ERROR, changed, watch, NULL);
	if (watch->handle < 0) {
		close(watch->fd);
		watch->fd = -1;
		log_error("changes of %s cannot be waited for", watch->file);
	}
}

static void forget(void)
{
	size_t i;

	for (i = 0; i < sizeof(watches) / sizeof(watches[0]); i++)
		watch_close(&watches[i]);
	mrm_close(&root);
}

/* Have it as it is now. */
static void look(void)
{
	bool before = root.fd >= 0;
	size_t i;
	int error;

	forget();
	error = mrm_open(&root, directory);
	if (error) {
		if (before)
			log_notice("kvm_mrm has been unloaded; its guests' balloons are let go");
		else if (error != -ENOENT)
			log_error("%s: %s", directory, strerror(-error));
	} else {
		log_notice("kvm_mrm is loaded");
		for (i = 0; i < sizeof(watches) / sizeof(watches[0]); i++)
			watch_open(&watches[i]);
	}
	guests_module();
}

static void uevent(int handle, int fd, int events, void *data)
{
	struct udev_device *device;
	bool ours = false;

	(void)handle;
	(void)fd;
	(void)events;
	(void)data;
	while ((device = udev_monitor_receive_device(monitor))) {
		const char *name = udev_device_get_sysname(device);

		ours |= name && !strcmp(name, "kvm_mrm");
		udev_device_unref(device);
	}
	if (ours)
		look();
}

/* Why it may have been refused, as far as we may see; mrmctl, as root, sees more. */
static const char *why_not_loaded(void)
{
	if (!mrm_signed_modules_only(""))
		return "";
	return ", and this kernel takes only modules signed with a key that it knows: "
	       "\"mrmctl doctor\" tells what to do";
}

/**
 * module_init() - find the module, and notice when it comes and goes
 * @sysfs: where its files are when it is loaded
 *
 * Return: 0, or a negative error.
 */
int module_init(const char *sysfs)
{
	struct udev *udev = udev_new();

	directory = sysfs;
	monitor = udev ? udev_monitor_new_from_netlink(udev, "kernel") : NULL;
	udev_unref(udev);
	if (!monitor ||
	    udev_monitor_filter_add_match_subsystem_devtype(monitor, "module", NULL) < 0 ||
	    udev_monitor_enable_receiving(monitor) < 0)
		return -EIO;
	if (virEventAddHandle(udev_monitor_get_fd(monitor), VIR_EVENT_HANDLE_READABLE, uevent, NULL,
			      NULL) < 0)
		return -ENOMEM;
	look();
	if (root.fd < 0)
		log_notice("kvm_mrm is not loaded%s; waiting for it", why_not_loaded());
	return 0;
}

/**
 * module_root() - its files
 *
 * Return: the open tree, or NULL while the module is not loaded.
 */
const struct mrm_root *module_root(void)
{
	return root.fd < 0 ? NULL : &root;
}
