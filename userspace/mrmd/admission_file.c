// SPDX-License-Identifier: GPL-2.0
/* What is promised to guests that are on their way, in a file: for the mrmd after us. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "admission.h"

static struct json_object *describe(const struct admitted *one)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_object_new_string(one->name));
	json_object_object_add(object, "bytes", json_object_new_uint64(one->bytes));
	json_object_object_add(object, "swap", json_object_new_uint64(one->swap));
	json_object_object_add(object, "until_ms", json_object_new_uint64(one->until_ms));
	return object;
}

/**
 * admission_save() - note what is promised
 * @list: of those admitted
 * @path: of the file; there is none when nothing is
 *
 * Return: 0, or a negative error.
 */
int admission_save(const struct admitted *list, const char *path)
{
	struct json_object *array;
	char fresh[PATH_MAX];
	int error = 0;

	if (!list)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	array = json_object_new_array();
	for (; list; list = list->next)
		json_object_array_add(array, describe(list));
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (json_object_to_file_ext(fresh, array, JSON_C_TO_STRING_PLAIN) < 0 ||
	    rename(fresh, path) < 0)
		error = errno ? -errno : -EIO;
	json_object_put(array);
	return error;
}

static struct json_object *field(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = NULL;

	return json_object_is_type(object, json_type_object) &&
			       json_object_object_get_ex(object, key, &value) &&
			       json_object_is_type(value, type)
		       ? value
		       : NULL;
}

static struct admitted *understand(struct json_object *object)
{
	struct json_object *name = field(object, "name", json_type_string);
	struct json_object *bytes = field(object, "bytes", json_type_int);
	struct json_object *swap = field(object, "swap", json_type_int);
	struct json_object *until = field(object, "until_ms", json_type_int);
	struct admitted *one = name && bytes && swap && until ? calloc(1, sizeof(*one)) : NULL;

	if (!one)
		return NULL;
	one->name = strdup(json_object_get_string(name));
	one->bytes = json_object_get_uint64(bytes);
	one->swap = json_object_get_uint64(swap);
	one->until_ms = json_object_get_uint64(until);
	if (one->name)
		return one;
	free(one);
	return NULL;
}

/**
 * admission_load() - take over what an mrmd before us has promised
 * @list: receives it
 * @path: of the file
 *
 * Return: 0, also when there is no file; -EINVAL when something in it is not understood, and
 * left out.
 */
int admission_load(struct admitted **list, const char *path)
{
	struct json_object *array;
	int error = 0;
	size_t i;

	if (access(path, F_OK) < 0)
		return 0;
	array = json_object_from_file(path);
	if (!json_object_is_type(array, json_type_array)) {
		json_object_put(array);
		return -EINVAL;
	}
	for (i = 0; i < json_object_array_length(array); i++) {
		struct admitted *one = understand(json_object_array_get_idx(array, i));

		if (!one) {
			error = -EINVAL;
			continue;
		}
		one->next = *list;
		*list = one;
	}
	json_object_put(array);
	return error;
}
