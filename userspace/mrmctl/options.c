// SPDX-License-Identifier: GPL-2.0
/*
 * The command line.  One table holds all options, so that an option means the
 * same wherever it is taken; a command lists the letters that it takes.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "mrmctl.h"
#include "text.h"

/* Options without a letter that people would type. */
#define OPTION_SYSFS 'S'
#define OPTION_VALUE 'v'
#define OPTION_WAIT 'w'
#define OPTION_HOST 'H'
#define OPTION_LIVE 'L'
#define OPTION_CONFIG 'C'
#define OPTION_STOP 's'

#define GLOBAL_OPTIONS "hjVS"

static const struct option all_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "version", no_argument, NULL, 'V' },
	{ "sysfs", required_argument, NULL, OPTION_SYSFS },
	{ "batch", no_argument, NULL, 'b' },
	{ "iterations", required_argument, NULL, 'n' },
	{ "delay", required_argument, NULL, 'd' },
	{ "sort", required_argument, NULL, 'o' },
	{ "reverse", no_argument, NULL, 'r' },
	{ "value", no_argument, NULL, OPTION_VALUE },
	{ "wait", no_argument, NULL, OPTION_WAIT },
	{ "host", required_argument, NULL, OPTION_HOST },
	{ "live", no_argument, NULL, OPTION_LIVE },
	{ "config", no_argument, NULL, OPTION_CONFIG },
	{ "stop", no_argument, NULL, OPTION_STOP },
	{ NULL, 0, NULL, 0 },
};

static bool taken(const struct command *command, int letter)
{
	return strchr(GLOBAL_OPTIONS, letter) || (command && strchr(command->options, letter));
}

static int refuse(const struct command *command, const char *problem, const char *text)
{
	complain("%s \"%s\"; see \"mrmctl help%s%s\"", problem, text, command ? " " : "",
		 command ? command->name : "");
	return -1;
}

/* An option as it was typed: the word @last, or a letter in the middle of one. */
static const char *typed(const char *last, bool whole, int letter, char name[3])
{
	if (whole && !strncmp(last, "--", 2))
		return last;
	name[0] = '-';
	name[1] = letter;
	name[2] = '\0';
	return name;
}

/* Take one option over.  Returns 0, or -1 after a complaint. */
static int take(const struct command *command, int letter, struct options *options)
{
	switch (letter) {
	case 'h':
		options->help = true;
		break;
	case 'j':
		options->json = true;
		break;
	case 'V':
		options->version = true;
		break;
	case OPTION_SYSFS:
		options->sysfs = optarg;
		break;
	case 'b':
		options->batch = true;
		break;
	case 'n':
		if (mrm_parse_u64(optarg, &options->iterations) || !options->iterations)
			return refuse(command, "not a number of refreshes:", optarg);
		break;
	case 'd':
		if (mrm_parse_seconds(optarg, &options->delay_ms) || options->delay_ms < 100)
			return refuse(command, "a delay is 0.1 to 86400 seconds, not", optarg);
		break;
	case 'o':
		options->sort = optarg;
		break;
	case 'r':
		options->reverse = true;
		break;
	case OPTION_VALUE:
		options->value = true;
		break;
	case OPTION_WAIT:
		options->wait = true;
		break;
	case OPTION_HOST:
		options->host = optarg;
		break;
	case OPTION_LIVE:
		options->live = true;
		break;
	case OPTION_CONFIG:
		options->config = true;
		break;
	case OPTION_STOP:
		options->stop = true;
		break;
	}
	return 0;
}

/**
 * options_parse() - take the options out of a command line
 * @command: the command they belong to, or NULL for those before a command
 * @argc: number of words at @argv
 * @argv: the words; the first is the program or the command, and is skipped;
 *        options are moved to the front
 * @options: changed by what is found
 *
 * Return: words used, so that @argv from there on holds the arguments, or -1
 * after a complaint.
 */
int options_parse(const struct command *command, int argc, char **argv, struct options *options)
{
	bool in_order = !command || command->in_order;
	int letter, before;
	const char *name;
	char buffer[3];

	opterr = 0;
	optind = 0;
	for (;;) {
		before = optind;
		letter = getopt_long(argc, argv, in_order ? "+:hjVbn:d:o:r" : ":hjVbn:d:o:r",
				     all_options, NULL);
		if (letter == -1)
			break;
		name = typed(argv[optind - 1], optind > before,
			     letter == '?' || letter == ':' ? optopt : letter, buffer);
		if (letter == ':')
			return refuse(command, "an argument is missing after", name);
		if (letter == '?')
			return refuse(command, "unknown option", name);
		if (!taken(command, letter))
			return refuse(command, "option does not belong here:", name);
		if (take(command, letter, options))
			return -1;
	}
	return optind;
}
