// SPDX-License-Identifier: GPL-2.0
/* Runs all tests; results in the Test Anything Protocol, then a line of totals. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static unsigned int passed_count, failed_count;

/**
 * tap_ok() - report the result of a test
 * @passed: the result
 * @format: what was tested, as for printf()
 */
void tap_ok(bool passed, const char *format, ...)
{
	va_list arguments;

	if (passed)
		passed_count++;
	else
		failed_count++;
	printf("%sok %u - ", passed ? "" : "not ", passed_count + failed_count);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

/**
 * tap_text() - report whether a text is the one wanted
 * @got: the text, may be NULL
 * @wanted: what it should be
 * @what: what was tested
 */
void tap_text(const char *got, const char *wanted, const char *what)
{
	bool same = got && !strcmp(got, wanted);

	tap_ok(same, "%s", what);
	if (!same)
		printf("# got    \"%s\"\n# wanted \"%s\"\n", got ? got : "(null)", wanted);
}

/**
 * tap_has() - report whether a text has a part
 * @text: the text, may be NULL
 * @part: what should be in it
 * @what: what was tested
 */
void tap_has(const char *text, const char *part, const char *what)
{
	bool has = text && strstr(text, part);

	tap_ok(has, "%s", what);
	if (!has)
		printf("# got \"%s\"\n# which does not have \"%s\"\n", text ? text : "(null)",
		       part);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s MRMCTL SOURCE\n", argv[0]);
		return 2;
	}
	setlocale(LC_ALL, "C.UTF-8");
	setenv("LC_ALL", "C.UTF-8", 1);
	printf("TAP version 13\n");
	test_text();
	test_units();
	test_table();
	test_tunable();
	test_tree();
	test_vmtable();
	test_sample();
	test_json();
	test_options();
	test_settings();
	test_domain_xml();
	test_balloon();
	test_admission();
	test_swap();
	test_metrics(argv[2]);
	test_http();
	test_line();
	test_command(argv[1]);
	test_screen(argv[1]);
	printf("1..%u\n", passed_count + failed_count);
	printf("%u passed, %u failed\n", passed_count, failed_count);
	return failed_count ? 1 : 0;
}
