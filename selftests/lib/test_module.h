/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Modules that are a part of the tests
 */
#ifndef TEST_MODULE_H
#define TEST_MODULE_H

int test_module_load(const char *name, const char *arguments);
int test_module_unload(const char *name);

#endif
