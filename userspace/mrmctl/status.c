// SPDX-License-Identifier: GPL-2.0
/* mrmctl status - what mrmd does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "json_out.h"
#include "mrmctl.h"
#include "table.h"
#include "units.h"

static struct json_object *get(struct json_object *object, const char *key)
{
	return json_object_object_get(object, key);
}

static void add_size(struct mrm_table *table, struct json_object *guest, const char *key)
{
	char text[MRM_UNIT_MAX];

	mrm_table_add(table,
		      mrm_format_mib(text, sizeof(text), json_object_get_uint64(get(guest, key))));
}

static int print_guests(struct json_object *guests)
{
	static const struct mrm_column columns[] = {
		{ .heading = "NAME", .max = 32 },
		{ .heading = "PID", .right = true },
		{ .heading = "BY" },
		{ .heading = "SIZE", .right = true },
		{ .heading = "BALLOON", .right = true },
		{ .heading = "TARGET", .right = true },
		{ .heading = "STATE" },
		{ .heading = "SWAP" },
	};
	struct mrm_table table;
	size_t i;
	int error;

	mrm_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < json_object_array_length(guests); i++) {
		struct json_object *guest = json_object_array_get_idx(guests, i);

		mrm_table_add(&table, json_object_get_string(get(guest, "name")));
		mrm_table_add(&table, json_object_get_string(get(guest, "pid")));
		mrm_table_add(&table, json_object_get_string(get(guest, "driver")));
		add_size(&table, guest, "size_bytes");
		add_size(&table, guest, "balloon_bytes");
		add_size(&table, guest, "balloon_target_bytes");
		mrm_table_add(&table, json_object_get_string(get(guest, "balloon_state")));
		/* An mrmd before this did not say. */
		mrm_table_add(&table, get(guest, "swap")
					      ? json_object_get_string(get(guest, "swap"))
					      : "-");
	}
	error = mrm_table_print(&table, stdout);
	mrm_table_free(&table);
	return error ? complain_read("guests", error) : STATUS_OK;
}

static void print_room(struct json_object *answer)
{
	uint64_t starting = json_object_get_uint64(get(answer, "starting_bytes"));
	struct json_object *swap;
	char text[MRM_UNIT_MAX];

	if (starting)
		printf("%s MiB are for guests that are starting\n",
		       mrm_format_mib(text, sizeof(text), starting));
	/* An mrmd before this does not say. */
	if (!json_object_object_get_ex(answer, "swap", &swap))
		return;
	if (!swap) {
		printf("no swap files\n");
		return;
	}
	printf("swap files in %s, where %s MiB are free",
	       json_object_get_string(get(swap, "directory")),
	       mrm_format_mib(text, sizeof(text), json_object_get_uint64(get(swap, "free_bytes"))));
	if (json_object_get_uint64(get(swap, "wiping_bytes")))
		printf("; %s MiB are being wiped",
		       mrm_format_mib(text, sizeof(text),
				      json_object_get_uint64(get(swap, "wiping_bytes"))));
	if (json_object_get_int64(get(swap, "files_not_wiped")))
		printf("; files that could not be wiped: %s",
		       json_object_get_string(get(swap, "files_not_wiped")));
	printf("\n");
}

static int run(const struct options *options, int argc, char **argv)
{
	struct json_object *answer, *request = json_object_new_object();
	int status;

	(void)argc;
	(void)argv;
	json_add(request, "do", json_object_new_string("status"));
	status = ask_mrmd(request, &answer);
	if (status)
		return status;
	if (options->json)
		return json_finish(answer, true);
	printf("mrmd %s, libvirt %s, kvm_mrm %s\n", json_object_get_string(get(answer, "version")),
	       json_object_get_boolean(get(answer, "libvirt")) ? "connected" : "not connected",
	       json_object_get_boolean(get(answer, "kvm_mrm")) ? "loaded" : "not loaded");
	print_room(answer);
	status = print_guests(get(answer, "guests"));
	json_object_put(answer);
	return status;
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "show what mrmd does",
	.help = "Shows whether mrmd has libvirt and kvm_mrm, what room there is for swap files, and\n"
		"for each guest: its size, what its balloon holds and should hold, in MiB; how the\n"
		"balloon is: ok, booting (no driver so far), driverless (none for five minutes),\n"
		"unresponsive (has ignored a target for 20 s), absent, none (without libvirt\n"
		"nobody drives it); and whether it has its swap file: yes, waiting (until its min\n"
		"and max are known), making, no.\n",
	.options = "",
	.run = run,
};
