// SPDX-License-Identifier: GPL-2.0
/* mrmctl top -b - top without a terminal. */
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "json_out.h"
#include "table.h"
#include "top.h"

static void add_rate(struct json_object *object, const char *counter, bool known, double rate)
{
	char key[64];

	snprintf(key, sizeof(key), "%s_per_second", counter);
	json_object_object_add(object, key, known ? json_object_new_double(rate) : NULL);
}

static struct json_object *json_from_row(const struct vm_row *row)
{
	struct json_object *object = json_from_vm(row->vm, VM_TOP_WANT);
	int key, counter;

	for (key = 0; key < VM_KEY_NR; key++) {
		counter = vm_key_rate(key);
		if (counter >= 0)
			add_rate(object, mrm_vm_counters[counter].name,
				 row->rated & VM_KEY_BIT(key), row->rate[key]);
	}
	return object;
}

static int print_json(const struct top *top)
{
	struct json_object *object = json_object_new_object();
	struct json_object *host = json_from_host(&top->now.host);
	struct json_object *vms = json_object_new_array();
	static const enum mrm_host_counter rates[] = {
		MRM_HOST_SCANNED_PAGES, MRM_HOST_BROKEN_PAGES,	  MRM_HOST_OWNED_PAGES,
		MRM_HOST_ZIPS,		MRM_HOST_UNZIPS,	  MRM_HOST_ZIP_MISFITS,
		MRM_HOST_SWAP_OUTS,	MRM_HOST_SWAP_KEPT,	  MRM_HOST_SWAP_INS,
		MRM_HOST_SWAP_AHEADS,	MRM_HOST_RECLAIMED_BYTES,
	};
	double rate;
	bool known;
	size_t i;

	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		known = sample_host_rate(&top->now, &top->before, rates[i], &rate);
		add_rate(host, mrm_host_counters[rates[i]].name, known, rate);
	}
	for (i = 0; i < top->now.vms.count; i++)
		json_object_array_add(vms, json_from_row(&top->rows[i]));
	json_add(object, "time", json_object_new_int64(time(NULL)));
	json_add(object, "host", host);
	json_add(object, "vms", vms);
	return json_finish(object, false);
}

static int print_text(const struct top *top)
{
	struct mrm_table table;
	char line[256];
	unsigned int i;
	int error;

	for (i = 0; i < SUMMARY_LINES; i++) {
		top_summary(top, i, line, sizeof(line));
		printf("%s\n", line);
	}
	putchar('\n');
	mrm_table_init(&table, top->view.column, top->view.count);
	vm_table_fill(&table, &top->view, top->rows, top->now.vms.count);
	error = mrm_table_print(&table, stdout);
	mrm_table_free(&table);
	putchar('\n');
	return error ? complain_read("list of VMs", error) : STATUS_OK;
}

/* A timer that does not drift, however long a refresh takes. */
static int start_timer(uint64_t ms)
{
	struct itimerspec every = {
		.it_interval = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 },
	};
	int timer;

	every.it_value = every.it_interval;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer < 0)
		return -errno;
	if (timerfd_settime(timer, 0, &every, NULL) < 0) {
		int error = -errno;

		close(timer);
		return error;
	}
	return timer;
}

static int wait_timer(int timer)
{
	uint64_t expired;

	while (read(timer, &expired, sizeof(expired)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/**
 * top_batch() - print refresh after refresh to standard output
 * @top: made ready by the command
 *
 * Return: an enum status, after a complaint if it is not STATUS_OK.
 */
int top_batch(struct top *top)
{
	uint64_t left = top->options->iterations;
	int timer, error, status = STATUS_OK;

	timer = start_timer(top->delay_ms);
	if (timer < 0)
		return complain_read("timer", timer);
	for (;;) {
		error = top_refresh(top);
		if (error) {
			status = complain_read("counters", error);
			break;
		}
		status = top->options->json ? print_json(top) : print_text(top);
		if (status || fflush(stdout) || ferror(stdout) || (left && !--left))
			break;
		error = wait_timer(timer);
		if (error) {
			status = complain_read("timer", error);
			break;
		}
	}
	close(timer);
	return status;
}
