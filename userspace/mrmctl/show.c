// SPDX-License-Identifier: GPL-2.0
/* mrmctl show - everything about one VM. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "mrmctl.h"
#include "ranges.h"
#include "table.h"
#include "text.h"
#include "units.h"

static int print_json(const struct mrm_vm *vm, const struct mrm_ranges *ranges, int range_error)
{
	struct json_object *object = json_from_vm(vm, MRM_WANT_ALL);
	struct json_object *array = NULL, *item;
	size_t i;

	if (!range_error) {
		array = json_object_new_array();
		for (i = 0; i < ranges->count; i++) {
			const struct mrm_range *range = &ranges->range[i];

			item = json_object_new_object();
			json_add(item, "start", json_object_new_uint64(range->start));
			json_add(item, "pages", json_object_new_uint64(range->pages));
			json_add(item, "adopted", json_object_new_boolean(range->adopted));
			json_add(item, "reason", json_object_new_string(range->words));
			json_object_array_add(array, item);
		}
	}
	json_add(object, "ranges", array);
	return json_finish(object, true);
}

static void print_words(const char *label, const char *text)
{
	char *safe = mrm_escape_dup(text);

	printf("%-28s%s\n", label, safe ? safe : "?");
	free(safe);
}

static void print_counter(const struct mrm_vm *vm, enum mrm_vm_counter i)
{
	const struct mrm_counter *counter = &mrm_vm_counters[i];
	char text[MRM_UNIT_MAX];

	if (!(vm->have & MRM_WANT(i)))
		print_words(counter->words, "-");
	else if (counter->unit == MRM_PAGES)
		printf("%-28s%12s %12" PRIu64 " pages\n", counter->words,
		       mrm_format_value(text, sizeof(text), counter->unit, vm->value[i]),
		       vm->value[i]);
	else
		printf("%-28s%12s\n", counter->words,
		       mrm_format_value(text, sizeof(text), counter->unit, vm->value[i]));
}

static void print_switch(const struct mrm_vm *vm, enum mrm_vm_counter i)
{
	const char *answer = vm->value[i] ? "yes" : "no";

	print_words(mrm_vm_counters[i].words, vm->have & MRM_WANT(i) ? answer : "-");
}

static void print_vm(const struct mrm_vm *vm)
{
	const char *salt = vm->text[MRM_VM_SALT];
	int i;

	print_words("Name", *vm->text[MRM_VM_NAME] ? vm->text[MRM_VM_NAME] : "-");
	printf("%-28s%d\n", "Process", (int)vm->pid);
	print_words("State of sharing", *vm->text[MRM_VM_STATE] ? vm->text[MRM_VM_STATE] : "-");
	print_switch(vm, MRM_VM_SHARE);
	print_switch(vm, MRM_VM_LARGE);
	if (!(vm->have & MRM_WANT_TEXT(MRM_VM_SALT)))
		salt = "- (root can see it)";
	else if (!*salt)
		salt = "none";
	print_words("Salt", salt);
	if (*vm->text[MRM_VM_REASON])
		print_words("Not all adopted because", vm->text[MRM_VM_REASON]);
	putchar('\n');
	/* Another version of the module may not have those of the balance. */
	for (i = 0; i < MRM_VM_NR; i++)
		if (i != MRM_VM_LARGE &&
		    (i < MRM_VM_SHARE || (i > MRM_VM_SHARE && vm->have & MRM_WANT(i))))
			print_counter(vm, i);
	if (vm->have & MRM_WANT_TEXT(MRM_VM_BALLOON_STATE))
		print_words("Balloon", vm->text[MRM_VM_BALLOON_STATE]);
	if (*vm->text[MRM_VM_SWAP_FILE])
		print_words("Swap file", vm->text[MRM_VM_SWAP_FILE]);
}

static int print_ranges(const struct mrm_ranges *ranges)
{
	static const struct mrm_column columns[] = {
		{ .heading = "START", .right = true },
		{ .heading = "MiB", .right = true },
		{ .heading = "PAGES", .right = true },
		{ .heading = "ADOPTED" },
		{ .heading = "REASON" },
	};
	struct mrm_table table;
	char text[MRM_UNIT_MAX];
	int error;
	size_t i;

	putchar('\n');
	mrm_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < ranges->count; i++) {
		const struct mrm_range *range = &ranges->range[i];

		snprintf(text, sizeof(text), "0x%" PRIx64, range->start);
		mrm_table_add(&table, text);
		mrm_table_add(&table,
			      mrm_format_mib(text, sizeof(text), mrm_pages_to_bytes(range->pages)));
		mrm_table_add(&table,
			      mrm_format_value(text, sizeof(text), MRM_COUNT, range->pages));
		mrm_table_add(&table, range->adopted ? "yes" : "no");
		mrm_table_add(&table, range->words);
	}
	error = mrm_table_print(&table, stdout);
	mrm_table_free(&table);
	return error ? complain_read("ranges", error) : STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
	struct mrm_ranges ranges = { 0 };
	int status, error, range_error;
	struct mrm_root root;
	struct mrm_vm vm;

	(void)argc;
	status = open_root(options, &root);
	if (status)
		return status;
	status = find_vm(&root, argv[0], &vm);
	if (status) {
		mrm_close(&root);
		return status;
	}
	error = mrm_vm_reread(&root, &vm, MRM_WANT_ALL);
	range_error = mrm_ranges_read(&root, vm.pid, &ranges);
	mrm_close(&root);
	if (error == -ENODEV) {
		complain("the VM \"%s\" has just ended", argv[0]);
		status = STATUS_FAILED;
	} else if (error) {
		status = complain_read(argv[0], error);
	} else if (options->json) {
		status = print_json(&vm, &ranges, range_error);
	} else {
		print_vm(&vm);
		if (range_error)
			printf("\nIts ranges cannot be read: %s (debugfs must be mounted, and is "
			       "for root)\n",
			       strerror(-range_error));
		else
			status = print_ranges(&ranges);
	}
	mrm_ranges_free(&ranges);
	return status;
}

const struct command command_show = {
	.name = "show",
	.arguments = "VM",
	.summary = "show everything about a VM",
	.help = "VM is a name or a pid.  \"pid:NUMBER\" is always a pid, should a VM have a number\n"
		"for its name.  Shows all counters of the VM and, for root when debugfs is\n"
		"mounted, every range of its memory, with the reason if it was not adopted.\n",
	.options = "",
	.min = 1,
	.max = 1,
	.run = run,
};
