// SPDX-License-Identifier: GPL-2.0
/* The table of VMs that list and top show: its columns, cells and order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mrmctl.h"
#include "units.h"
#include "vmtable.h"

#define LIST (1 << VM_TABLE_LIST)
#define TOP (1 << VM_TABLE_TOP)

/*
 * How a column is named after -o, headed, and read: from a counter, or, below
 * 0, in a way of its own; which tables have it; whether it shows the counter's growth; and what
 * esxtop calls it: it shows what was touched as well as the estimate that it makes of it.
 */
static const struct {
	const char *name;
	const char *heading;
	int counter;
	unsigned int tables;
	bool rate;
	const char *esx;
	const char *esx_too;
} keys[VM_KEY_NR] = {
	[VM_KEY_NAME] = { "name", "NAME", -1, LIST | TOP },
	[VM_KEY_PID] = { "pid", "PID", -1, LIST | TOP },
	[VM_KEY_SIZE] = { "size", "SIZE", MRM_VM_SIZE_BYTES, TOP, false, "MEMSZ" },
	[VM_KEY_GRANTED] = { "granted", "GRANTED", MRM_VM_GRANTED_BYTES, TOP, false, "GRANT" },
	[VM_KEY_CONSUMED] = { "consumed", "CONSUMED", MRM_VM_CONSUMED_BYTES, TOP, false, "CNSM" },
	[VM_KEY_TARGET] = { "target", "TARGET", MRM_VM_TARGET_BYTES, TOP, false, "SZTGT" },
	[VM_KEY_ACTIVE] = { "active", "ACTIVE", MRM_VM_ACTIVE_BYTES, TOP, false, "ACTV", "TCHD" },
	[VM_KEY_BALLOON] = { "balloon", "BALLOON", MRM_VM_BALLOON_BYTES, TOP, false, "MCTLSZ" },
	[VM_KEY_BALLOON_TARGET] = { "balloon-target", "BTARGET", MRM_VM_BALLOON_TARGET_BYTES, TOP,
				    false, "MCTLTGT" },
	[VM_KEY_ADOPTED] = { "adopted", "ADOPTED", MRM_VM_ADOPTED_BYTES, LIST },
	[VM_KEY_NOT_ADOPTED] = { "not-adopted", "NOT-ADOPTED", MRM_VM_NOT_ADOPTED_BYTES, LIST },
	[VM_KEY_RESIDENT] = { "resident", "RESIDENT", MRM_VM_RESIDENT_PAGES, LIST },
	[VM_KEY_SHARED] = { "shared", "SHARED", MRM_VM_SHARED_PAGES, LIST | TOP, false, "SHRD" },
	[VM_KEY_ZERO] = { "zero", "ZERO", MRM_VM_ZERO_PAGES, LIST },
	[VM_KEY_SAVED] = { "saved", "SAVED", MRM_VM_SAVED_PAGES, LIST | TOP, false, "SHRDSVD" },
	[VM_KEY_LARGE] = { "large", "LARGE", MRM_VM_LARGE_PAGES, TOP },
	[VM_KEY_LARGE_HELD] = { "held", "HELD", MRM_VM_LARGE_HELD, TOP },
	[VM_KEY_LARGE_UNTOUCHED] = { "untouched", "UNTCHD", MRM_VM_LARGE_UNTOUCHED, TOP },
	[VM_KEY_ZIPPED] = { "zipped", "ZIPPED", MRM_VM_ZIPPED_PAGES, TOP },
	[VM_KEY_ZIP_USED] = { "zip-used", "ZUSED", MRM_VM_ZIPPED_BYTES, TOP, false, "CACHEUSD" },
	[VM_KEY_SWAPPED] = { "swapped", "SWAPPED", MRM_VM_SWAPPED_PAGES, TOP, false, "SWCUR" },
	[VM_KEY_SWAP_CACHED] = { "swap-cached", "SWCACHED", MRM_VM_SWAP_CACHED_PAGES, TOP },
	[VM_KEY_SWAP_FREE] = { "swap-free", "SWFREE", MRM_VM_SWAP_FREE_PAGES, TOP },
	[VM_KEY_SCAN_RATE] = { "scan", "SCAN/S", MRM_VM_SCANNED_PAGES, TOP, true },
	[VM_KEY_BREAK_RATE] = { "break", "BREAK/S", MRM_VM_BROKEN_PAGES, TOP, true },
	[VM_KEY_OWN_RATE] = { "own", "OWN/S", MRM_VM_OWNED_PAGES, TOP, true },
	[VM_KEY_ZIP_RATE] = { "zip", "ZIP/S", MRM_VM_ZIPS, TOP, true },
	[VM_KEY_UNZIP_RATE] = { "unzip", "UNZIP/S", MRM_VM_UNZIPS, TOP, true },
	[VM_KEY_MISFIT_RATE] = { "misfit", "MISFIT/S", MRM_VM_ZIP_MISFITS, TOP, true },
	[VM_KEY_SWAP_OUT_RATE] = { "swap-out", "SWOUT/S", MRM_VM_SWAP_OUTS, TOP, true, "SWW/S" },
	[VM_KEY_SWAP_KEPT_RATE] = { "swap-kept", "SWKEPT/S", MRM_VM_SWAP_KEPT, TOP, true },
	[VM_KEY_SWAP_IN_RATE] = { "swap-in", "SWIN/S", MRM_VM_SWAP_INS, TOP, true, "SWR/S" },
	[VM_KEY_SWAP_AHEAD_RATE] = { "swap-ahead", "AHEAD/S", MRM_VM_SWAP_AHEADS, TOP, true },
	[VM_KEY_RECLAIM_RATE] = { "taken", "TAKEN/S", MRM_VM_RECLAIMED_BYTES, TOP, true },
	[VM_KEY_BLOCK_RATE] = { "block", "BLOCK/S", MRM_VM_BLOCKS, TOP, true },
	[VM_KEY_SWAP_BAD] = { "bad", "BAD", MRM_VM_SWAP_BAD_PAGES, TOP },
	[VM_KEY_LOST] = { "lost", "LOST", MRM_VM_READ_ERRORS, TOP },
	[VM_KEY_OVERHEAD] = { "overhead", "OVERHEAD", MRM_VM_OVERHEAD_BYTES, TOP, false, "OVHD" },
	[VM_KEY_ACTIVE_SLOW] = { "active-slow", "ASLOW", MRM_VM_ACTIVE_SLOW_BYTES, TOP, false,
				 "ACTVS" },
	[VM_KEY_ACTIVE_FAST] = { "active-fast", "AFAST", MRM_VM_ACTIVE_FAST_BYTES, TOP, false,
				 "ACTVF" },
	[VM_KEY_SHARES] = { "shares", "SHARES", MRM_VM_SHARES, TOP, false, "ASHRS" },
	[VM_KEY_MIN] = { "min", "MIN", MRM_VM_MIN_BYTES, TOP, false, "AMIN" },
	[VM_KEY_MAX] = { "max", "MAX", MRM_VM_MAX_BYTES, TOP, false, "AMAX" },
	[VM_KEY_STATE] = { "state", "STATE", -1, LIST | TOP },
};

/**
 * vm_key_parse() - look a column up
 * @name: as typed
 * @key: receives the column; untouched when there is none
 *
 * Return: whether there is a column of that name.
 */
bool vm_key_parse(const char *name, enum vm_key *key)
{
	int i;

	for (i = 0; i < VM_KEY_NR; i++) {
		if (strcasecmp(name, keys[i].name) && strcasecmp(name, keys[i].heading) &&
		    (!keys[i].esx || strcasecmp(name, keys[i].esx)) &&
		    (!keys[i].esx_too || strcasecmp(name, keys[i].esx_too)))
			continue;
		*key = i;
		return true;
	}
	return false;
}

/**
 * vm_key_name() - name of a column
 * @key: which
 *
 * Return: the name that vm_key_parse() takes.
 */
const char *vm_key_name(enum vm_key key)
{
	return keys[key].name;
}

/**
 * vm_key_rate() - which counter's growth a column shows
 * @key: which
 *
 * Return: the counter, or -1 if it shows no growth.
 */
int vm_key_rate(enum vm_key key)
{
	return keys[key].rate ? keys[key].counter : -1;
}

/**
 * vm_sort_option() - understand the column after -o, or complain
 * @view: the table that is to be sorted
 * @name: as typed, or NULL to leave @key alone
 * @key: receives the column
 *
 * Return: STATUS_OK, or STATUS_USAGE after a complaint.
 */
int vm_sort_option(const struct vm_view *view, const char *name, enum vm_key *key)
{
	char known[VM_KEY_NR * 32] = "";
	enum vm_key found;
	size_t i;

	if (!name)
		return STATUS_OK;
	for (i = 0; i < view->count; i++) {
		if (vm_key_parse(name, &found) && found == view->key[i]) {
			*key = found;
			return STATUS_OK;
		}
		strcat(strcat(known, i ? ", " : ""), vm_key_name(view->key[i]));
	}
	complain("there is no column \"%s\" to sort by; there are %s", name, known);
	return STATUS_USAGE;
}

/**
 * vm_view_init() - choose the columns of a table of VMs
 * @view: filled in
 * @kind: which table
 * @name_max: columns of the terminal a name may take, 0 for any number
 */
void vm_view_init(struct vm_view *view, enum vm_table_kind kind, size_t name_max)
{
	int i;

	view->count = 0;
	for (i = 0; i < VM_KEY_NR; i++) {
		if (!(keys[i].tables & (1 << kind)))
			continue;
		view->key[view->count] = i;
		view->column[view->count++] = (struct mrm_column){
			.heading = keys[i].heading,
			.right = i != VM_KEY_NAME && i != VM_KEY_STATE,
			.max = i == VM_KEY_NAME ? name_max : 0,
		};
	}
}

/* Does the row have a value there?  Rows that have none go last. */
static bool has_value(const struct vm_row *row, enum vm_key key)
{
	if (keys[key].rate)
		return row->rated & VM_KEY_BIT(key);
	if (keys[key].counter < 0)
		return true;
	return row->vm->have & MRM_WANT(keys[key].counter);
}

static int compare_doubles(double a, double b)
{
	return (a > b) - (a < b);
}

static int compare_values(const struct vm_row *a, const struct vm_row *b, enum vm_key key)
{
	uint64_t x, y;

	if (keys[key].rate)
		return -compare_doubles(a->rate[key], b->rate[key]);
	switch (key) {
	case VM_KEY_NAME:
		return strcmp(a->vm->text[MRM_VM_NAME], b->vm->text[MRM_VM_NAME]);
	case VM_KEY_STATE:
		return strcmp(a->vm->text[MRM_VM_STATE], b->vm->text[MRM_VM_STATE]);
	case VM_KEY_PID:
		return (a->vm->pid > b->vm->pid) - (a->vm->pid < b->vm->pid);
	default:
		/* In the kernel's unit: it is the same for all rows of a column. */
		x = a->vm->value[keys[key].counter];
		y = b->vm->value[keys[key].counter];
		return (x < y) - (x > y);
	}
}

/**
 * struct order - how rows are sorted
 * @key: by which column
 * @reverse: turned round
 */
struct order {
	enum vm_key key;
	bool reverse;
};

static int compare_rows(const void *left, const void *right, void *context)
{
	const struct vm_row *a = left, *b = right;
	const struct order *order = context;
	bool has_a = has_value(a, order->key), has_b = has_value(b, order->key);
	int result = 0;

	if (has_a != has_b)
		return has_a ? -1 : 1;
	if (has_a)
		result = compare_values(a, b, order->key);
	if (!result)
		return compare_values(a, b, VM_KEY_PID);
	return order->reverse ? -result : result;
}

/**
 * vm_sort() - sort rows
 * @rows: sorted in place
 * @count: number of rows
 * @key: column to sort by: words and pids rising, amounts falling
 * @reverse: the other way round; equal rows stay in the order of their pids
 */
void vm_sort(struct vm_row *rows, size_t count, enum vm_key key, bool reverse)
{
	struct order order = { .key = key, .reverse = reverse };

	if (count)
		qsort_r(rows, count, sizeof(*rows), compare_rows, &order);
}

static void add_rate(struct mrm_table *table, const struct vm_row *row, enum vm_key key)
{
	char text[MRM_UNIT_MAX] = "-";

	if (row->rated & VM_KEY_BIT(key)) {
		if (mrm_vm_counters[keys[key].counter].unit == MRM_BYTES)
			mrm_format_mib(text, sizeof(text), row->rate[key]);
		else
			snprintf(text, sizeof(text), "%.0f", row->rate[key]);
	}
	mrm_table_add(table, text);
}

/* That it waits; what keeps a VM from being shared; what of it was not adopted. */
static void add_state(struct mrm_table *table, const struct mrm_vm *vm)
{
	const char *blocked = vm->value[MRM_VM_BLOCKED_VCPUS] ? "blocked; " : "";
	const char *state = vm->text[MRM_VM_STATE];
	const char *reason = vm->text[MRM_VM_REASON];
	char text[2 * MRM_TEXT_MAX + 32];

	if (*reason)
		snprintf(text, sizeof(text), "%s%s%snot adopted: %s", blocked, state,
			 *state ? "; " : "", reason);
	else
		snprintf(text, sizeof(text), "%s%s", blocked, *state ? state : "-");
	mrm_table_add(table, text);
}

static void add_amount(struct mrm_table *table, const struct mrm_vm *vm, int counter)
{
	char text[MRM_UNIT_MAX];
	uint64_t bytes;

	if (!(vm->have & MRM_WANT(counter)))
		return mrm_table_add(table, "-");
	if (mrm_vm_counters[counter].unit == MRM_COUNT) {
		snprintf(text, sizeof(text), "%" PRIu64, vm->value[counter]);
		return mrm_table_add(table, text);
	}
	bytes = mrm_value_to_bytes(mrm_vm_counters[counter].unit, vm->value[counter]);
	mrm_table_add(table, mrm_format_mib(text, sizeof(text), bytes));
}

/**
 * vm_table_fill() - add rows to a table of VMs
 * @table: made with the columns of @view; keeps an error until it is printed
 * @view: the columns
 * @rows: in the order wanted
 * @count: number of rows
 */
void vm_table_fill(struct mrm_table *table, const struct vm_view *view, const struct vm_row *rows,
		   size_t count)
{
	char text[MRM_UNIT_MAX];
	size_t i, column;

	for (i = 0; i < count; i++) {
		const struct mrm_vm *vm = rows[i].vm;

		for (column = 0; column < view->count; column++) {
			switch (view->key[column]) {
			case VM_KEY_NAME:
				mrm_table_add(table,
					      *vm->text[MRM_VM_NAME] ? vm->text[MRM_VM_NAME] : "-");
				break;
			case VM_KEY_PID:
				snprintf(text, sizeof(text), "%d", (int)vm->pid);
				mrm_table_add(table, text);
				break;
			case VM_KEY_STATE:
				add_state(table, vm);
				break;
			default:
				if (keys[view->key[column]].rate)
					add_rate(table, &rows[i], view->key[column]);
				else
					add_amount(table, vm, keys[view->key[column]].counter);
				break;
			}
		}
	}
}
