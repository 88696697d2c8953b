/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stddef.h>

void tap_ok(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tap_text(const char *got, const char *wanted, const char *what);
void tap_has(const char *text, const char *part, const char *what);

void test_text(void);
void test_units(void);
void test_table(void);
void test_tunable(void);
void test_tree(void);
void test_vmtable(void);
void test_sample(void);
void test_json(void);
void test_options(void);
void test_settings(void);
void test_domain_xml(void);
void test_balloon(void);
void test_admission(void);
void test_swap(void);
void test_metrics(const char *source);
void test_http(void);
void test_line(void);
void test_command(const char *mrmctl);
void test_screen(const char *mrmctl);

#endif
