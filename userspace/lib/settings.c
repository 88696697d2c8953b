// SPDX-License-Identifier: GPL-2.0
/*
 * What decides how much memory a VM gets, and how.  It is kept as it was written, in the
 * domain's XML, and checked here before anybody acts on it; what the kernel alone
 * can know, such as whether a min fits, the kernel refuses.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "settings.h"
#include "text.h"
#include "tunable.h"

#define SHARES_MAX 1000000000

const char *const mrm_setting_names[MRM_SETTINGS] = {
	[MRM_SHARES] = "shares", [MRM_MIN] = "min",	[MRM_MAX] = "max",
	[MRM_SALT] = "salt",	 [MRM_SHARE] = "share", [MRM_LARGE] = "large",
};

static const char *const files[MRM_SETTINGS] = {
	[MRM_SHARES] = "shares", [MRM_MIN] = "min_bytes", [MRM_MAX] = "max_bytes",
	[MRM_SALT] = "salt",	 [MRM_SHARE] = "share",	  [MRM_LARGE] = "alloc_guest_large_page",
};

/**
 * mrm_setting_find() - look a setting up
 * @name: need not end after @length
 * @length: bytes of @name
 *
 * Return: an enum mrm_setting, or -ENOENT.
 */
int mrm_setting_find(const char *name, size_t length)
{
	int i;

	for (i = 0; i < MRM_SETTINGS; i++)
		if (strlen(mrm_setting_names[i]) == length &&
		    !memcmp(mrm_setting_names[i], name, length))
			return i;
	return -ENOENT;
}

static bool right_shares(const char *value)
{
	uint64_t number;

	if (!strcmp(value, "high") || !strcmp(value, "normal") || !strcmp(value, "low"))
		return true;
	return !mrm_parse_u64(value, &number) && number >= 1 && number <= SHARES_MAX;
}

static bool is_switch(enum mrm_setting which)
{
	return which == MRM_SHARE || which == MRM_LARGE;
}

static bool is_off(const char *value)
{
	return !strcmp(value, "off") || !strcmp(value, "0");
}

static bool is_on(const char *value)
{
	return !strcmp(value, "on") || !strcmp(value, "1");
}

/**
 * mrm_settings_put() - take a setting over
 * @settings: changed on success
 * @which: setting
 * @value: as written; empty for its default
 * @why: receives a sentence on error, which does not repeat a salt
 *
 * Return: 0, or -EINVAL.
 */
int mrm_settings_put(struct mrm_settings *settings, enum mrm_setting which, const char *value,
		     char why[MRM_WHY_MAX])
{
	uint64_t bytes;

	if (which == MRM_SALT ? mrm_salt_check(value) : strlen(value) > MRM_SALT_MAX) {
		snprintf(why, MRM_WHY_MAX, "%s is at most %d printable ASCII characters",
			 which == MRM_SALT ? "a salt" : mrm_setting_names[which], MRM_SALT_MAX);
		return -EINVAL;
	}
	if (which == MRM_SHARES && *value && !right_shares(value)) {
		snprintf(why, MRM_WHY_MAX,
			 "shares are high, normal, low, or a number from 1 to %d, not \"%s\"",
			 SHARES_MAX, value);
		return -EINVAL;
	}
	if ((which == MRM_MIN || which == MRM_MAX) && *value && mrm_parse_size(value, &bytes)) {
		snprintf(why, MRM_WHY_MAX,
			 "%s is a size with its unit, such as 512MiB or 2GiB, not \"%s\"",
			 mrm_setting_names[which], value);
		return -EINVAL;
	}
	if (is_switch(which) && *value && !is_on(value) && !is_off(value)) {
		snprintf(why, MRM_WHY_MAX, "%s is \"on\" or \"off\", not \"%s\"",
			 mrm_setting_names[which], value);
		return -EINVAL;
	}
	settings->given[which] = true;
	strcpy(settings->text[which], value);
	return 0;
}

/**
 * mrm_settings_bytes() - min or max as a number
 * @settings: what was asked for
 * @which: MRM_MIN or MRM_MAX
 *
 * Return: bytes; 0 by default.
 */
uint64_t mrm_settings_bytes(const struct mrm_settings *settings, enum mrm_setting which)
{
	uint64_t bytes = 0;

	mrm_parse_size(settings->text[which], &bytes);
	return bytes;
}

/**
 * mrm_settings_off() - whether something was switched off
 * @settings: what was asked for
 * @which: MRM_SHARE or MRM_LARGE
 *
 * Return: false by default.
 */
bool mrm_settings_off(const struct mrm_settings *settings, enum mrm_setting which)
{
	return is_off(settings->text[which]);
}

/**
 * mrm_settings_check() - whether settings agree with each other
 * @settings: what was asked for
 * @why: receives a sentence on error
 *
 * Return: 0, or -EINVAL.
 */
int mrm_settings_check(const struct mrm_settings *settings, char why[MRM_WHY_MAX])
{
	uint64_t max = mrm_settings_bytes(settings, MRM_MAX);

	if (!max || mrm_settings_bytes(settings, MRM_MIN) <= max)
		return 0;
	snprintf(why, MRM_WHY_MAX, "its min, %s, is more than its max, %s", settings->text[MRM_MIN],
		 settings->text[MRM_MAX]);
	return -EINVAL;
}

/**
 * mrm_settings_merge() - let later settings override earlier ones
 * @settings: changed
 * @more: the later ones; what they do not give stays
 */
void mrm_settings_merge(struct mrm_settings *settings, const struct mrm_settings *more)
{
	int i;

	for (i = 0; i < MRM_SETTINGS; i++) {
		if (!more->given[i])
			continue;
		settings->given[i] = true;
		memcpy(settings->text[i], more->text[i], sizeof(more->text[i]));
	}
}

/* What the kernel is to be told. */
static const char *kernel_value(const struct mrm_settings *settings, enum mrm_setting which,
				char number[24])
{
	if (which == MRM_SHARES)
		return *settings->text[which] ? settings->text[which] : "normal";
	if (which == MRM_SALT)
		return settings->text[which];
	if (is_switch(which))
		return mrm_settings_off(settings, which) ? "0" : "1";
	snprintf(number, 24, "%" PRIu64, mrm_settings_bytes(settings, which));
	return number;
}

/* The kernel knows the mins of VMs that run; of the rest so much is promised. */
static bool fits(const struct mrm_root *root, const struct mrm_vm *vm, uint64_t min,
		 uint64_t promised)
{
	uint64_t now = mrm_vm_u64_or_0(root, vm->pid, files[MRM_MIN]), unreserved;

	if (!promised || min <= now || mrm_read_u64(root->fd, "unreserved_bytes", &unreserved))
		return true;
	return promised <= unreserved && min - now <= unreserved - promised;
}

static int apply_one(const struct mrm_root *root, const struct mrm_vm *vm,
		     const struct mrm_settings *settings, enum mrm_setting which, uint64_t promised,
		     mrm_refused refused, void *data)
{
	const char *value;
	char number[24];
	uint64_t now;
	int error;

	if (!settings->given[which])
		return 0;
	value = kernel_value(settings, which, number);
	/*
	 * To let a VM share that does already would have it wait for a look at it again.  To stop
	 * it again is right: it may have failed half-way.
	 */
	if (is_switch(which) && *value == '1' &&
	    !mrm_vm_read_u64(root, vm->pid, files[which], &now) && now)
		return 0;
	if (which == MRM_MIN && !fits(root, vm, mrm_settings_bytes(settings, which), promised))
		error = -ENOSPC;
	else
		error = mrm_vm_write(root, vm, files[which], value);
	if (error)
		refused(data, files[which], which == MRM_SALT ? "(a salt)" : value, error);
	return error;
}

/**
 * mrm_settings_apply() - tell the kernel what a VM is to have
 * @root: the open tree
 * @vm: tells which
 * @settings: only those given are written
 * @promised: what guests that are starting will have always, in bytes: no min takes it
 * @refused: called for each that is not taken, without what a salt is
 * @data: for @refused
 *
 * Return: 0, or the first error of mrm_vm_write(): -ENOENT when the module does
 * not know the setting, -ENOSPC when a min does not fit into what is unreserved.
 */
int mrm_settings_apply(const struct mrm_root *root, const struct mrm_vm *vm,
		       const struct mrm_settings *settings, uint64_t promised, mrm_refused refused,
		       void *data)
{
	enum mrm_setting order[MRM_SETTINGS] = {
		MRM_SALT, MRM_SHARES, MRM_MAX, MRM_MIN, MRM_LARGE, MRM_SHARE,
	};
	uint64_t max = mrm_settings_bytes(settings, MRM_MAX);
	int error = 0, salt_error = 0, one;
	size_t i;

	/* It must at no moment share under the old salt. */
	if (mrm_settings_off(settings, MRM_SHARE)) {
		order[0] = MRM_SHARE;
		order[5] = MRM_SALT;
	}
	/* The kernel holds min <= max at every moment. */
	if (settings->given[MRM_MIN] && settings->given[MRM_MAX] && max &&
	    max < mrm_vm_u64_or_0(root, vm->pid, files[MRM_MIN])) {
		order[2] = MRM_MIN;
		order[3] = MRM_MAX;
	}
	for (i = 0; i < MRM_SETTINGS; i++) {
		if (order[i] == MRM_SHARE && salt_error)
			continue;
		one = apply_one(root, vm, settings, order[i], promised, refused, data);
		if (order[i] == MRM_SALT)
			salt_error = one;
		if (!error)
			error = one;
	}
	return error;
}
