// SPDX-License-Identifier: GPL-2.0
/* What all commands share: complaints, opening the tree, finding a VM. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "client.h"
#include "mrmctl.h"
#include "text.h"

/**
 * complain() - say on standard error what is wrong and what to do next
 * @format: as for printf(); without a newline, and without the program's name
 *
 * Everything printed is escaped: what is wrong may be a name with control
 * characters in it.
 */
void complain(const char *format, ...)
{
	char *text = NULL, *safe;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	safe = text ? mrm_escape_dup(text) : NULL;
	fprintf(stderr, "mrmctl: %s\n", safe ? safe : "out of memory");
	free(safe);
	free(text);
}

/**
 * complain_read() - say why something could not be read
 * @what: what was read
 * @error: negative error number
 *
 * Return: STATUS_FAILED.
 */
int complain_read(const char *what, int error)
{
	if ((error == -EACCES || error == -EPERM) && geteuid())
		complain("%s: not permitted; be root", what);
	else if (error == -ENODEV)
		complain("%s: it has gone: the module was unloaded meanwhile", what);
	else
		complain("%s: %s", what, strerror(-error));
	return STATUS_FAILED;
}

/**
 * open_root() - open the tree that the command line names
 * @options: from the command line
 * @root: filled in on success
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint.
 */
int open_root(const struct options *options, struct mrm_root *root)
{
	bool usual = !strcmp(options->sysfs, MRM_SYSFS);
	int error;

	error = mrm_open(root, options->sysfs);
	if (!error)
		return STATUS_OK;
	if (usual && error == -ENOENT)
		complain("kvm_mrm is not loaded; load it with \"modprobe kvm_mrm\"");
	else if (error == -EUCLEAN)
		complain("%s is not a copy of %s: it has no file \"vms\"", options->sysfs,
			 MRM_SYSFS);
	else
		complain_read(options->sysfs, error);
	return STATUS_FAILED;
}

static void complain_ambiguous(const struct mrm_vms *vms, const char *who)
{
	char *pids = NULL;
	size_t size = 0, i;
	FILE *list;

	list = open_memstream(&pids, &size);
	if (!list)
		return complain("\"%s\" is more than one VM", who);
	for (i = 0; i < vms->count; i++)
		if (mrm_vm_matches(&vms->vm[i], who))
			fprintf(list, "%spid:%d", size || ftell(list) ? ", " : "",
				(int)vms->vm[i].pid);
	fclose(list);
	complain("\"%s\" is more than one VM; say which: %s", who, pids);
	free(pids);
}

/**
 * look_for_vm() - find the VM that is meant, if there is one
 * @root: the open tree
 * @who: a name or a pid
 * @vm: filled in when there is one, with its name only; its pid is 0 if there is none
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint: there are several.
 */
int look_for_vm(const struct mrm_root *root, const char *who, struct mrm_vm *vm)
{
	size_t i, found = 0;
	struct mrm_vms vms;
	int error;

	vm->pid = 0;
	error = mrm_vms_read(root, &vms, MRM_WANT_TEXT(MRM_VM_NAME));
	if (error) {
		mrm_vms_free(&vms);
		return complain_read("list of VMs", error);
	}
	for (i = 0; i < vms.count; i++) {
		if (!mrm_vm_matches(&vms.vm[i], who))
			continue;
		if (!found++)
			*vm = vms.vm[i];
	}
	if (found > 1)
		complain_ambiguous(&vms, who);
	mrm_vms_free(&vms);
	return found > 1 ? STATUS_FAILED : STATUS_OK;
}

/**
 * find_vm() - find the VM that is meant
 * @root: the open tree
 * @who: a name or a pid
 * @vm: filled in on success, with its name only
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint.
 */
int find_vm(const struct mrm_root *root, const char *who, struct mrm_vm *vm)
{
	int status = look_for_vm(root, who, vm);

	if (status || vm->pid)
		return status;
	complain("no VM has the name or pid \"%s\"; \"mrmctl list\" shows them", who);
	return STATUS_FAILED;
}

/**
 * ask_mrmd() - ask the daemon
 * @request: freed
 * @answer: receives what it says, to be freed; untouched on error
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint: it is not there, or does
 * not want to.
 */
int ask_mrmd(struct json_object *request, struct json_object **answer)
{
	struct json_object *object;
	int error = mrm_ask(MRM_SOCKET, request, &object);

	if (error == -ENOENT || error == -ECONNREFUSED) {
		complain("mrmd does not run; start it with \"systemctl start mrmd\"");
		return STATUS_FAILED;
	}
	if (error)
		return complain_read("mrmd", error);
	if (json_object_get_boolean(json_object_object_get(object, "ok"))) {
		*answer = object;
		return STATUS_OK;
	}
	complain("%s", json_object_get_string(json_object_object_get(object, "why")));
	json_object_put(object);
	return STATUS_FAILED;
}
