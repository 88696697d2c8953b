/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SETTINGS_H
#define MRM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm.h"

/* Where a domain's XML keeps them: <mrm:memory .../> in its <metadata>. */
#define MRM_XMLNS "https://kvm-mrm.org/xmlns/domain/1.0"
#define MRM_XML_PREFIX "mrm"
#define MRM_XML_ELEMENT "memory"

/* All of them, for people. */
#define MRM_SETTING_WORDS "shares, min, max, salt, share, large"

/* Room for a sentence that says why something is refused. */
#define MRM_WHY_MAX 600

/**
 * enum mrm_setting - what decides how much memory a VM gets, and how
 * @MRM_SHARES: "high", "normal", "low", or a number
 * @MRM_MIN: what it has always, a size with its unit
 * @MRM_MAX: what it never has more of, a size with its unit; 0: its own size
 * @MRM_SALT: VMs share with equal salt only
 * @MRM_SHARE: "on" or "off": whether its memory may be shared at all
 * @MRM_LARGE: "on" or "off": whether it may be in large pages
 * @MRM_SETTINGS: how many there are
 */
enum mrm_setting {
	MRM_SHARES,
	MRM_MIN,
	MRM_MAX,
	MRM_SALT,
	MRM_SHARE,
	MRM_LARGE,
	MRM_SETTINGS,
};

/**
 * struct mrm_settings - what was asked for a VM
 * @given: it says something about this setting
 * @text: as it was written, and known to be right; empty: the default
 */
struct mrm_settings {
	bool given[MRM_SETTINGS];
	char text[MRM_SETTINGS][MRM_SALT_MAX + 1];
};

extern const char *const mrm_setting_names[MRM_SETTINGS];

typedef void (*mrm_refused)(void *data, const char *file, const char *value, int error);

int mrm_setting_find(const char *name, size_t length);
int mrm_settings_put(struct mrm_settings *settings, enum mrm_setting which, const char *value,
		     char why[MRM_WHY_MAX]);
uint64_t mrm_settings_bytes(const struct mrm_settings *settings, enum mrm_setting which);
bool mrm_settings_off(const struct mrm_settings *settings, enum mrm_setting which);
int mrm_settings_check(const struct mrm_settings *settings, char why[MRM_WHY_MAX]);
void mrm_settings_merge(struct mrm_settings *settings, const struct mrm_settings *more);
int mrm_settings_apply(const struct mrm_root *root, const struct mrm_vm *vm,
		       const struct mrm_settings *settings, uint64_t promised, mrm_refused refused,
		       void *data);

#endif
