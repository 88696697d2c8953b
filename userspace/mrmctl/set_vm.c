// SPDX-License-Identifier: GPL-2.0
/*
 * mrmctl set VM - the settings of a VM.  The kernel is asked first: what it refuses
 * is not kept in the guest's XML either.  mrmd, which sees the XML change, finds it
 * done; without mrmd it is done all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "client.h"
#include "domain.h"
#include "json_out.h"
#include "libvirt_pid.h"
#include "mrmctl.h"
#include "settings.h"
#include "units.h"

#define LOCK "/run/mrmctl.lock"

/**
 * struct vm_settings - new settings of a VM
 * @settings: what was typed
 * @promised: what mrmd says that the min cannot take, in bytes
 */
struct vm_settings {
	struct mrm_settings settings;
	uint64_t promised;
};

static int parse_one(const char *word, struct vm_settings *all)
{
	size_t length = strcspn(word, "=");
	char why[MRM_WHY_MAX];
	int which;

	if (*word == '-') {
		complain("cannot take \"%s\": options come before the VM, as in \"mrmctl set "
			 "--live VM KEY=VALUE\"",
			 word);
		return STATUS_USAGE;
	}
	which = mrm_setting_find(word, length);
	if (which < 0 || word[length] != '=' || all->settings.given[which]) {
		complain("cannot take \"%s\": a VM has shares=, min=, max=, salt=, "
			 "share=on|off and large=on|off, each given once",
			 word);
		return STATUS_USAGE;
	}
	if (!mrm_settings_put(&all->settings, which, word + length + 1, why))
		return STATUS_OK;
	complain("%s", why);
	return STATUS_USAGE;
}

/* Understand KEY=VALUE words, all before any of them is done. */
static int parse(int argc, char **argv, struct vm_settings *all)
{
	char why[MRM_WHY_MAX];
	int status = STATUS_OK, i;

	for (i = 0; i < argc && !status; i++)
		status = parse_one(argv[i], all);
	if (!status && mrm_settings_check(&all->settings, why)) {
		complain("%s", why);
		status = STATUS_USAGE;
	}
	return status;
}

static void refused(void *data, const char *file, const char *value, int error)
{
	(void)data;
	if (error == -ENOENT)
		complain("%s: this kvm_mrm does not have it; it is older than mrmctl", file);
	else if (error == -ENOSPC)
		complain(
			"%s: %s does not fit into what the mins of the others leave, guests that "
			"are starting, and those from which less can be taken, as there is no swap "
			"or they are locked; see unreserved_bytes in \"mrmctl host\"",
			file, value);
	else if (error == -EINVAL || error == -ERANGE)
		complain("%s: the kernel refuses %s", file, value);
	else
		complain_write(file, error);
}

/* A swap file was made for the min and max that there were; mrmd makes it larger, if it can. */
static void note_swap(const struct mrm_root *root, const struct mrm_vm *vm)
{
	uint64_t min = mrm_vm_u64_or_0(root, vm->pid, "min_bytes");
	uint64_t max = mrm_vm_u64_or_0(root, vm->pid, "max_bytes");
	char path[PATH_MAX], a[MRM_UNIT_MAX], b[MRM_UNIT_MAX];
	struct stat status;

	if (mrm_vm_read_text(root, vm->pid, "swap_file", path, sizeof(path)) ||
	    stat(path, &status) || !S_ISREG(status.st_mode) || max <= min ||
	    max - min <= (uint64_t)status.st_size)
		return;
	complain(
		"note: its swap file has %s MiB, until mrmd has made it larger: of the %s MiB that "
		"may be taken from it now, more than that is not swapped before",
		mrm_format_mib(a, sizeof(a), status.st_size),
		mrm_format_mib(b, sizeof(b), max - min));
}

static int apply(const struct mrm_root *root, const struct mrm_vm *vm,
		 const struct vm_settings *all)
{
	if (mrm_settings_apply(root, vm, &all->settings, all->promised, refused, NULL))
		return STATUS_FAILED;
	if (all->settings.given[MRM_MIN] || all->settings.given[MRM_MAX])
		note_swap(root, vm);
	return STATUS_OK;
}

/* Without mrmd nobody is promised anything; one that does not answer may have promised. */
static int ask_promised(pid_t pid, uint64_t min, uint64_t *bytes)
{
	struct json_object *answer, *request = json_object_new_object();
	int error;

	json_add(request, "do", json_object_new_string("promised"));
	json_add(request, "pid", json_object_new_int(pid));
	json_add(request, "min", json_object_new_uint64(min));
	error = mrm_ask(MRM_SOCKET, request, &answer);
	*bytes = 0;
	if (error == -ENOENT || error == -ECONNREFUSED)
		return STATUS_OK;
	if (error)
		return complain_read("what mrmd has promised to other guests", error);
	error = !json_object_get_boolean(json_object_object_get(answer, "ok"));
	if (error)
		complain(
			"mrmd does not say what it has promised to other guests: %s; if it is older "
			"than mrmctl, restart it",
			json_object_get_string(json_object_object_get(answer, "why")));
	*bytes = json_object_get_uint64(json_object_object_get(answer, "promised_bytes"));
	json_object_put(answer);
	return error ? STATUS_FAILED : STATUS_OK;
}

/* What another one sets at the same time is not to be lost.  Without a lock, as it was. */
static int lock(void)
{
	int fd = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static int set_both(const struct options *options, const struct mrm_root *root,
		    const struct mrm_vm *vm, const struct domain *domain,
		    const struct vm_settings *all)
{
	int fd = domain->handle ? lock() : -1, status = STATUS_OK;

	if (domain->handle)
		status = domain_check(domain, options, &all->settings);

	if (!status && vm->pid && !options->config)
		status = apply(root, vm, all);
	if (!status && domain->handle)
		status = domain_write(domain, options, &all->settings);
	if (fd >= 0)
		close(fd);
	return status;
}

/* A domain that runs is known by its process, one that does not by its name. */
static int find_domain(const char *who, const struct mrm_vm *vm, struct domain *domain)
{
	char name[MRM_TEXT_MAX];

	if (!vm->pid)
		return domain_find(domain, who);
	if (!mrm_libvirt_name(vm->pid, name, sizeof(name)))
		return STATUS_OK;
	return domain_find(domain, name);
}

static int set_here(const struct options *options, const struct mrm_root *root, const char *who,
		    struct vm_settings *all)
{
	struct mrm_vm vm = { 0 };
	struct domain domain = { 0 };
	int status = STATUS_OK;

	if (root->fd >= 0)
		status = look_for_vm(root, who, &vm);
	if (!status)
		status = find_domain(who, &vm, &domain);
	if (!status && !vm.pid && !domain.handle) {
		complain("no VM has the name or pid \"%s\", and libvirt has no such guest", who);
		status = STATUS_FAILED;
	} else if (!status && !domain.handle && (options->live || options->config)) {
		complain("%s: --live and --config are for guests of libvirt", who);
		status = STATUS_FAILED;
	}
	if (!status && vm.pid && all->settings.given[MRM_MIN])
		status = ask_promised(vm.pid, mrm_settings_bytes(&all->settings, MRM_MIN),
				      &all->promised);
	if (!status)
		status = set_both(options, root, &vm, &domain, all);
	domain_close(&domain);
	return status;
}

static int set_copy(const struct options *options, const struct mrm_root *root, const char *who,
		    const struct vm_settings *all)
{
	struct mrm_vm vm;
	int status = find_vm(root, who, &vm);

	if (status)
		return status;
	note_copy(options, root);
	return apply(root, &vm, all);
}

/**
 * set_vm() - change settings of a VM
 * @options: from the command line
 * @who: a name or a pid
 * @argc: number of words
 * @argv: words KEY=VALUE
 *
 * Return: an enum status.
 */
int set_vm(const struct options *options, const char *who, int argc, char **argv)
{
	bool here = !strcmp(options->sysfs, MRM_SYSFS);
	struct vm_settings all = { 0 };
	struct mrm_root root;
	int status, error;

	status = parse(argc, argv, &all);
	if (status)
		return status;
	if (!here) {
		status = open_root(options, &root);
		if (!status)
			status = set_copy(options, &root, who, &all);
	} else {
		error = mrm_open(&root, options->sysfs);
		if (error && error != -ENOENT)
			return open_root(options, &root);
		status = set_here(options, &root, who, &all);
	}
	mrm_close(&root);
	return status;
}
