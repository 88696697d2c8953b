// SPDX-License-Identifier: GPL-2.0
/* mrmctl get - the tunables and their values. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json_out.h"
#include "mrmctl.h"
#include "text.h"
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

/* A word that this mrmctl does not know, of a later kernel, is shown as well. */
static int read_value(const struct mrm_root *root, const struct mrm_tunable *tunable,
		      char text[MRM_TEXT_MAX])
{
	uint64_t value;
	int error;

	error = mrm_read_text(root->fd, tunable->name, text, MRM_TEXT_MAX);
	if (error || tunable->choices)
		return error;
	return mrm_parse_u64(text, &value);
}

static void print_range(const struct mrm_tunable *tunable)
{
	uint64_t i;

	if (tunable->least) {
		printf("0, or from %" PRIu64, tunable->least);
		return;
	}
	if (!tunable->choices) {
		printf("range %" PRIu64 "-%" PRIu64, tunable->min, tunable->max);
		return;
	}
	for (i = 0; i <= tunable->max; i++)
		printf("%s%s", i ? " or " : "", tunable->choices[i]);
}

static void print_tunable(const struct mrm_tunable *tunable, const char *value)
{
	char text[MRM_TUNABLE_MAX];

	printf("%s = %s%s%s (default %s, ", tunable->name, value, *tunable->unit ? " " : "",
	       tunable->unit, mrm_tunable_format(tunable, tunable->usual, text));
	print_range(tunable);
	puts(")");
	print_wrapped(tunable->words);
}

static void json_add_numbers(struct json_object *object, const struct mrm_tunable *tunable,
			     const char *text)
{
	uint64_t value = 0;

	mrm_parse_u64(text, &value);
	json_add(object, "value", json_object_new_uint64(value));
	json_add(object, "default", json_object_new_uint64(tunable->usual));
	json_add(object, "min", json_object_new_uint64(tunable->min));
	json_add(object, "max", json_object_new_uint64(tunable->max));
}

static void json_add_choices(struct json_object *object, const struct mrm_tunable *tunable,
			     const char *text)
{
	struct json_object *choices = json_object_new_array();
	uint64_t i;

	for (i = 0; i <= tunable->max; i++)
		json_object_array_add(choices, json_object_new_string(tunable->choices[i]));
	json_add(object, "value", json_object_new_string(text));
	json_add(object, "default", json_object_new_string(tunable->choices[tunable->usual]));
	json_add(object, "choices", choices);
}

static struct json_object *json_from_tunable(const struct mrm_tunable *tunable, const char *text)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "name", json_object_new_string(tunable->name));
	if (tunable->choices)
		json_add_choices(object, tunable, text);
	else
		json_add_numbers(object, tunable, text);
	json_add(object, "unit", json_object_new_string(tunable->unit));
	json_add(object, "description", json_object_new_string(tunable->words));
	return object;
}

/* Show one tunable, as text or as an element of @array if there is one. */
static int get(const struct options *options, const struct mrm_root *root,
	       const struct mrm_tunable *tunable, struct json_object *array)
{
	char text[MRM_TEXT_MAX], safe[4 * MRM_TEXT_MAX];
	int error;

	error = read_value(root, tunable, text);
	if (error)
		return complain_read(tunable->name, error);
	mrm_escape(safe, sizeof(safe), text);
	if (array)
		json_object_array_add(array, json_from_tunable(tunable, text));
	else if (options->json)
		return json_finish(json_from_tunable(tunable, text), true);
	else if (options->value)
		puts(safe);
	else
		print_tunable(tunable, safe);
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
