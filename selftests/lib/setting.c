// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "setting.h"
#include "tap.h"

/* False if it is not set, or empty.  The test ends if it is not a number. */
static bool read_number(const char *name, uint64_t *value)
{
	const char *text = getenv(name);
	char *end;

	if (!text || !*text)
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || *end || *text == '-')
		tap_bail("%s is \"%s\", which is not a number", name, text);
	return true;
}

/**
 * setting() - a number that says how long or how often
 * @name: of the variable
 * @by_default: if it is not set
 * Return: the number.
 */
long setting(const char *name, long by_default)
{
	uint64_t value;

	return read_number(name, &value) ? (long)value : by_default;
}

/**
 * setting_seed() - the seed of a random generator, which is printed
 * @name: of the variable that sets it; otherwise it is another one each time
 * Return: the seed.
 */
uint64_t setting_seed(const char *name)
{
	uint64_t seed;

	if (!read_number(name, &seed) &&
	    getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		tap_bail("there is no randomness");
	tap_note("%s=%#lx repeats it", name, seed);
	return seed;
}

/**
 * setting_option() - a number on the command line; the program ends if it is none
 * @text: the option's argument
 * @low: the least it may be
 * @high: the most
 * Return: the number.
 */
unsigned long setting_option(const char *text, unsigned long low, unsigned long high)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n < low || n > high) {
		fprintf(stderr, "%s: \"%s\" is not a number from %lu to %lu\n",
			program_invocation_short_name, text, low, high);
		exit(2);
	}
	return n;
}
