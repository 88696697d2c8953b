// SPDX-License-Identifier: GPL-2.0
/* Counters at one moment, and what happened in a second between two moments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sample.h"

/**
 * sample_read() - read all that top shows
 * @root: the open tree
 * @sample: filled in, to be freed with sample_free(), on error too
 *
 * Return: 0, -ENOMEM, or the error of a read: -ENODEV or -ENOENT when the
 * module has gone.
 */
int sample_read(const struct mrm_root *root, struct sample *sample)
{
	struct timespec now;
	int error;

	memset(sample, 0, sizeof(*sample));
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->ns = 1000000000 * (uint64_t)now.tv_sec + now.tv_nsec;
	error = mrm_host_read(root, &sample->host);
	return error ? error : mrm_vms_read(root, &sample->vms, VM_TOP_WANT);
}

/**
 * sample_free() - free what sample_read() filled in
 * @sample: empty afterwards
 */
void sample_free(struct sample *sample)
{
	mrm_vms_free(&sample->vms);
	memset(sample, 0, sizeof(*sample));
}

/**
 * sample_replace() - make the new sample the old one
 * @before: freed, and takes over
 * @now: empty afterwards
 */
void sample_replace(struct sample *before, struct sample *now)
{
	sample_free(before);
	*before = *now;
	memset(now, 0, sizeof(*now));
}

/**
 * sample_rate() - how much a counter grew in a second
 * @now: the counter
 * @before: the counter earlier; not above @now unless it was reset
 * @ns: nanoseconds between them, not 0
 *
 * Return: growth per second, 0 after a reset.
 */
double sample_rate(uint64_t now, uint64_t before, uint64_t ns)
{
	return now > before ? (now - before) * 1e9 / ns : 0;
}

/* Rates of all columns that have one. */
static void rate_row(struct vm_row *row, const struct mrm_vm *before, uint64_t ns)
{
	const struct mrm_vm *now = row->vm;
	int key, counter;

	for (key = 0; key < VM_KEY_NR; key++) {
		counter = vm_key_rate(key);
		if (counter < 0 || !(now->have & before->have & MRM_WANT(counter)))
			continue;
		row->rate[key] = sample_rate(now->value[counter], before->value[counter], ns);
		row->rated |= VM_KEY_BIT(key);
	}
}

/**
 * sample_rows() - rows of a table with rates
 * @now: the sample that is shown; the rows point into it
 * @before: an earlier sample; may be empty, and then there are no rates
 *
 * A VM that was not there before has no rates, nor has one that got the pid of
 * a VM that has ended.
 *
 * Return: a row for every VM of @now, in the order of pids, to be freed, or
 * NULL without memory.
 */
struct vm_row *sample_rows(const struct sample *now, const struct sample *before)
{
	struct vm_row *rows = calloc(now->vms.count + 1, sizeof(*rows));
	uint64_t ns = now->ns - before->ns;
	size_t i, j = 0;

	if (!rows)
		return NULL;
	for (i = 0; i < now->vms.count; i++) {
		const struct mrm_vm *vm = &now->vms.vm[i], *old;
		struct vm_row *row = &rows[i];

		row->vm = vm;
		while (j < before->vms.count && before->vms.vm[j].pid < vm->pid)
			j++;
		if (!before->ns || !ns || j == before->vms.count)
			continue;
		old = &before->vms.vm[j];
		if (old->pid != vm->pid || old->node != vm->node)
			continue;
		rate_row(row, old, ns);
	}
	return rows;
}

/**
 * sample_host_rate() - how much a counter of the host grew in a second
 * @now: the sample that is shown
 * @before: an earlier sample; may be empty
 * @counter: which
 * @rate: receives the growth per second, in the counter's unit; 0 if unknown
 *
 * Return: whether it is known.
 */
bool sample_host_rate(const struct sample *now, const struct sample *before,
		      enum mrm_host_counter counter, double *rate)
{
	*rate = 0;
	if (!before->ns || now->ns == before->ns)
		return false;
	if (!now->host.have[counter] || !before->host.have[counter])
		return false;
	*rate = sample_rate(now->host.value[counter], before->host.value[counter],
			    now->ns - before->ns);
	return true;
}
