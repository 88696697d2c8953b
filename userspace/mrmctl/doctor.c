// SPDX-License-Identifier: GPL-2.0
/* mrmctl doctor - what on this host stands in the way, and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "client.h"
#include "json_out.h"
#include "mrmctl.h"
#include "signed.h"
#include "text.h"

#define LINE 512

/**
 * enum verdict - of something looked at
 * @FINE: as it should be
 * @HINT: works, and could be better
 * @PROBLEM: does not work
 * @VERDICTS: how many there are
 */
enum verdict {
	FINE,
	HINT,
	PROBLEM,
	VERDICTS,
};

static const char *const verdict_words[VERDICTS] = { "ok", "hint", "problem" };

/**
 * struct examination - what is being looked at, and what was found
 * @options: from the command line
 * @list: all findings, for programs; NULL: they are printed
 * @count: findings of each kind
 */
struct examination {
	const struct options *options;
	struct json_object *list;
	unsigned int count[VERDICTS];
};

/* @advice may be NULL. */
static void tell(struct examination *x, enum verdict verdict, const char *advice,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell(struct examination *x, enum verdict verdict, const char *advice,
		 const char *format, ...)
{
	char text[LINE], *safe;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	x->count[verdict]++;
	if (x->list) {
		struct json_object *finding = json_object_new_object();

		json_add(finding, "verdict", json_object_new_string(verdict_words[verdict]));
		json_add(finding, "text", json_object_new_string(text));
		if (advice)
			json_add(finding, "advice", json_object_new_string(advice));
		json_object_array_add(x->list, finding);
		return;
	}
	/* A VM's name is its owner's choice. */
	safe = mrm_escape_dup(text);
	printf("%-9s%s\n", verdict_words[verdict], safe ? safe : "out of memory");
	free(safe);
	if (advice)
		printf("         %s\n", advice);
}

static void host_path(const struct examination *x, const char *file, char *path, size_t size)
{
	snprintf(path, size, "%s%s", x->options->host, file);
}

static bool there(const struct examination *x, const char *file)
{
	char path[LINE];

	host_path(x, file, path, sizeof(path));
	return !access(path, F_OK);
}

/* The first line of a file with @part in it, or the first of all if it is NULL. */
static bool find_line(const struct examination *x, const char *file, const char *part,
		      char line[LINE])
{
	char path[LINE];
	bool found = false;
	FILE *f;

	host_path(x, file, path, sizeof(path));
	f = fopen(path, "r");
	while (f && !found && fgets(line, LINE, f))
		found = !part || strstr(line, part);
	if (f)
		fclose(f);
	return found;
}

static bool begins_with(const struct examination *x, const char *file, const char *text)
{
	char line[LINE];

	return find_line(x, file, NULL, line) && !strncmp(line, text, strlen(text));
}

static void look_at_kvm(struct examination *x)
{
	static const char todo[] =
		"modprobe kvm_intel or kvm_amd; virtualization may be off in the firmware";

	if (!there(x, "/sys/module/kvm"))
		tell(x, PROBLEM, todo, "KVM is not loaded");
	/* Our module alone loads the first of its two. */
	else if (there(x, "/dev") && !there(x, "/dev/kvm"))
		tell(x, PROBLEM, todo, "KVM is loaded, but there is no /dev/kvm");
	else
		tell(x, FINE, NULL, "KVM is loaded");
}

/*
 * Is the module in a file signed?  The kernel's sign-file puts a mark at the end,
 * before the file is compressed.
 */
static bool is_signed(const char *path)
{
	static const char mark[] = "~Module signature appended~\n";
	char end[sizeof(mark)] = "";
	FILE *f;

	setenv("MRM_MODULE", path, 1);
	f = popen("case $MRM_MODULE in *.xz) c=xz ;; *.zst) c=zstd ;; *.gz) c=gzip ;; esac; "
		  "${c:-cat} ${c:+-dcq} <\"$MRM_MODULE\" 2>/dev/null | tail -c 28",
		  "r");
	if (!f)
		return false;
	end[fread(end, 1, sizeof(end) - 1, f)] = '\0';
	pclose(f);
	return !strcmp(end, mark);
}

/* Is it in the kernel's log, which root can read?  Each read gives a record of that. */
static bool log_has(const struct examination *x, const char *text)
{
	char path[LINE], record[8192];
	bool found = false;
	ssize_t n;
	int fd;

	host_path(x, "/dev/kmsg", path, sizeof(path));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (!found) {
		n = read(fd, record, sizeof(record) - 1);
		/* What would have been next has been overwritten. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		found = strstr(record, text);
	}
	close(fd);
	return found;
}

/* Of which module is not said, but those that DKMS builds have one key. */
static bool refused_a_key(const struct examination *x)
{
	return log_has(x, "Loading of module with unavailable key is rejected") ||
	       log_has(x, "unsigned module loading is restricted");
}

/* In the kernel, or in a module. */
static bool has_function(const struct examination *x, const char *name)
{
	char text[LINE], line[LINE];

	snprintf(text, sizeof(text), "%s\n", name);
	if (find_line(x, "/proc/kallsyms", text, line))
		return true;
	snprintf(text, sizeof(text), "%s\t", name);
	return find_line(x, "/proc/kallsyms", text, line);
}

/* Functions that the module places probes on, if it is to be loaded. */
static void look_at_symbols(struct examination *x)
{
	static const struct {
		const char *name, *without;
		bool is_of_kvm;
	} functions[] = {
		{ "do_madvise", "discards could not be seen", false },
		{ "__x64_sys_process_madvise", "discards could not be seen", false },
		{ "kvm_set_memory_region", "no guest could be adopted", true },
		{ "kvm_arch_destroy_vm", "the end of guests could not be seen", true },
	};
	size_t i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if ((functions[i].is_of_kvm && !there(x, "/sys/module/kvm")) ||
		    has_function(x, functions[i].name))
			continue;
		tell(x, PROBLEM, "this kernel is not supported; please report it",
		     "%s has no function %s: %s", functions[i].is_of_kvm ? "KVM" : "the kernel",
		     functions[i].name, functions[i].without);
	}
}

/* A byte after four of attributes. */
static bool secure_boot(const struct examination *x)
{
	char path[LINE], value[5] = "";
	FILE *f;

	host_path(x, "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		  path, sizeof(path));
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fread(value, 1, sizeof(value), f) < sizeof(value))
		value[4] = 0;
	fclose(f);
	return value[4] == 1;
}

/* The file of the module, as modules.dep names it: "updates/kvm_mrm.ko.xz: ..." */
static bool find_module(const struct examination *x, const char *release, char path[LINE])
{
	char line[LINE], file[LINE];

	snprintf(file, sizeof(file), "/lib/modules/%s/modules.dep", release);
	if (!find_line(x, file, "/kvm_mrm.ko", line))
		return false;
	line[strcspn(line, ":")] = '\0';
	snprintf(file, sizeof(file), "/lib/modules/%.100s/%.300s", release, line);
	host_path(x, file, path, LINE);
	return true;
}

/* Keys are taken from the firmware after Secure Boot alone. */
static const char *advice_for_key(bool secure)
{
	if (secure)
		return "mokutil --import /var/lib/dkms/mok.pub, and reboot: see Secure Boot in "
		       "install.md";
	return "boot without module.sig_enforce=1 and lockdown=, or with Secure Boot: see there in "
	       "install.md";
}

static void look_at_signature(struct examination *x, const char *module)
{
	bool secure = secure_boot(x);
	const char *why = secure ? " (Secure Boot is on)" : "";

	if (is_signed(module) && refused_a_key(x))
		tell(x, PROBLEM, advice_for_key(secure),
		     "kvm_mrm is not loaded: the kernel refused its signature, as it does not know "
		     "the key%s",
		     why);
	else if (is_signed(module))
		tell(x, PROBLEM,
		     "modprobe kvm_mrm; if its key is rejected, see Secure Boot in install.md",
		     "kvm_mrm is not loaded, and the kernel takes modules signed with a key it "
		     "knows only%s",
		     why);
	else
		tell(x, PROBLEM, "see Secure Boot in Documentation/install.md",
		     "kvm_mrm is not signed, and the kernel takes signed modules only%s", why);
}

static bool look_at_module(struct examination *x)
{
	char module[LINE];
	struct utsname kernel;

	if (there(x, MRM_SYSFS)) {
		tell(x, FINE, NULL, "kvm_mrm is loaded");
		return true;
	}
	look_at_symbols(x);
	uname(&kernel);
	if (!find_module(x, kernel.release, module))
		tell(x, PROBLEM,
		     "DKMS needs linux-headers-$(uname -r); else see Documentation/install.md",
		     "kvm_mrm is not installed for the running kernel, %s", kernel.release);
	else if (mrm_signed_modules_only(x->options->host))
		look_at_signature(x, module);
	else
		tell(x, PROBLEM, "modprobe kvm_mrm, before the guests are started",
		     "kvm_mrm is not loaded");
	return false;
}

static void look_at_probes(struct examination *x)
{
	char line[LINE];
	bool fine = true;

	if (begins_with(x, "/proc/sys/kernel/ftrace_enabled", "0")) {
		fine = false;
		tell(x, PROBLEM, "sysctl kernel.ftrace_enabled=1",
		     "probes are off (ftrace_enabled): guests are not adopted, discards not seen");
	}
	if (begins_with(x, "/sys/kernel/debug/kprobes/enabled", "0")) {
		fine = false;
		tell(x, PROBLEM, "echo 1 > /sys/kernel/debug/kprobes/enabled",
		     "probes are off (kprobes/enabled): guests are not adopted, discards not seen");
	}
	if (find_line(x, "/sys/kernel/debug/mrm/missed", "slots ", line) &&
	    strcmp(line, "slots 0\n")) {
		fine = false;
		tell(x, HINT, "guests that are not adopted are when they are started again",
		     "memory slots of guests that may have gone unseen: %.*s",
		     (int)strcspn(line + 6, "\n"), line + 6);
	}
	if (find_line(x, "/sys/kernel/debug/mrm/missed", "discards ", line) &&
	    strcmp(line, "discards 0\n")) {
		fine = false;
		tell(x, HINT, "their guest pages are kept until they are discarded again",
		     "calls of madvise() that may have gone unseen: %.*s",
		     (int)strcspn(line + 9, "\n"), line + 9);
	}
	if (fine)
		tell(x, FINE, NULL, "probes work");
}

static const char *advice_for(const char *reason)
{
	if (strstr(reason, "hugetlb"))
		return "without <hugepages/> in its <memoryBacking> it would be";
	if (strstr(reason, "memfd"))
		return "without <source type='memfd'/> and <access mode='shared'/> it would be";
	if (strstr(reason, "before the module"))
		return "it will be when it is started again";
	return "see Documentation/guests.md";
}

static void look_at_vms(struct examination *x, const struct mrm_root *root)
{
	unsigned int adopted = 0, salted = 0;
	struct mrm_vms vms;
	uint64_t salting;
	size_t i;
	int error;

	error = mrm_vms_read(root, &vms, MRM_WANT_ALL);
	if (error) {
		mrm_vms_free(&vms);
		return tell(x, PROBLEM, NULL, "the VMs cannot be read: %s", strerror(-error));
	}
	for (i = 0; i < vms.count; i++) {
		const struct mrm_vm *vm = &vms.vm[i];

		salted += vm->text[MRM_VM_SALT][0] != '\0';
		if (vm->value[MRM_VM_ADOPTED_BYTES])
			adopted++;
		else
			tell(x, HINT, advice_for(vm->text[MRM_VM_REASON]),
			     "no memory of %s (pid %d) is adopted: %s",
			     vm->text[MRM_VM_NAME][0] ? vm->text[MRM_VM_NAME] : "a VM",
			     (int)vm->pid, vm->text[MRM_VM_REASON]);
	}
	tell(x, FINE, NULL, "VMs that are adopted: %u of %zu", adopted, vms.count);
	/* Salts can be read by root alone. */
	if (adopted > 1 && !salted && !geteuid() &&
	    !mrm_read_u64(root->fd, "share_force_salting", &salting) && salting == 2)
		tell(x, HINT, "mrmctl set VM salt=TEXT, the same for those that may share",
		     "no VM has a salt, so none shares with another");
	mrm_vms_free(&vms);
}

static void look_at_scanner(struct examination *x, const struct mrm_root *root)
{
	static const char *const stops[] = { "share_cpu_max", "share_scan_time", "share_rate_max" };
	uint64_t value;
	size_t i;

	for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (!mrm_read_u64(root->fd, stops[i], &value) && !value)
			tell(x, HINT, "\"mrmctl get\" shows its default",
			     "the scanner is stopped: %s is 0", stops[i]);
}

/* Devices that reach less than all memory, and what that costs. */
static void look_at_io(struct examination *x, const struct mrm_root *root)
{
	uint64_t bounces, threshold, max, refused = 0, missed = 0;

	if (mrm_read_u64(root->fd, "io_bounces", &bounces) || !bounces ||
	    mrm_read_u64(root->fd, "hot_io_threshold", &threshold) ||
	    mrm_read_u64(root->fd, "hot_io_max", &max))
		return;
	mrm_read_u64(root->fd, "io_refused", &refused);
	mrm_read_u64(root->fd, "io_missed", &missed);
	if (!threshold || !max)
		tell(x, HINT, "\"mrmctl get\" shows the default",
		     "guest pages were copied %" PRIu64
		     " times for devices that do not reach them, and none is moved: %s is 0",
		     bounces, threshold ? "hot_io_max" : "hot_io_threshold");
	else if (refused)
		tell(x, HINT, "a larger hot_io_max, or devices that reach all memory",
		     "%" PRIu64 " times a guest page that is copied for a device was not moved",
		     refused);
	else
		tell(x, FINE, NULL, "guest pages that are copied for devices are moved");
	if (missed > bounces / 2)
		tell(x, HINT, "\"mrmctl io\" tells for which devices",
		     "of most copies it is not known of which guest page: too many are in use");
}

static void look_at_ksm(struct examination *x)
{
	if (begins_with(x, "/sys/kernel/mm/ksm/run", "1"))
		tell(x, HINT, "stop ksmtuned, if it runs, and echo 2 > /sys/kernel/mm/ksm/run",
		     "KSM runs as well: it finds nothing in adopted memory, and costs CPU time");
}

static void look_at_huge_pages(struct examination *x)
{
	uint64_t total = 0, huge = 0;
	char line[LINE];

	if (find_line(x, "/proc/meminfo", "MemTotal:", line))
		sscanf(line, "MemTotal: %" SCNu64, &total);
	/* Of all sizes that there are. */
	if (find_line(x, "/proc/meminfo", "Hugetlb:", line))
		sscanf(line, "Hugetlb: %" SCNu64, &huge);
	if (total && huge > total / 2)
		tell(x, HINT, "sysctl vm.nr_hugepages, and <hugepages/> in the guests' XML",
		     "%" PRIu64 " of %" PRIu64 " MiB are for huge pages, which cannot be shared",
		     huge / 1024, total / 1024);
}

/* And how many guests started without being asked for.  Somebody who may not ask does not know. */
static bool mrmd_answers(int64_t *unasked)
{
	struct json_object *request = json_object_new_object(), *answer;
	int error;

	*unasked = 0;
	json_add(request, "do", json_object_new_string("status"));
	error = mrm_ask(MRM_SOCKET, request, &answer);
	if (error)
		return error == -EACCES;
	*unasked = json_object_get_int64(json_object_object_get(answer, "unasked_starts"));
	json_object_put(answer);
	return true;
}

static void look_at_hook(struct examination *x, int64_t unasked)
{
	if (!there(x, MRM_HOOK))
		tell(x, HINT,
		     "put libvirt-hook there, and have libvirt look: systemctl reload libvirtd",
		     MRM_HOOK " is not there: no start is refused that does not fit");
	else if (unasked)
		tell(x, PROBLEM, "systemctl reload libvirtd, or virtqemud",
		     "libvirt does not know its hook for admission, or did not when guests started "
		     "last: %" PRId64 " unasked",
		     unasked);
	else
		tell(x, FINE, NULL, "libvirt's hook for admission is installed");
}

/* What a host with libvirt needs besides the module, to balance memory. */
static void look_at_mrmd(struct examination *x)
{
	int64_t unasked = 0;

	if (!there(x, "/etc/libvirt"))
		return;
	if (!there(x, MRM_SOCKET))
		tell(x, HINT, "systemctl enable --now mrmd",
		     "mrmd does not run: no balloon moves, and settings in the guests' XML are not "
		     "applied");
	else if (*x->options->host || mrmd_answers(&unasked))
		tell(x, FINE, NULL, "mrmd runs");
	else
		tell(x, PROBLEM, "systemctl restart mrmd; its log is in journalctl -u mrmd",
		     "mrmd does not answer");
	look_at_hook(x, unasked);
}

static void look_at_all(struct examination *x)
{
	char path[LINE];
	struct mrm_root root;

	look_at_kvm(x);
	if (look_at_module(x)) {
		look_at_probes(x);
		host_path(x, MRM_SYSFS, path, sizeof(path));
		if (!mrm_open(&root, path)) {
			look_at_vms(x, &root);
			look_at_scanner(x, &root);
			look_at_io(x, &root);
			mrm_close(&root);
		} else {
			tell(x, PROBLEM, NULL, "%s cannot be read", path);
		}
	}
	look_at_mrmd(x);
	look_at_ksm(x);
	look_at_huge_pages(x);
}

static int run(const struct options *options, int argc, char **argv)
{
	struct examination x = { .options = options };
	int status;

	(void)argc;
	(void)argv;
	if (options->json)
		x.list = json_object_new_array();
	look_at_all(&x);
	if (options->json) {
		status = json_finish(x.list, true);
		if (status)
			return status;
	} else {
		printf("%u problems, %u hints\n", x.count[PROBLEM], x.count[HINT]);
	}
	return x.count[PROBLEM] ? STATUS_FAILED : STATUS_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "[--host DIR]",
	.summary = "tell what stands in the way on this host",
	.help = "Looks for what keeps kvm_mrm from working, or from working well, and says what to\n"
		"do about it: no KVM, a module that is not installed, not loaded, not signed or not\n"
		"with a key that the kernel knows, probes that are switched off, VMs that are not\n"
		"adopted, a scanner that is stopped, VMs without salts, devices for which guest\n"
		"pages are copied and none is moved, mrmd and its hook where there is libvirt, KSM,\n"
		"huge pages.  As root it sees more.  Ends with status 1 when there is a problem.\n"
		"\n"
		"  --host DIR          look at the files below DIR instead, a copy of a host's\n"
		"                      /proc, /sys, /lib/modules, /etc/libvirt, /run and /dev\n",
	.options = "H",
	.run = run,
};
