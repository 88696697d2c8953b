/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_TUNABLE_H
#define MRM_TUNABLE_H

#include <stddef.h>
#include <stdint.h>

/* Room for a value as mrm_tunable_format() writes it. */
#define MRM_TUNABLE_MAX 24

/**
 * struct mrm_tunable - a setting of the whole host
 * @name: of its file
 * @unit: of its value, empty when it is a choice
 * @choices: words that the kernel takes, of which a value is the index; NULL when it
 *           takes numbers
 * @usual: value after loading the module
 * @min: least value the kernel takes
 * @least: least value the kernel takes but for 0, if that is a value of its own; or 0
 * @max: greatest value the kernel takes; UINT64_MAX if that is the host's matter
 * @words: what it does, a sentence
 */
struct mrm_tunable {
	const char *name;
	const char *unit;
	const char *const *choices;
	uint64_t usual;
	uint64_t min;
	uint64_t least;
	uint64_t max;
	const char *words;
};

extern const struct mrm_tunable mrm_tunables[];
extern const size_t mrm_tunable_count;

const struct mrm_tunable *mrm_tunable_find(const char *name);
int mrm_tunable_parse(const struct mrm_tunable *tunable, const char *text, uint64_t *value);
const char *mrm_tunable_format(const struct mrm_tunable *tunable, uint64_t value,
			       char text[MRM_TUNABLE_MAX]);
int mrm_salt_check(const char *salt);

#endif
