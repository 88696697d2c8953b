// SPDX-License-Identifier: GPL-2.0
/* mrmctl qmp - have mrmd drive the balloon of a VM that libvirt does not know. */
#include <limits.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "json_out.h"
#include "mrmctl.h"

static int run(const struct options *options, int argc, char **argv)
{
	struct json_object *request, *answer;
	char path[PATH_MAX];
	struct mrm_root root;
	struct mrm_vm vm;
	int status;

	if ((argc == 2) == options->stop) {
		complain(options->stop ? "--stop takes a VM only" : "a VM, and a socket");
		return STATUS_USAGE;
	}
	status = open_root(options, &root);
	if (status)
		return status;
	status = find_vm(&root, argv[0], &vm);
	mrm_close(&root);
	if (status)
		return status;
	/* mrmd has a working directory of its own. */
	if (argc == 2 && !realpath(argv[1], path)) {
		complain("there is no socket %s", argv[1]);
		return STATUS_FAILED;
	}
	request = json_object_new_object();
	json_add(request, "do", json_object_new_string("qmp"));
	json_add(request, "pid", json_object_new_int(vm.pid));
	if (argc == 2)
		json_add(request, "socket", json_object_new_string(path));
	status = ask_mrmd(request, &answer);
	if (!status)
		json_object_put(answer);
	return status;
}

const struct command command_qmp = {
	.name = "qmp",
	.arguments = "VM SOCKET | --stop VM",
	.summary = "have mrmd drive the balloon of a VM without libvirt",
	.help = "Tells mrmd that SOCKET is a QMP socket of VM, which was started without libvirt, so\n"
		"that mrmd can drive its balloon.  QEMU makes it with\n"
		"\n"
		"  -qmp unix:SOCKET,server=on,wait=off\n"
		"\n"
		"and nobody else may use it.  mrmd remembers it for as long as the VM runs.\n"
		"\n"
		"  --stop              leave the balloon of VM as it is\n",
	.options = "s",
	.min = 1,
	.max = 2,
	.run = run,
};
