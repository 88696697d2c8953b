// SPDX-License-Identifier: GPL-2.0
/* mrmctl get - the tunables and their values. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json_out.h"
#include "mrmctl.h"
#include "tunable.h"

/* Print a sentence over lines of at most 80 columns, each after a tab. */
static void print_wrapped(const char *words)
{
	size_t column = 0, length;

	while (*words) {
		length = strcspn(words, " ");
		if (column && column + 1 + length > 72) {
			putchar('\n');
			column = 0;
		}
		putchar(column ? ' ' : '\t');
		column += length + 1;
		printf("%.*s", (int)length, words);
		words += length;
		words += strspn(words, " ");
	}
	putchar('\n');
}

static void print_tunable(const struct mrm_tunable *tunable, uint64_t value)
{
	printf("%s = %" PRIu64 "%s%s (default %" PRIu64 ", range %" PRIu64 "-%" PRIu64 ")\n",
	       tunable->name, value, *tunable->unit ? " " : "", tunable->unit, tunable->usual,
	       tunable->min, tunable->max);
	print_wrapped(tunable->words);
}

static struct json_object *json_from_tunable(const struct mrm_tunable *tunable, uint64_t value)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "name", json_object_new_string(tunable->name));
	json_add(object, "value", json_object_new_uint64(value));
	json_add(object, "default", json_object_new_uint64(tunable->usual));
	json_add(object, "min", json_object_new_uint64(tunable->min));
	json_add(object, "max", json_object_new_uint64(tunable->max));
	json_add(object, "unit", json_object_new_string(tunable->unit));
	json_add(object, "description", json_object_new_string(tunable->words));
	return object;
}

/* Show one tunable, as text or as an element of @array if there is one. */
static int get(const struct options *options, const struct mrm_root *root,
	       const struct mrm_tunable *tunable, struct json_object *array)
{
	uint64_t value;
	int error;

	error = mrm_read_u64(root->fd, tunable->name, &value);
	if (error)
		return complain_read(tunable->name, error);
	if (array)
		json_object_array_add(array, json_from_tunable(tunable, value));
	else if (options->json)
		return json_finish(json_from_tunable(tunable, value), true);
	else if (options->value)
		printf("%" PRIu64 "\n", value);
	else
		print_tunable(tunable, value);
	return STATUS_OK;
}

static int get_all(const struct options *options, const struct mrm_root *root)
{
	struct json_object *array = options->json ? json_object_new_array() : NULL;
	int status = STATUS_OK;
	size_t i;

	for (i = 0; i < mrm_tunable_count; i++)
		if (get(options, root, &mrm_tunables[i], array))
			status = STATUS_FAILED;
	if (array && json_finish(array, true))
		status = STATUS_FAILED;
	return status;
}

static int run(const struct options *options, int argc, char **argv)
{
	const struct mrm_tunable *tunable = NULL;
	struct mrm_root root;
	int status;

	if (argc) {
		tunable = mrm_tunable_find(argv[0]);
		if (!tunable) {
			complain("\"%s\" is not a tunable; \"mrmctl get\" lists them", argv[0]);
			return STATUS_USAGE;
		}
	}
	status = open_root(options, &root);
	if (status)
		return status;
	if (tunable)
		status = get(options, &root, tunable, NULL);
	else
		status = get_all(options, &root);
	mrm_close(&root);
	return status;
}

const struct command command_get = {
	.name = "get",
	.arguments = "[NAME] [--value]",
	.summary = "show tunables with default, range and meaning",
	.help = "Shows all tunables, or the one called NAME: value, unit, default, range, and what\n"
		"it does.\n"
		"\n"
		"  --value             print the value alone, for scripts\n",
	.options = "v",
	.max = 1,
	.run = run,
};
