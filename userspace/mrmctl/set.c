// SPDX-License-Identifier: GPL-2.0
/* mrmctl set - change a tunable, or the settings of a VM. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "mrmctl.h"
#include "tunable.h"

/**
 * struct vm_settings - new settings of a VM
 * @share: "0" or "1", or NULL to leave it alone
 * @salt: empty to clear it, or NULL to leave it alone
 */
struct vm_settings {
	const char *share;
	const char *salt;
};

static void note_copy(const struct options *options, const struct mrm_root *root)
{
	if (!root->live)
		complain("note: %s is a saved copy; this host is not changed", options->sysfs);
}

/* Why the kernel did not take a value.  Returns STATUS_FAILED. */
static int complain_write(const char *what, int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
		complain("%s: not permitted; be root", what);
		break;
	case -EROFS:
		complain("%s: it is in a tree that cannot be written", what);
		break;
	case -ENODEV:
		complain("%s: it has gone meanwhile: \"mrmctl list\" shows what is there", what);
		break;
	default:
		complain("%s: %s", what, strerror(-error));
		break;
	}
	return STATUS_FAILED;
}

static void complain_range(const char *who, const struct mrm_tunable *tunable, const char *value)
{
	complain("%s \"%s\" for %s: it takes a whole number from %" PRIu64 " to %" PRIu64 "%s%s",
		 who, value, tunable->name, tunable->min, tunable->max,
		 *tunable->unit ? ", in " : "", tunable->unit);
}

static int set_tunable(const struct options *options, const struct mrm_tunable *tunable,
		       const char *value)
{
	struct mrm_root root;
	char number[24];
	uint64_t parsed;
	int status, error;

	if (mrm_tunable_parse(tunable, value, &parsed)) {
		complain_range("cannot take", tunable, value);
		return STATUS_USAGE;
	}
	status = open_root(options, &root);
	if (status)
		return status;
	note_copy(options, &root);
	snprintf(number, sizeof(number), "%" PRIu64, parsed);
	error = mrm_write_text(root.fd, tunable->name, number);
	mrm_close(&root);
	if (error == -EINVAL || error == -ERANGE) {
		complain_range("the kernel refuses", tunable, value);
		return STATUS_FAILED;
	}
	return error ? complain_write(tunable->name, error) : STATUS_OK;
}

static int parse_share(const char *value, struct vm_settings *settings)
{
	if (!strcmp(value, "on") || !strcmp(value, "1")) {
		settings->share = "1";
	} else if (!strcmp(value, "off") || !strcmp(value, "0")) {
		settings->share = "0";
	} else {
		complain("share is \"on\" or \"off\", not \"%s\"", value);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static int parse_salt(const char *value, struct vm_settings *settings)
{
	/* A salt is a secret: a complaint does not repeat it. */
	if (mrm_salt_check(value)) {
		complain("a salt is at most %d printable ASCII characters", MRM_SALT_MAX);
		return STATUS_USAGE;
	}
	settings->salt = value;
	return STATUS_OK;
}

/* Understand KEY=VALUE words, all before any of them is done. */
static int parse_settings(int argc, char **argv, struct vm_settings *settings)
{
	int status = STATUS_OK, i;

	for (i = 0; i < argc && !status; i++) {
		if (!strncmp(argv[i], "share=", 6) && !settings->share) {
			status = parse_share(argv[i] + 6, settings);
		} else if (!strncmp(argv[i], "salt=", 5) && !settings->salt) {
			status = parse_salt(argv[i] + 5, settings);
		} else {
			complain("cannot take \"%s\": a VM has share=on|off and salt=STRING, each "
				 "given once",
				 argv[i]);
			status = STATUS_USAGE;
		}
	}
	return status;
}

static int set_one(const struct mrm_root *root, const struct mrm_vm *vm, const char *file,
		   const char *value)
{
	int error;

	if (!value)
		return STATUS_OK;
	error = mrm_vm_write(root, vm, file, value);
	if (error == -EINVAL || error == -ERANGE) {
		complain("%s: the kernel refuses this value", file);
		return STATUS_FAILED;
	}
	return error ? complain_write(file, error) : STATUS_OK;
}

static int set_vm(const struct options *options, const char *who,
		  const struct vm_settings *settings)
{
	bool stop = settings->share && *settings->share == '0';
	struct mrm_root root;
	struct mrm_vm vm;
	int status;

	status = open_root(options, &root);
	if (status)
		return status;
	status = find_vm(&root, who, &vm);
	if (!status) {
		note_copy(options, &root);
		/* With its new setting, the VM must at no moment share under the old salt. */
		if (stop)
			status = set_one(&root, &vm, "share", settings->share);
		if (!status)
			status = set_one(&root, &vm, "salt", settings->salt);
		if (!status && !stop)
			status = set_one(&root, &vm, "share", settings->share);
	}
	mrm_close(&root);
	return status;
}

static int run(const struct options *options, int argc, char **argv)
{
	const struct mrm_tunable *tunable = mrm_tunable_find(argv[0]);
	struct vm_settings settings = { 0 };
	int status;

	if (argc == 2 && !strchr(argv[1], '=')) {
		if (tunable)
			return set_tunable(options, tunable, argv[1]);
		if (!strcmp(argv[0], "share_scan_now"))
			complain("to start a scan, say \"mrmctl scan\"");
		else
			complain("\"%s\" is not a tunable; \"mrmctl get\" lists them", argv[0]);
		return STATUS_USAGE;
	}
	if (tunable && !strchr(argv[1], '=')) {
		complain("%s takes one value", argv[0]);
		return STATUS_USAGE;
	}
	status = parse_settings(argc - 1, argv + 1, &settings);
	return status ? status : set_vm(options, argv[0], &settings);
}

const struct command command_set = {
	.name = "set",
	.arguments = "NAME VALUE | VM KEY=VALUE...",
	.summary = "change a tunable, or a VM's settings",
	.help = "Sets the tunable NAME to VALUE, or settings of a VM, which is a name or a pid:\n"
		"\n"
		"  share=on|off        whether the VM's memory may be shared\n"
		"  salt=STRING         share with VMs of the same salt only; \"salt=\" clears it\n"
		"\n"
		"Options come before the arguments.  Only root may set.  Nothing that is set here\n"
		"outlives the module or the VM.\n",
	.options = "",
	.min = 2,
	.max = INT_MAX,
	.in_order = true,
	.run = run,
};
