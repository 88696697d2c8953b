// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "tap.h"

static char *print(struct json_object *object)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	json_print_ascii(file, json_object_to_json_string_ext(object, 0));
	fclose(file);
	json_object_put(object);
	return text;
}

/**
 * test_json() - output for programs
 */
void test_json(void)
{
	uint64_t want = MRM_WANT(MRM_VM_SHARED_PAGES) | MRM_WANT(MRM_VM_ZERO_PAGES) |
			MRM_WANT_TEXT(MRM_VM_NAME);
	struct mrm_vm vm = { .pid = 5, .have = want & ~MRM_WANT(MRM_VM_ZERO_PAGES) };
	char *text;

	vm.value[MRM_VM_SHARED_PAGES] = UINT64_MAX;
	strcpy(vm.text[MRM_VM_NAME], "a\"b\\\n\033\177\303\274\360\237\230\200\377\302\233");
	text = print(json_from_vm(&vm, want));
	tap_text(text,
		 "{\"pid\":5,\"name\":\"a\\\"b\\\\\\n\\u001b\\u007f\\u00fc\\ud83d\\ude00"
		 "\\ufffd\\u009b\",\"shared_pages\":18446744073709551615,\"zero_pages\":null}",
		 "a VM with a wild name and a counter that is missing");
	free(text);
}
