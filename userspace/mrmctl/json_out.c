// SPDX-License-Identifier: GPL-2.0
/*
 * Output for programs: raw units, the names of the files as keys, and null for
 * what could not be read.
 */
#include <stdlib.h>

#include "json_out.h"
#include "mrmctl.h"
#include "text.h"

/**
 * json_add() - put a value into an object
 * @object: takes @value over
 * @key: a constant string, new in @object
 * @value: NULL for null
 */
void json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add_ex(object, key, value,
				      JSON_C_OBJECT_ADD_KEY_IS_NEW |
					      JSON_C_OBJECT_ADD_CONSTANT_KEY))
		abort();
}

/**
 * json_from_host() - the counters of the host
 * @host: as read
 *
 * Return: a new object.
 */
struct json_object *json_from_host(const struct mrm_host *host)
{
	struct json_object *object = json_object_new_object();
	int i;

	for (i = 0; i < MRM_HOST_NR; i++)
		json_add(object, mrm_host_counters[i].name,
			 host->have[i] ? json_object_new_uint64(host->value[i]) : NULL);
	json_add(object, "state", *host->state ? json_object_new_string(host->state) : NULL);
	return object;
}

/**
 * json_from_vm() - what was read of a VM
 * @vm: as read
 * @want: set that was asked for; only that is put in
 *
 * Return: a new object.
 */
struct json_object *json_from_vm(const struct mrm_vm *vm, mrm_want want)
{
	struct json_object *object = json_object_new_object();
	int i;

	json_add(object, "pid", json_object_new_int(vm->pid));
	for (i = 0; i < MRM_VM_TEXT_NR; i++)
		if (want & MRM_WANT_TEXT(i))
			json_add(object, mrm_vm_texts[i],
				 vm->have & MRM_WANT_TEXT(i) ? json_object_new_string(vm->text[i])
							     : NULL);
	for (i = 0; i < MRM_VM_NR; i++)
		if (want & MRM_WANT(i))
			json_add(object, mrm_vm_counters[i].name,
				 vm->have & MRM_WANT(i) ? json_object_new_uint64(vm->value[i])
							: NULL);
	return object;
}

/**
 * json_print_ascii() - print JSON so that every terminal and parser takes it
 * @file: where to
 * @text: JSON whose strings may hold any bytes
 *
 * json-c passes bytes above 0x7e through.  They can only be inside strings, so
 * all of them are written as \uNNNN; a byte that is not UTF-8 becomes U+FFFD.
 */
void json_print_ascii(FILE *file, const char *text)
{
	uint32_t c;

	while (*text) {
		text += mrm_utf8_decode(text, &c);
		if (c < 0x7f)
			fputc(c, file);
		else if (c < 0x10000)
			fprintf(file, "\\u%04x", c);
		else
			fprintf(file, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + ((c - 0x10000) & 0x3ff));
	}
}

/**
 * json_finish() - print an object as a line of its own, and free it
 * @object: taken over
 * @pretty: over several lines, for people who look at it
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint.
 */
int json_finish(struct json_object *object, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_ext(object, flags);
	if (text) {
		json_print_ascii(stdout, text);
		putchar('\n');
	} else {
		complain("out of memory");
	}
	json_object_put(object);
	return text ? STATUS_OK : STATUS_FAILED;
}
