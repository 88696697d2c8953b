/* SPDX-License-Identifier: GPL-2.0 */
#ifndef JSON_OUT_H
#define JSON_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>

#include "host.h"
#include "vm.h"

struct json_object *json_from_host(const struct mrm_host *host);
struct json_object *json_from_vm(const struct mrm_vm *vm, mrm_want want);
void json_add(struct json_object *object, const char *key, struct json_object *value);
void json_print_ascii(FILE *file, const char *text);
int json_finish(struct json_object *object, bool pretty);

#endif
