// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static unsigned int count, failed;

static void result(const char *file, int line, bool passed, const char *fmt, va_list args)
{
	printf("%sok %u - ", passed ? "" : "not ", ++count);
	vprintf(fmt, args);
	putchar('\n');
	if (!passed) {
		failed++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
}

/**
 * tap_ok_at() - a result; see tap_ok()
 * @file: where in the test
 * @line: where in the test
 * @passed: whether it is as it should be
 * @fmt: what was tested
 * Return: @passed.
 */
bool tap_ok_at(const char *file, int line, bool passed, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	result(file, line, passed, fmt, args);
	va_end(args);
	return passed;
}

/**
 * tap_equal_at() - a number is the one wanted; see tap_equal()
 * @file: where in the test
 * @line: where in the test
 * @got: the number
 * @want: what it should be
 * @fmt: what was tested
 * Return: true if it is.
 */
bool tap_equal_at(const char *file, int line, long got, long want, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	result(file, line, got == want, fmt, args);
	va_end(args);
	if (got != want)
		tap_note("got %ld, want %ld", got, want);
	return got == want;
}

/**
 * tap_between_at() - a number is in a range; see tap_between()
 * @file: where in the test
 * @line: where in the test
 * @got: the number
 * @low: the least it may be
 * @high: the most it may be
 * @fmt: what was tested
 * Return: true if it is.
 */
bool tap_between_at(const char *file, int line, long got, long low, long high,
		    const char *fmt, ...)
{
	bool passed = got >= low && got <= high;
	va_list args;

	va_start(args, fmt);
	result(file, line, passed, fmt, args);
	va_end(args);
	if (!passed)
		tap_note("got %ld, want %ld to %ld", got, low, high);
	return passed;
}

/**
 * tap_text_at() - a text is the one wanted; see tap_text()
 * @file: where in the test
 * @line: where in the test
 * @got: the text
 * @want: what it should be
 * @fmt: what was tested
 * Return: true if it is.
 */
bool tap_text_at(const char *file, int line, const char *got, const char *want,
		 const char *fmt, ...)
{
	bool passed = !strcmp(got, want);
	va_list args;

	va_start(args, fmt);
	result(file, line, passed, fmt, args);
	va_end(args);
	if (!passed)
		tap_note("got \"%s\", want \"%s\"", got, want);
	return passed;
}

/**
 * tap_skip() - something that cannot be tested here
 * @why: the reason
 * @fmt: what would have been tested
 */
void tap_skip(const char *why, const char *fmt, ...)
{
	va_list args;

	printf("ok %u - ", ++count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(" # SKIP %s\n", why);
	fflush(stdout);
}

/**
 * tap_note() - a line for people
 * @fmt: what to say
 */
void tap_note(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/**
 * tap_bail() - the test cannot go on
 * @fmt: why
 */
void tap_bail(const char *fmt, ...)
{
	va_list args;

	printf("Bail out! ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	exit(1);
}

/**
 * tap_count() - how many results there are so far
 * Return: the number.
 */
unsigned int tap_count(void)
{
	return count;
}

/**
 * tap_failed() - how many results so far are not ok
 * Return: the number.
 */
unsigned int tap_failed(void)
{
	return failed;
}

/**
 * tap_done() - print the plan
 * Return: the exit status of the test.
 */
int tap_done(void)
{
	printf("1..%u\n", count);
	fflush(stdout);
	return failed || !count;
}
