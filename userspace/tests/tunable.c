// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "tap.h"
#include "tunable.h"
#include "vm.h"

static void test_ranges(void)
{
	static const struct {
		const char *name;
		const char *text;
		int error;
	} cases[] = {
		{ "share_scan_time", "0", 0 },
		{ "share_scan_time", "604800", 0 },
		{ "share_scan_time", "604801", -ERANGE },
		{ "share_rate_max", "10000000", 0 },
		{ "share_rate_max", "10000001", -ERANGE },
		{ "share_cpu_max", "100", 0 },
		{ "share_cpu_max", "101", -ERANGE },
		{ "share_cpu_max", "-1", -ERANGE },
		{ "share_cpu_max", "5%", -EINVAL },
		{ "share_cpu_max", "-", -EINVAL },
		{ "share_cpu_max", "", -EINVAL },
		{ "share_force_salting", "2", 0 },
		{ "share_force_salting", "3", -ERANGE },
		{ "share_force_salting", "99999999999999999999", -ERANGE },
		{ "sample_pages", "0", -ERANGE },
		{ "sample_pages", "1", 0 },
		{ "sample_pages", "10000", 0 },
		{ "zip_max", "50", 0 },
		{ "zip_max", "51", -ERANGE },
		{ "alloc_guest_large_page", "1", 0 },
		{ "alloc_guest_large_page", "2", -ERANGE },
		{ "alloc_guest_large_page", "on", -EINVAL },
		{ "large_break_pct", "0", -ERANGE },
		{ "large_break_pct", "1", 0 },
		{ "large_break_pct", "100", 0 },
		{ "large_break_pct", "101", -ERANGE },
		{ "large_rebuild_rate", "0", 0 },
		{ "large_rebuild_rate", "1024", 0 },
		{ "large_rebuild_rate", "1025", -ERANGE },
		{ "hot_io_threshold", "0", 0 },
		{ "hot_io_threshold", "1000000", 0 },
		{ "hot_io_threshold", "1000001", -ERANGE },
		{ "hot_io_period", "0", -ERANGE },
		{ "hot_io_period", "1", 0 },
		{ "hot_io_period", "3600", 0 },
		{ "hot_io_period", "3601", -ERANGE },
		{ "hot_io_max", "0", 0 },
		{ "hot_io_max", "4096", 0 },
		{ "hot_io_max", "4097", -ERANGE },
		{ "zip_algorithm", "lz4", 0 },
		{ "zip_algorithm", "zstd", 0 },
		{ "zip_algorithm", "LZ4", -EINVAL },
		{ "zip_algorithm", "lz4 ", -EINVAL },
		{ "zip_algorithm", "0", -EINVAL },
		{ "zip_algorithm", "", -EINVAL },
	};
	uint64_t value;
	size_t i;
	int got;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = mrm_tunable_parse(mrm_tunable_find(cases[i].name), cases[i].text, &value);
		tap_ok(got == cases[i].error, "%s and \"%s\"", cases[i].name, cases[i].text);
	}
}

static void test_words(void)
{
	const struct mrm_tunable *tunable = mrm_tunable_find("zip_algorithm");
	char text[MRM_TUNABLE_MAX];
	uint64_t value = 7;

	tap_ok(!mrm_tunable_parse(tunable, "zstd", &value) && value == 1, "a word is a value");
	tap_text(mrm_tunable_format(tunable, 1, text), "zstd", "and a value a word");
	tap_text(mrm_tunable_format(mrm_tunable_find("zip_max"), 10, text), "10", "or a number");
}

static void test_salt(void)
{
	char salt[MRM_SALT_MAX + 2];

	memset(salt, 's', sizeof(salt));
	salt[MRM_SALT_MAX + 1] = '\0';
	tap_ok(mrm_salt_check(salt) == -ENAMETOOLONG, "a salt that is too long");
	salt[MRM_SALT_MAX] = '\0';
	tap_ok(!mrm_salt_check(salt), "the longest salt");
	tap_ok(!mrm_salt_check(""), "no salt");
	tap_ok(!mrm_salt_check("tenant 1/~"), "a salt of printable characters");
	tap_ok(mrm_salt_check("a\nb") == -EINVAL, "a salt with a newline");
	tap_ok(mrm_salt_check("gr\303\274n") == -EINVAL, "a salt that is not ASCII");
}

/**
 * test_tunable() - what the kernel will take
 */
void test_tunable(void)
{
	size_t i;

	tap_ok(!mrm_tunable_find("share_scan_now"), "a trigger is not a tunable");
	for (i = 0; i < mrm_tunable_count; i++)
		tap_ok(mrm_tunables[i].min <= mrm_tunables[i].usual &&
			       mrm_tunables[i].usual <= mrm_tunables[i].max,
		       "default of %s is in its range", mrm_tunables[i].name);
	test_ranges();
	test_words();
	test_salt();
}
