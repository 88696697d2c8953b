// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a guest's memory is shared, if its XML says so.  To stop that the kernel copies all
 * that is shared, and waits for the guest's process: in a thread (work.h).
 */
#include <errno.h>
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

	while (guest && !(guest->listed && guest->vm.pid == vm->pid && guest->vm.node == vm->node))
		guest = guest->next;
	return guest;
}

static void tell_done(struct work *work)
{
	struct telling *telling = (struct telling *)work;
	struct guest *guest = find(&telling->vm);

	close(telling->root.fd);
	if (guest) {
		guest->sharing_busy = false;
		if (telling->error && telling->error != -ENODEV)
			log_error("guest %s: share = %s: %s", guest->name,
				  mrm_settings_off(&telling->settings, MRM_SHARE) ? "0" : "1",
				  strerror(-telling->error));
		else
			strcpy(guest->sharing, telling->settings.text[MRM_SHARE]);
		/* Its XML may have changed meanwhile; what failed is not tried again for it. */
		if (!telling->error)
			sharing_apply(guest);
	}
	free(telling);
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

	if (!guest->listed || guest->sharing_busy || !strcmp(wanted, guest->sharing))
		return;
	telling = calloc(1, sizeof(*telling));
	if (telling)
		telling->root = *module_root();
	if (!telling || (telling->root.fd = dup(telling->root.fd)) < 0) {
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
