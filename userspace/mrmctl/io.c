// SPDX-License-Identifier: GPL-2.0
/* mrmctl io - what is copied for devices that do not reach it, and what was done about it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "mrmctl.h"
#include "table.h"
#include "units.h"

#define IO_WANT                                                            \
	(MRM_WANT(MRM_VM_IO_BOUNCES) | MRM_WANT(MRM_VM_IO_BOUNCED_BYTES) | \
	 MRM_WANT(MRM_VM_IO_REMAPPED) | MRM_WANT(MRM_VM_IO_RETURNED) |     \
	 MRM_WANT(MRM_VM_IO_LOW_BYTES) | MRM_WANT_TEXT(MRM_VM_NAME))

#define WORDS_MAX 7

/**
 * struct lines - a file of debugfs: lines of so many words each
 * @name: its name there
 * @words: how many
 * @column: what they are, for a table
 * @key: the same, for programs
 * @is_text: of these, those that are no numbers
 * @what: it lists, for people
 */
struct lines {
	const char *name;
	int words;
	struct mrm_column column[WORDS_MAX];
	const char *key[WORDS_MAX];
	unsigned int is_text;
	const char *what;
};

static const struct lines devices = {
	.name = "io_devices",
	.words = 7,
	.column = { { "DEVICE" },
		    { "REACHES", true },
		    { "COPIES", true },
		    { "BYTES", true },
		    { "MOVED", true },
		    { "BACK", true },
		    { "LOW", true } },
	.key = { "device", "reaches", "copies", "bytes", "moved_pages", "returned_pages",
		 "low_pages" },
	.is_text = 1 << 0,
	.what = "devices",
};

static const struct lines hottest = {
	.name = "io_hottest",
	.words = 4,
	.column = { { "PID", true }, { "ADDRESS", true }, { "COPIES", true }, { "DEVICE" } },
	.key = { "pid", "address", "copies", "device" },
	.is_text = 1 << 3,
	.what = "hottest_pages",
};

/* The words of the next line; false behind the last, or where there are fewer. */
static bool next_line(const struct lines *lines, char **text, char *word[WORDS_MAX])
{
	char *line = strsep(text, "\n");
	int i;

	for (i = 0; i < lines->words; i++) {
		word[i] = line ? strsep(&line, " ") : NULL;
		if (!word[i] || !*word[i])
			return false;
	}
	return true;
}

/* Beside sysfs, in a saved copy too.  0 or an error of open(2). */
static int read_lines(const struct mrm_root *root, const struct lines *lines, char **text)
{
	char path[64];

	snprintf(path, sizeof(path), "../debug/mrm/%s", lines->name);
	return mrm_read_all(root->fd, path, text);
}

static struct json_object *lines_json(const struct lines *lines, char *text)
{
	struct json_object *array = json_object_new_array(), *item;
	char *word[WORDS_MAX];
	int i;

	while (next_line(lines, &text, word)) {
		item = json_object_new_object();
		for (i = 0; i < lines->words; i++)
			json_add(item, lines->key[i],
				 lines->is_text & 1 << i
					 ? json_object_new_string(word[i])
					 : json_object_new_uint64(strtoull(word[i], NULL, 0)));
		json_object_array_add(array, item);
	}
	return array;
}

static int print_lines(const struct lines *lines, char *text)
{
	struct mrm_table table;
	char *word[WORDS_MAX];
	int error, i;

	mrm_table_init(&table, lines->column, lines->words);
	while (next_line(lines, &text, word))
		for (i = 0; i < lines->words; i++)
			mrm_table_add(&table, word[i]);
	error = 0;
	if (mrm_table_rows(&table)) {
		putchar('\n');
		error = mrm_table_print(&table, stdout);
	}
	mrm_table_free(&table);
	return error;
}

static int print_vms(const struct mrm_vms *vms)
{
	static const struct mrm_column columns[] = {
		{ .heading = "NAME" },
		{ .heading = "PID", .right = true },
		{ .heading = "COPIES", .right = true },
		{ .heading = "COPIED", .right = true },
		{ .heading = "MOVED", .right = true },
		{ .heading = "BACK", .right = true },
		{ .heading = "LOW", .right = true },
	};
	static const enum mrm_vm_counter counters[] = {
		MRM_VM_IO_BOUNCES,  MRM_VM_IO_BOUNCED_BYTES, MRM_VM_IO_REMAPPED,
		MRM_VM_IO_RETURNED, MRM_VM_IO_LOW_BYTES,
	};
	struct mrm_table table;
	char text[MRM_UNIT_MAX];
	size_t i, j;
	int error;

	mrm_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < vms->count; i++) {
		const struct mrm_vm *vm = &vms->vm[i];

		mrm_table_add(&table, *vm->text[MRM_VM_NAME] ? vm->text[MRM_VM_NAME] : "-");
		snprintf(text, sizeof(text), "%d", (int)vm->pid);
		mrm_table_add(&table, text);
		for (j = 0; j < sizeof(counters) / sizeof(counters[0]); j++) {
			const struct mrm_counter *counter = &mrm_vm_counters[counters[j]];

			if (!(vm->have & MRM_WANT(counters[j])))
				snprintf(text, sizeof(text), "-");
			else if (counter->unit == MRM_BYTES)
				mrm_format_mib(text, sizeof(text), vm->value[counters[j]]);
			else
				snprintf(text, sizeof(text), "%" PRIu64, vm->value[counters[j]]);
			mrm_table_add(&table, text);
		}
	}
	error = mrm_table_print(&table, stdout);
	mrm_table_free(&table);
	if (!error)
		printf("%zu VM%s, COPIED and LOW in MiB\n", vms->count, vms->count == 1 ? "" : "s");
	return error;
}

/* The files of debugfs, or why they cannot be read. */
struct details {
	char *devices, *hottest;
	int error;
};

static int print_json(const struct mrm_vms *vms, const struct details *d)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < vms->count; i++)
		json_object_array_add(array, json_from_vm(&vms->vm[i], IO_WANT));
	json_add(object, "vms", array);
	json_add(object, devices.what, d->error ? NULL : lines_json(&devices, d->devices));
	json_add(object, hottest.what, d->error ? NULL : lines_json(&hottest, d->hottest));
	return json_finish(object, true);
}

static int print_tables(const struct mrm_vms *vms, const struct details *d)
{
	int error = print_vms(vms);

	if (!error && d->error)
		printf("\nThe devices cannot be read: %s (debugfs must be mounted, and is for "
		       "root)\n",
		       strerror(-d->error));
	else if (!error)
		error = print_lines(&devices, d->devices);
	if (!error && !d->error)
		error = print_lines(&hottest, d->hottest);
	return error ? complain_read("copies", error) : STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
	struct details d = { 0 };
	struct mrm_root root;
	struct mrm_vms vms;
	int status, error;

	(void)argc;
	(void)argv;
	status = open_root(options, &root);
	if (status)
		return status;
	error = mrm_vms_read(&root, &vms, IO_WANT);
	if (!error) {
		d.error = read_lines(&root, &devices, &d.devices);
		if (!d.error)
			d.error = read_lines(&root, &hottest, &d.hottest);
	}
	mrm_close(&root);
	if (error)
		status = complain_read("list of VMs", error);
	else
		status = options->json ? print_json(&vms, &d) : print_tables(&vms, &d);
	free(d.devices);
	free(d.hottest);
	mrm_vms_free(&vms);
	return status;
}

const struct command command_io = {
	.name = "io",
	.arguments = "",
	.summary = "show what is copied for devices that do not reach it",
	.help = "Shows for every VM how often pages of it were copied, as a device does not reach\n"
		"where they are, how much that was, how many pages were moved to where it does,\n"
		"how many went back, and what is kept there now.  For root, when debugfs is\n"
		"mounted, the devices follow, with the last address that each reaches and the same\n"
		"numbers, BYTES in bytes and LOW in pages, and the pages that are copied most often\n"
		"now.  On a host whose devices reach all memory there is nothing to see.  See\n"
		"hot_io_threshold in kvm_mrm(4).\n",
	.options = "",
	.run = run,
};
