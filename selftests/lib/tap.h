/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Results
 *
 * Tests print the Test Anything Protocol, as the kernel's selftests do.  The
 * plan comes last, so a test that dies on its way has none and is told from one
 * that is done.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>

/* What was expected and where, for a result that is not ok. */
#define tap_ok(passed, ...)	tap_ok_at(__FILE__, __LINE__, passed, __VA_ARGS__)
#define tap_equal(got, want, ...)	tap_equal_at(__FILE__, __LINE__, got, want, __VA_ARGS__)
#define tap_between(got, low, high, ...)	\
	tap_between_at(__FILE__, __LINE__, got, low, high, __VA_ARGS__)
#define tap_text(got, want, ...)	tap_text_at(__FILE__, __LINE__, got, want, __VA_ARGS__)

bool tap_ok_at(const char *file, int line, bool passed, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool tap_equal_at(const char *file, int line, long got, long want, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
bool tap_between_at(const char *file, int line, long got, long low, long high,
		    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
bool tap_text_at(const char *file, int line, const char *got, const char *want,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void tap_skip(const char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tap_bail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
unsigned int tap_count(void);
unsigned int tap_failed(void);
int tap_done(void);

#endif
