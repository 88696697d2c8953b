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
 * note_copy() - say so when it is not this host that is changed
 * @options: from the command line
 * @root: the open tree
 */
void note_copy(const struct options *options, const struct mrm_root *root)
{
	if (!root->live)
		complain("note: %s is a saved copy; this host is not changed", options->sysfs);
}

/**
 * complain_write() - say why the kernel did not take a value
 * @what: was to be set
 * @error: negative error number
 *
 * Return: STATUS_FAILED.
 */
int complain_write(const char *what, int error)
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

static void complain_choices(const char *who, const struct mrm_tunable *tunable, const char *value)
{
	char words[128];
	size_t length = 0;
	uint64_t i;

	for (i = 0; i <= tunable->max && length < sizeof(words); i++)
		length += snprintf(words + length, sizeof(words) - length, "%s%s", i ? " or " : "",
				   tunable->choices[i]);
	complain("%s \"%s\" for %s: it takes %s", who, value, tunable->name, words);
}

static void complain_range(const char *who, const struct mrm_tunable *tunable, const char *value)
{
	char least[8] = "", most[24];

	if (tunable->choices) {
		complain_choices(who, tunable, value);
		return;
	}
	if (tunable->least)
		snprintf(least, sizeof(least), "0, or ");
	if (tunable->max == UINT64_MAX)
		snprintf(most, sizeof(most), "what the host has");
	else
		snprintf(most, sizeof(most), "%" PRIu64, tunable->max);
	complain("%s \"%s\" for %s: it takes %sa whole number from %" PRIu64 " to %s%s%s", who,
		 value, tunable->name, least, tunable->least ? tunable->least : tunable->min, most,
		 *tunable->unit ? ", in " : "", tunable->unit);
}

static int set_tunable(const struct options *options, const struct mrm_tunable *tunable,
		       const char *value)
{
	struct mrm_root root;
	char number[MRM_TUNABLE_MAX];
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
	error = mrm_write_text(root.fd, tunable->name, mrm_tunable_format(tunable, parsed, number));
	mrm_close(&root);
	if (error == -EINVAL || error == -ERANGE) {
		complain_range("the kernel refuses", tunable, value);
		return STATUS_FAILED;
	}
	return error ? complain_write(tunable->name, error) : STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
	const struct mrm_tunable *tunable = mrm_tunable_find(argv[0]);

	if (argc == 2 && !strchr(argv[1], '=')) {
		if (tunable && (options->live || options->config)) {
			complain("--live and --config are for guests of libvirt");
			return STATUS_USAGE;
		}
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
	return set_vm(options, argv[0], argc - 1, argv + 1);
}

const struct command command_set = {
	.name = "set",
	.arguments = "[--live | --config] NAME VALUE | VM KEY=VALUE...",
	.summary = "change a tunable, or a VM's settings",
	.help = "Sets the tunable NAME to VALUE, or settings of a VM, which is a name or a pid:\n"
		"\n"
		"  shares=N            a number, or high, normal, low: 20, 10, 5 for each MB\n"
		"  min=SIZE            what the VM has always, such as 512MiB\n"
		"  max=SIZE            what it never has more of, such as 2GiB\n"
		"  salt=STRING         share with VMs of the same salt only\n"
		"  share=on|off        whether the VM's memory may be shared\n"
		"  large=on|off        whether it may be in large pages, of 2 MiB\n"
		"\n"
		"Without a value, a setting is at its default again.  For a guest of libvirt they\n"
		"are kept in its XML, and hold for the running guest at once:\n"
		"\n"
		"  --live              for the running guest only\n"
		"  --config            from its next start on only\n"
		"\n"
		"Options come before the arguments.  Only root may set.  Nothing else that is set\n"
		"here outlives the module or the VM.\n",
	.options = "LC",
	.min = 2,
	.max = INT_MAX,
	.in_order = true,
	.run = run,
};
