// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers that people type, and text that nobody vouches for: the name of a VM
 * is chosen by its owner, and is shown on an administrator's terminal.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>

#include "text.h"

/**
 * mrm_parse_u64() - read a decimal number, and nothing but that
 * @text: digits only: no sign, no blanks, no unit
 * @value: receives the number; untouched on error
 *
 * Return: 0, -EINVAL when @text is not a number, -ERANGE above 64 bits.
 */
int mrm_parse_u64(const char *text, uint64_t *value)
{
	uint64_t number = 0;
	unsigned int digit;

	if (!*text)
		return -EINVAL;
	if (strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (; *text; text++) {
		digit = *text - '0';
		if (number > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		number = 10 * number + digit;
	}
	*value = number;
	return 0;
}

/**
 * mrm_parse_size() - read a size with its unit, as libvirt writes them
 * @text: a whole number and a unit: "512MiB", "2 GiB", "64 M"; 0 needs none
 * @bytes: receives the size; untouched on error
 *
 * libvirt takes a number without a unit for KiB in one place and for bytes in
 * another, so here it is refused.
 *
 * Return: 0, -EINVAL when @text is not a size, -ERANGE above 64 bits.
 */
int mrm_parse_size(const char *text, uint64_t *bytes)
{
	/* "KB" and the like are powers of 1000; "K" and "KiB" of 1024. */
	static const char powers[] = "KMGTP";
	size_t digits = strspn(text, "0123456789"), i;
	const char *unit = text + digits, *power;
	uint64_t number, factor = 1, base;
	char part[24];
	int error;

	if (digits >= sizeof(part))
		return -ERANGE;
	memcpy(part, text, digits);
	part[digits] = '\0';
	error = mrm_parse_u64(part, &number);
	if (error)
		return error;
	unit += strspn(unit, " ");
	power = *unit ? strchr(powers, *unit & ~0x20) : NULL;
	if (power) {
		if (!unit[1] || !strcasecmp(unit + 1, "iB"))
			base = 1024;
		else if (!strcasecmp(unit + 1, "B"))
			base = 1000;
		else
			return -EINVAL;
		for (i = 0; i <= (size_t)(power - powers); i++)
			factor *= base;
	} else if (*unit ? strcasecmp(unit, "b") && strcasecmp(unit, "bytes") : number != 0) {
		return -EINVAL;
	}
	if (number > UINT64_MAX / factor)
		return -ERANGE;
	*bytes = number * factor;
	return 0;
}

/**
 * mrm_parse_seconds() - read a time such as "2" or "0.5"
 * @text: decimal seconds, at most three digits after the point
 * @ms: receives the time in milliseconds; untouched on error
 *
 * Return: 0, -EINVAL when @text is not a time, -ERANGE above a day.
 */
int mrm_parse_seconds(const char *text, uint64_t *ms)
{
	uint64_t whole, thousandths = 0;
	char part[24];
	size_t length;
	int error;

	length = strcspn(text, ".");
	if (length >= sizeof(part))
		return -ERANGE;
	memcpy(part, text, length);
	part[length] = '\0';
	error = mrm_parse_u64(part, &whole);
	if (error)
		return error;

	if (text[length] == '.') {
		const char *digits = text + length + 1;

		length = strlen(digits);
		if (length > 3)
			return -EINVAL;
		error = mrm_parse_u64(digits, &thousandths);
		if (error)
			return error;
		for (; length < 3; length++)
			thousandths *= 10;
	}
	if (whole > 86400)
		return -ERANGE;
	*ms = 1000 * whole + thousandths;
	return 0;
}

/**
 * mrm_utf8_decode() - take one character from UTF-8, whatever the locale
 * @text: not empty
 * @code: receives the character, U+FFFD for a byte that is not UTF-8
 *
 * Return: bytes taken, at least 1.
 */
size_t mrm_utf8_decode(const char *text, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	unsigned int more, i;
	uint32_t c;

	if (s[0] < 0x80) {
		*code = s[0];
		return 1;
	}
	*code = 0xfffd;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		more = 1;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		more = 2;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		more = 3;
	else
		return 1;
	c = s[0] & (0x3f >> more);
	for (i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < smallest[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*code = c;
	return 1 + more;
}

/*
 * Characters that print as nothing, or turn the direction of what follows, can
 * make one name look like another.
 */
static bool deceptive(wchar_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/**
 * mrm_escape() - make text safe for a terminal
 * @to: receives the result, cut to @size as by snprintf()
 * @size: bytes at @to; may be 0, to learn the length
 * @from: any bytes
 *
 * Every byte that does not belong to a character the locale can print becomes
 * \xNN, and a backslash becomes two.
 *
 * Return: length of the whole result in bytes, without the terminating 0.
 */
size_t mrm_escape(char *to, size_t size, const char *from)
{
	size_t length = 0, left = strlen(from), taken, i;
	mbstate_t state = { 0 };
	char one[5];
	wchar_t c;

	while (left) {
		taken = mbrtowc(&c, from, left, &state);
		if (taken == (size_t)-1 || taken == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			taken = 1;
			c = 0;
		}
		for (i = 0; i < taken; i++, from++, left--) {
			const char *piece = one;

			if (c == '\\')
				piece = "\\\\";
			else if (!iswprint(c) || wcwidth(c) < 0 || deceptive(c))
				snprintf(one, sizeof(one), "\\x%02x", (unsigned char)*from);
			else
				snprintf(one, sizeof(one), "%c", *from);
			for (; *piece; piece++, length++)
				if (length + 1 < size)
					to[length] = *piece;
		}
	}
	if (size)
		to[length < size ? length : size - 1] = '\0';
	return length;
}

/**
 * mrm_escape_dup() - a new copy of text, safe for a terminal
 * @from: any bytes
 *
 * Return: the result of mrm_escape(), to be freed, or NULL without memory.
 */
char *mrm_escape_dup(const char *from)
{
	size_t size = mrm_escape(NULL, 0, from) + 1;
	char *to = malloc(size);

	if (to)
		mrm_escape(to, size, from);
	return to;
}

/* Bytes of @text that fit in @columns; *@used receives the columns they take. */
static size_t measure(const char *text, size_t columns, size_t *used)
{
	size_t left = strlen(text), bytes = 0, taken;
	mbstate_t state = { 0 };
	wchar_t c;
	int width;

	*used = 0;
	while (bytes < left) {
		taken = mbrtowc(&c, text + bytes, left - bytes, &state);
		if (taken == (size_t)-1 || taken == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			taken = 1;
			width = 1;
		} else {
			width = wcwidth(c) < 0 ? 0 : wcwidth(c);
		}
		if (*used + width > columns)
			break;
		*used += width;
		bytes += taken;
	}
	return bytes;
}

/**
 * mrm_text_width() - columns that escaped text takes on a terminal
 * @text: from mrm_escape()
 *
 * Return: columns, which differ from bytes and from characters.
 */
size_t mrm_text_width(const char *text)
{
	size_t used;

	measure(text, SIZE_MAX, &used);
	return used;
}

/**
 * mrm_text_clip() - how much of escaped text fits
 * @text: from mrm_escape()
 * @columns: room on the terminal
 *
 * Return: bytes of @text, whole characters, that take at most @columns.
 */
size_t mrm_text_clip(const char *text, size_t columns)
{
	size_t used;

	return measure(text, columns, &used);
}
