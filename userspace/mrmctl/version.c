// SPDX-License-Identifier: GPL-2.0
/* mrmctl version - of the tool and of the module. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "mrmctl.h"
#include "text.h"

/* Beside the module's own tree, in a saved copy too. */
#define MODULE_VERSION_FILE "../../module/kvm_mrm/version"

static int run(const struct options *options, int argc, char **argv)
{
	char module[MRM_TEXT_MAX] = "";
	bool loaded = false;
	struct mrm_root root;
	char *safe;

	(void)argc;
	(void)argv;
	if (!mrm_open(&root, options->sysfs)) {
		loaded = true;
		if (mrm_read_text(root.fd, MODULE_VERSION_FILE, module, sizeof(module)))
			*module = '\0';
		mrm_close(&root);
	}
	if (options->json) {
		struct json_object *object = json_object_new_object();

		json_add(object, "mrmctl", json_object_new_string(MRM_VERSION));
		json_add(object, "loaded", json_object_new_boolean(loaded));
		json_add(object, "kvm_mrm", *module ? json_object_new_string(module) : NULL);
		return json_finish(object, true);
	}
	safe = mrm_escape_dup(*module ? module : "of unknown version");
	printf("mrmctl %s\nkvm_mrm %s\n", MRM_VERSION, !loaded ? "not loaded" : safe ? safe : "?");
	free(safe);
	return STATUS_OK;
}

const struct command command_version = {
	.name = "version",
	.arguments = "",
	.summary = "show the versions of mrmctl and kvm_mrm",
	.help = "Shows the version of mrmctl, and that of the module if it is loaded.\n",
	.options = "",
	.run = run,
};
