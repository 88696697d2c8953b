// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "text.h"

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
	};
	uint64_t value;
	size_t i;
	int error;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		value = 0;
		error = mrm_parse_u64(cases[i].text, &value);
		tap_ok(error == cases[i].error && value == cases[i].value, "number \"%s\"",
		       cases[i].text);
	}
}

static void test_seconds(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t ms;
	} cases[] = {
		{ "2", 0, 2000 },	  { "0.5", 0, 500 },	    { "1.25", 0, 1250 },
		{ "0.001", 0, 1 },	  { "86400", 0, 86400000 }, { "86401", -ERANGE, 0 },
		{ "0.0001", -EINVAL, 0 }, { ".5", -EINVAL, 0 },	    { "1.", -EINVAL, 0 },
		{ "1.-5", -EINVAL, 0 },	  { "", -EINVAL, 0 },	    { "-1", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
	};
	uint64_t ms;
	size_t i;
	int error;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ms = 0;
		error = mrm_parse_seconds(cases[i].text, &ms);
		tap_ok(error == cases[i].error && ms == cases[i].ms, "seconds \"%s\"",
		       cases[i].text);
	}
}

static void test_escape(void)
{
	static const struct {
		const char *from;
		const char *to;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a\nb\tc", "a\\x0ab\\x09c" },
		{ "\033[2J", "\\x1b[2J" },
		{ "\177", "\\x7f" },
		{ "back\\x0a", "back\\\\x0a" },
		{ "gr\303\274n", "gr\303\274n" },
		{ "\302\233m", "\\xc2\\x9bm" },		 /* a control character above 0x7f */
		{ "\342\200\256x", "\\xe2\\x80\\xaex" }, /* turns the direction */
		{ "\342\200\213x", "\\xe2\\x80\\x8bx" }, /* prints as nothing */
		{ "\377\376", "\\xff\\xfe" },		 /* not UTF-8 */
		{ "\303", "\\xc3" },			 /* cut in the middle */
		{ "\344\270\255", "\344\270\255" },
	};
	char *got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = mrm_escape_dup(cases[i].from);
		tap_text(got, cases[i].to, "escape");
		free(got);
	}
}

static void test_fit(void)
{
	char small[4];

	tap_ok(mrm_escape(small, sizeof(small), "abcdef") == 6, "escape tells the whole length");
	tap_text(small, "abc", "escape cuts to the room there is");
	tap_ok(mrm_escape(NULL, 0, "\n") == 4, "escape without room");
	tap_ok(mrm_text_width("gr\303\274n") == 4, "width counts characters");
	tap_ok(mrm_text_width("\344\270\255") == 2, "width of a wide character");
	tap_ok(mrm_text_clip("\344\270\255x", 1) == 0, "half a wide character is not kept");
	tap_ok(mrm_text_clip("gr\303\274n", 3) == 4, "clip keeps whole characters");
	tap_ok(mrm_text_clip("abc", 10) == 3, "clip of a short text");
}

static void test_utf8(void)
{
	static const struct {
		const char *text;
		uint32_t code;
		size_t length;
	} cases[] = {
		{ "A", 'A', 1 },
		{ "\303\274", 0xfc, 2 },
		{ "\344\270\255", 0x4e2d, 3 },
		{ "\360\237\230\200", 0x1f600, 4 },
		{ "\200", 0xfffd, 1 },
		{ "\300\200", 0xfffd, 1 },	   /* longer than needed */
		{ "\355\240\200", 0xfffd, 1 },	   /* a surrogate */
		{ "\364\220\200\200", 0xfffd, 1 }, /* above the last character */
		{ "\344\270", 0xfffd, 1 },
	};
	uint32_t code;
	size_t i, length;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		length = mrm_utf8_decode(cases[i].text, &code);
		tap_ok(code == cases[i].code && length == cases[i].length, "UTF-8 case %zu", i);
	}
}

/**
 * test_text() - numbers that people type, and text that nobody vouches for
 */
void test_text(void)
{
	test_numbers();
	test_seconds();
	test_escape();
	test_fit();
	test_utf8();
}
