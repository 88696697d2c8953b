// SPDX-License-Identifier: GPL-2.0
/* The settings of the host, and what the kernel will take for them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "tunable.h"
#include "vm.h"

static const char *const zip_algorithms[] = { "lz4", "zstd" };

const struct mrm_tunable mrm_tunables[] = {
	{
		.name = "share_scan_time",
		.unit = "s",
		.usual = 3600,
		.max = 604800,
		.words = "Time for one pass over the memory of a VM; 0 stops the scanner.",
	},
	{
		.name = "share_rate_max",
		.unit = "pages/s",
		.usual = 1024,
		.max = 10000000,
		.words = "Pages of a VM scanned in a second at most; 0 stops the scanner.",
	},
	{
		.name = "share_cpu_max",
		.unit = "% of a CPU",
		.usual = 20,
		.max = 100,
		.words = "CPU time the scanner takes at most; 0 stops it.",
	},
	{
		.name = "share_force_salting",
		.unit = "",
		.usual = 2,
		.max = 2,
		.words = "Who shares with whom: 0 all VMs; 1 VMs of equal salt, and those "
			 "without one; 2 VMs of equal salt, a VM without one only with itself.",
	},
	{
		.name = "sample_period",
		.unit = "s",
		.usual = 60,
		.max = 3600,
		.words = "Running time of a VM in which its working set is sampled once; 0 stops "
			 "sampling, and all memory counts as active.",
	},
	{
		.name = "sample_pages",
		.unit = "pages",
		.usual = 100,
		.min = 1,
		.max = 10000,
		.words = "Pages of a VM that are sampled in a period.",
	},
	{
		.name = "sample_method",
		.unit = "",
		.usual = 0,
		.max = 1,
		.words = "How it is seen that a page was touched: 0 by accessed bits; 1 by "
			 "dropping its mapping, which is exact and costs a fault.",
	},
	{
		.name = "idle_tax",
		.unit = "%",
		.usual = 75,
		.max = 99,
		.words = "Part of its idle memory that may be taken from a VM for others.",
	},
	{
		.name = "balance_period",
		.unit = "s",
		.usual = 15,
		.min = 1,
		.max = 3600,
		.words = "How often it is computed what each VM should have.",
	},
	{
		.name = "min_free",
		.unit = "%",
		.usual = 0,
		.max = 50,
		.words = "Memory that stays free; 0 is ESX's sliding scale.",
	},
	{
		.name = "balloon_max",
		.unit = "% of a VM",
		.usual = 65,
		.max = 99,
		.words = "What a balloon may hold at most.",
	},
	{
		.name = "zip_max",
		.unit = "% of a VM",
		.usual = 10,
		.max = 50,
		.words = "Memory for the compressed pages of a VM at most; 0: nothing more is "
			 "compressed.",
	},
	{
		.name = "zip_algorithm",
		.unit = "",
		.choices = zip_algorithms,
		.usual = 0,
		.max = 1,
		.words = "How a page is compressed: zstd needs less memory than lz4, and four "
			 "times the time.",
	},
	{
		.name = "alloc_guest_large_page",
		.unit = "",
		.usual = 0,
		.max = 1,
		.words = "Whether guests get memory in large pages, of 2 MiB, while there is "
			 "enough; 0: no more of them.",
	},
	{
		.name = "large_break_pct",
		.unit = "% of a large page",
		.usual = 88,
		.min = 1,
		.max = 100,
		.words = "One of which breaking would save at least that much is broken in any "
			 "state.",
	},
	{
		.name = "large_rebuild_rate",
		.unit = "large pages/s",
		.usual = 16,
		.max = 1024,
		.words = "Large pages that are rebuilt in a second at most; 0: none.",
	},
	{
		.name = "hot_io_threshold",
		.unit = "copies",
		.usual = 16,
		.max = 1000000,
		.words = "Copies for a device in a period that have a page moved to where the "
			 "device reaches it; 0: none is.",
	},
	{
		.name = "hot_io_period",
		.unit = "s",
		.usual = 10,
		.min = 1,
		.max = 3600,
		.words = "In which they are counted, and which such a page stays at least.",
	},
	{
		.name = "hot_io_max",
		.unit = "MiB",
		.usual = 64,
		.max = 4096,
		.words = "Memory below 4 GiB for pages that devices use, at most; 0: none.",
	},
	{
		.name = "limit_bytes",
		.unit = "bytes",
		.usual = 0,
		.least = 64u << 20,
		.max = UINT64_MAX,
		.words = "What all VMs may use together, from 64 MiB; 0 is what the host has.",
	},
};

const size_t mrm_tunable_count = sizeof(mrm_tunables) / sizeof(mrm_tunables[0]);

/**
 * mrm_tunable_find() - look a tunable up
 * @name: as typed
 *
 * Return: the tunable, or NULL when there is none of that name.
 */
const struct mrm_tunable *mrm_tunable_find(const char *name)
{
	size_t i;

	for (i = 0; i < mrm_tunable_count; i++)
		if (!strcmp(name, mrm_tunables[i].name))
			return &mrm_tunables[i];
	return NULL;
}

static int parse_choice(const struct mrm_tunable *tunable, const char *text, uint64_t *value)
{
	uint64_t i;

	for (i = 0; i <= tunable->max; i++) {
		if (!strcmp(text, tunable->choices[i])) {
			*value = i;
			return 0;
		}
	}
	return -EINVAL;
}

/**
 * mrm_tunable_parse() - check a value for a tunable
 * @tunable: which
 * @text: as typed
 * @value: receives the value in the tunable's unit; untouched on error
 *
 * Return: 0, -EINVAL when it is not a whole number, or none of the tunable's words,
 * -ERANGE when it is out of the tunable's range.
 */
int mrm_tunable_parse(const struct mrm_tunable *tunable, const char *text, uint64_t *value)
{
	uint64_t number;
	int error;

	if (tunable->choices)
		return parse_choice(tunable, text, value);
	/* A negative number is a number, and out of every range. */
	if (*text == '-' && !mrm_parse_u64(text + 1, &number))
		return -ERANGE;
	error = mrm_parse_u64(text, &number);
	if (error)
		return error;
	if (number < tunable->min || number > tunable->max || (number && number < tunable->least))
		return -ERANGE;
	*value = number;
	return 0;
}

/**
 * mrm_tunable_format() - a value as the kernel writes and takes it
 * @tunable: which
 * @value: in its range
 * @text: receives it if it is a number
 *
 * Return: @text, or a word.
 */
const char *mrm_tunable_format(const struct mrm_tunable *tunable, uint64_t value,
			       char text[MRM_TUNABLE_MAX])
{
	if (tunable->choices)
		return tunable->choices[value];
	snprintf(text, MRM_TUNABLE_MAX, "%" PRIu64, value);
	return text;
}

/**
 * mrm_salt_check() - check a salt for a VM
 * @salt: as typed; empty to clear it
 *
 * Return: 0, -ENAMETOOLONG above MRM_SALT_MAX characters, -EINVAL when it has
 * characters that are not printable ASCII.
 */
int mrm_salt_check(const char *salt)
{
	size_t length = strlen(salt), i;

	if (length > MRM_SALT_MAX)
		return -ENAMETOOLONG;
	for (i = 0; i < length; i++)
		if (salt[i] < ' ' || salt[i] > '~')
			return -EINVAL;
	return 0;
}
