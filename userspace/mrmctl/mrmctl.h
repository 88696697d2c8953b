/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMCTL_H
#define MRMCTL_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"
#include "vm.h"

/**
 * enum status - exit statuses, as the manual page has them
 * @STATUS_OK: done
 * @STATUS_FAILED: understood, but could not be done
 * @STATUS_USAGE: not understood
 */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
};

/**
 * struct options - what the command line says besides the command's arguments
 * @json: print for programs
 * @help: explain instead of doing
 * @version: print the version instead of doing
 * @sysfs: directory to read; MRM_SYSFS unless told otherwise
 * @batch: top without a terminal
 * @iterations: refreshes of top before it ends, 0 for no end
 * @delay_ms: between two refreshes of top, in milliseconds
 * @sort: column to sort by, NULL for the command's own choice
 * @reverse: turn the order round
 * @value: print a tunable's value alone
 * @wait: wait for the scan to end
 * @live: set for the running guest only
 * @config: set in the guest's XML only
 * @stop: end what was begun
 * @host: where the root of the host to look at is, "" for this one
 */
struct options {
	bool json;
	bool help;
	bool version;
	const char *sysfs;
	bool batch;
	uint64_t iterations;
	uint64_t delay_ms;
	const char *sort;
	bool reverse;
	bool value;
	bool wait;
	bool live;
	bool config;
	bool stop;
	const char *host;
};

/**
 * struct command - a subcommand
 * @name: as typed
 * @arguments: what follows it, for the usage line
 * @summary: what it does, in a few words
 * @help: what it does, in full; lines that end in a newline
 * @options: letters of the options of its own that it takes
 * @min: arguments it needs
 * @max: arguments it takes
 * @in_order: an option after the first argument is an argument, such as "-5"
 * @run: does it, and returns an enum status; @argv holds @argc arguments
 */
struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	const char *help;
	const char *options;
	int min;
	int max;
	bool in_order;
	int (*run)(const struct options *options, int argc, char **argv);
};

extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_host;
extern const struct command command_top;
extern const struct command command_io;
extern const struct command command_get;
extern const struct command command_set;
extern const struct command command_scan;
extern const struct command command_status;
extern const struct command command_qmp;
extern const struct command command_admit;
extern const struct command command_doctor;
extern const struct command command_version;
extern const struct command command_help;

extern const struct command *const commands[];

const struct command *command_find(const char *name);

int options_parse(const struct command *command, int argc, char **argv, struct options *options);

int open_root(const struct options *options, struct mrm_root *root);
int look_for_vm(const struct mrm_root *root, const char *who, struct mrm_vm *vm);
int find_vm(const struct mrm_root *root, const char *who, struct mrm_vm *vm);

void note_copy(const struct options *options, const struct mrm_root *root);
int set_vm(const struct options *options, const char *who, int argc, char **argv);

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int complain_read(const char *what, int error);
int complain_write(const char *what, int error);

struct json_object;

int ask_mrmd(struct json_object *request, struct json_object **answer);

#endif
