// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM is called, read from the arguments of QEMU as libvirt and people
 * write them: -name guest=NAME,debug-threads=on or -name NAME.
 *
 * Pure: compiled into the user-space tests as well.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif
#include "vm_name.h"

/* The value of -name: from *value to the NUL or @end; false if there is none. */
static bool find_value(const char *arg, const char *end, const char **value)
{
	while (arg < end) {
		size_t len = strnlen(arg, end - arg);
		const char *next = arg + len + 1;

		if ((len == 5 && !memcmp(arg, "-name", 5)) ||
		    (len == 6 && !memcmp(arg, "--name", 6))) {
			*value = next;
			return next < end && *next;
		}
		arg = next;
	}
	return false;
}

/* Is there a = in this option, which ends at a single comma? */
static bool has_key(const char *option, const char *end)
{
	for (; option < end && *option && *option != '='; option++) {
		if (*option == ',') {
			if (option + 1 >= end || option[1] != ',')
				return false;
			option++;
		}
	}
	return option < end && *option == '=';
}

/* Copy an option's value, if @name is not NULL; returns where the next one begins. */
static const char *take_value(const char *value, const char *end, char *name, size_t size)
{
	size_t n = 0;

	for (; value < end && *value; value++) {
		char c = *value;

		if (c == ',') {
			if (value + 1 >= end || value[1] != ',')
				break;
			value++;
		}
		/* It goes into files of one line and into the kernel's log. */
		if ((unsigned char)c < ' ' || c == 0x7f)
			c = '?';
		if (name && n + 1 < size)
			name[n++] = c;
	}
	if (name)
		name[n] = '\0';
	return value < end && *value == ',' ? value + 1 : end;
}

/**
 * mrm_vm_name_from_args() - find the VM's name
 * @args: the arguments, each ended by a NUL (the last one may not be)
 * @len: bytes in @args
 * @name: where the name goes, NUL-terminated and cut if need be
 * @size: room in @name, at least 1
 *
 * In QEMU's option strings a comma inside a value is written twice, options
 * come in any order, and a first one without a key is the name.
 *
 * Return: true if there was a name; otherwise @name is empty.
 */
bool mrm_vm_name_from_args(const char *args, size_t len, char *name, size_t size)
{
	const char *end = args + len, *option;
	bool first = true;

	name[0] = '\0';
	if (!find_value(args, end, &option))
		return false;
	while (option < end && *option) {
		if (end - option >= 6 && !memcmp(option, "guest=", 6)) {
			take_value(option + 6, end, name, size);
			break;
		}
		option = take_value(option, end, first && !has_key(option, end) ? name : NULL,
				    size);
		first = false;
	}
	return name[0];
}
