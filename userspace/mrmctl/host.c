// SPDX-License-Identifier: GPL-2.0
/* mrmctl host - the counters of the whole host. */
#include <inttypes.h>
#include <stdio.h>

#include "json_out.h"
#include "mrmctl.h"

static void print_counter(const struct mrm_host *host, enum mrm_host_counter i)
{
	const struct mrm_counter *counter = &mrm_host_counters[i];
	char text[MRM_UNIT_MAX], percent[MRM_UNIT_MAX];

	if (!host->have[i]) {
		printf("%-28s%12s\n", counter->words, "-");
		return;
	}
	printf("%-28s%12s", counter->words,
	       mrm_format_value(text, sizeof(text), counter->unit, host->value[i]));
	if (counter->unit == MRM_PAGES)
		printf(" %12" PRIu64 " pages", host->value[i]);
	if (i == MRM_HOST_SAVED_PAGES && host->value[MRM_HOST_RESIDENT_PAGES])
		printf(", %s of what is resident",
		       mrm_format_percent(percent, sizeof(percent), host->value[i],
					  host->value[MRM_HOST_RESIDENT_PAGES]));
	putchar('\n');
}

static int run(const struct options *options, int argc, char **argv)
{
	struct mrm_host host;
	struct mrm_root root;
	int status, error, i;

	(void)argc;
	(void)argv;
	status = open_root(options, &root);
	if (status)
		return status;
	error = mrm_host_read(&root, &host);
	mrm_close(&root);
	if (error)
		return complain_read("counters of the host", error);
	if (options->json)
		return json_finish(json_from_host(&host), true);
	printf("%-28s%12s\n", "State", *host.state ? host.state : "-");
	for (i = 0; i < MRM_HOST_NR; i++)
		print_counter(&host, i);
	return STATUS_OK;
}

const struct command command_host = {
	.name = "host",
	.arguments = "",
	.summary = "show the counters of the whole host",
	.help = "Shows what all VMs of this host use, share and save together, what the scanner has\n"
		"done since the module was loaded, and what kvm_mrm itself costs.\n",
	.options = "",
	.run = run,
};
