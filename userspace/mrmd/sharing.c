// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a guest's memory is shared, if its XML says so.  To stop that the kernel copies all
 * that is shared, and waits for the guest's process: in a thread (work.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "log.h"
#include "module.h"
#include "sharing.h"
#include "work.h"

/**
 * struct telling - a guest's switch on its way to the kernel
 * @work: how it gets there
 * @root: the module's files, opened for it alone
 * @vm: tells which
 * @settings: the switch
 * @error: what came of it, negative
 */
struct telling {
	struct work work;
	struct mrm_root root;
	struct mrm_vm vm;
	struct mrm_settings settings;
	int error;
};

static void refused(void *data, const char *file, const char *value, int error)
{
	(void)data;
	(void)file;
	(void)value;
	(void)error;
}

static void tell_run(struct work *work)
{
	struct telling *telling = (struct telling *)work;

	telling->error = mrm_settings_apply(&telling->root, &telling->vm, &telling->settings, 0,
					    refused, NULL);
}

static struct guest *find(const struct mrm_vm *vm)
{
	struct guest *guest = guests;

	while (guest && !(guest->vm.pid == vm->pid && guest->vm.node == vm->node))
		guest = guest->next;
	return guest;
}

static void tell_done(struct work *work)
{
	struct telling *telling = (struct telling *)work;
	const char *told = telling->settings.text[MRM_SHARE];
	struct guest *guest = find(&telling->vm);

	close(telling->root.fd);
	if (guest) {
		guest->sharing_busy = false;
		guest->sharing_said = *told || telling->error;
		/* To stop it may have failed half-way, and the kernel's file says 0 then, too. */
		guest->sharing_unsure = telling->error;
		if (telling->error && telling->error != -ENODEV)
			log_error("guest %s: share = %s: %s", guest->name,
				  mrm_settings_off(&telling->settings, MRM_SHARE) ? "0" : "1",
				  strerror(-telling->error));
		/* What failed is tried again when something changes. */
		if ((guest->salt_later && !telling->error) ||
		    strcmp(told, guest->settings.text[MRM_SHARE]))
			guest_apply(guest);
	}
	free(telling);
}

/* Has the kernel what the XML says? */
static bool agrees(const struct guest *guest)
{
	uint64_t shares;

	return !guest->sharing_unsure &&
	       !mrm_vm_read_u64(module_root(), guest->pid, "share", &shares) &&
	       !shares == mrm_settings_off(&guest->settings, MRM_SHARE);
}

/**
 * sharing_stops() - whether sharing is still to be stopped
 * @guest: a guest that the kernel has in its list
 *
 * Return: true; then its salt is not changed before.
 */
bool sharing_stops(const struct guest *guest)
{
	return mrm_settings_off(&guest->settings, MRM_SHARE) &&
	       (guest->sharing_busy || !agrees(guest));
}

/**
 * sharing_apply() - have a guest's memory shared, or not, as its XML says
 * @guest: the guest
 *
 * What the XML leaves out is at its default again if it said something before; else it is
 * somebody else's to set.
 */
void sharing_apply(struct guest *guest)
{
	const char *wanted = guest->settings.text[MRM_SHARE];
	struct telling *telling;

	if (!guest->listed || guest->sharing_busy || (!*wanted && !guest->sharing_said))
		return;
	if (agrees(guest)) {
		guest->sharing_said = *wanted;
		return;
	}
	telling = calloc(1, sizeof(*telling));
	if (telling)
		telling->root = *module_root();
	if (!telling || (telling->root.fd = fcntl(telling->root.fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		log_error("guest %s: share: %s", guest->name, strerror(errno));
		free(telling);
		return;
	}
	telling->work.run = tell_run;
	telling->work.done = tell_done;
	telling->work.class = WORK_MODULE;
	telling->vm = guest->vm;
	telling->settings.given[MRM_SHARE] = true;
	strcpy(telling->settings.text[MRM_SHARE], wanted);
	guest->sharing_busy = true;
	work_start(&telling->work);
}
