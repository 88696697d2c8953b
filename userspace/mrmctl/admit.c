// SPDX-License-Identifier: GPL-2.0
/* mrmctl admit - what libvirt's hook asks before a guest starts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <json-c/json.h>

#include "client.h"
#include "json_out.h"
#include "mrmctl.h"

/* More than any domain's XML. */
#define XML_MAX (2u << 20)

static char *read_xml(void)
{
	char *xml = malloc(XML_MAX);
	size_t length = xml ? fread(xml, 1, XML_MAX, stdin) : 0;

	if (xml && length < XML_MAX) {
		xml[length] = '\0';
		return xml;
	}
	free(xml);
	return NULL;
}

static int run(const struct options *options, int argc, char **argv)
{
	struct json_object *request = json_object_new_object(), *answer;
	char *xml;
	int error, status = STATUS_OK;

	(void)argc;
	if (options->stop) {
		json_add(request, "do", json_object_new_string("release"));
		json_add(request, "name", json_object_new_string(argv[0]));
	} else {
		xml = read_xml();
		json_add(request, "do", json_object_new_string("admit"));
		json_add(request, "xml", json_object_new_string(xml ? xml : ""));
		free(xml);
	}
	error = mrm_ask(MRM_SOCKET, request, &answer);
	if (error) {
		/* Guests must start without mrmd, too. */
		openlog("mrmctl", 0, LOG_DAEMON);
		syslog(LOG_WARNING, "guest %s starts unasked: mrmd: %s", argv[0], strerror(-error));
		return STATUS_OK;
	}
	if (!json_object_get_boolean(json_object_object_get(answer, "ok"))) {
		complain("%s", json_object_get_string(json_object_object_get(answer, "why")));
		status = STATUS_FAILED;
	}
	json_object_put(answer);
	return status;
}

const struct command command_admit = {
	.name = "admit",
	.arguments = "[--stop] GUEST",
	.summary = "ask whether a guest may start (for libvirt's hook)",
	.help = "Asks mrmd whether the guest whose XML is on standard input may start: whether its\n"
		"min, and what the module needs for it, fit into what the mins of the others leave,\n"
		"and its swap file into what is free on its disk.  If more cannot be taken from it, as\n"
		"it is locked or there are no swap files, that counts instead, see mrmd(8).\n"
		"If not, it says why, and the exit status is 1.  When mrmd does not run the guest may\n"
		"start, and a line in the journal says so.\n"
		"\n"
		"  --stop              its start has failed, or it has ended\n",
	.options = "s",
	.min = 1,
	.max = 1,
	.run = run,
};
