// SPDX-License-Identifier: GPL-2.0
/* mrmctl as it is typed, on a made-up copy of the kernel's files. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "tap.h"
#include "tree.h"
#include "tunable.h"

static const char *program;
static struct tree tree;
static char output[65536];

/* Run a shell command that has the program for "mrmctl"; returns its status. */
static int run(const char *format, ...)
{
	char line[1024], command[2048];
	va_list arguments;
	size_t length;
	FILE *pipe;
	int status;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	snprintf(command, sizeof(command),
		 "mrmctl() { '%s' \"$@\"; }; T='--sysfs=%s'; exec 2>&1; %s", program, tree.path,
		 line);
	pipe = popen(command, "r");
	if (!pipe)
		return -1;
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Run a command, and check its status and a part of what it says. */
static void expect(int status, const char *part, const char *line)
{
	int got = run("%s", line);

	tap_ok(got == status, "%s: status %d", line, status);
	if (got != status)
		printf("# got %d: %s\n", got, output);
	tap_has(output, part, line);
}

/* The last output as JSON, or NULL when it is something else. */
static struct json_object *parsed(void)
{
	struct json_object *object = json_tokener_parse(output);

	tap_ok(object, "output is JSON");
	return object;
}

static int64_t number(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) && value
		       ? json_object_get_int64(value)
		       : -1;
}

static void test_usage(void)
{
	expect(2, "mrmctl: what is to be done?", "mrmctl");
	expect(2, "is not a command", "mrmctl frob");
	expect(2, "\\x1b", "mrmctl \"$(printf '\\033')\"");
	expect(2, "unknown option", "mrmctl list --frob");
	expect(2, "does not belong here", "mrmctl list --wait");
	expect(2, "too few arguments: mrmctl show VM", "mrmctl show");
	expect(2, "too many arguments", "mrmctl host x");
	expect(2, "no column \"x\"", "mrmctl list -o x");
	expect(2, "is not a tunable", "mrmctl get x");
	expect(0, "Usage: mrmctl [OPTION...] COMMAND", "mrmctl help");
	expect(0, "Usage: mrmctl [OPTION...] COMMAND", "mrmctl --help");
	expect(0, "Usage: mrmctl top", "mrmctl help top");
	expect(0, "Usage: mrmctl set", "mrmctl set --help");
	expect(2, "is not a command", "mrmctl help frob");
	expect(0, "mrmctl ", "mrmctl --version");
	expect(0, "kvm_mrm not loaded", "mrmctl version --sysfs /nonexistent");
	expect(1, "No such file", "mrmctl list --sysfs /nonexistent");
	expect(1, "is not a copy of /sys/kernel/mrm", "mrmctl list --sysfs /");
	expect(1, "cannot write the output", "mrmctl host $T >/dev/full");
}

static void test_list(void)
{
	struct json_object *array, *vm;

	expect(0, "0 VMs, sizes in MiB", "mrmctl list $T");
	tree_add_vm(&tree, 1000, "web", 4096);
	tree_add_vm(&tree, 2000, "db\033[2J", 8192);
	tree_write(&tree, "vm/2000/not_adopted_reason", "hugetlb");
	expect(0, "web        1000    128.0          0.0      32.0    16.0   0.0    8.0  on",
	       "mrmctl list $T");
	expect(0, "db\\x1b[2J", "mrmctl $T list");
	tap_has(output, "on; not adopted: hugetlb", "the reason is shown");
	tap_ok(!strchr(output, '\033'), "and no control character");
	run("mrmctl list $T -o saved");
	tap_ok(strstr(output, "2000") < strstr(output, "1000"), "the largest first");
	run("mrmctl list $T -ro saved");
	tap_ok(strstr(output, "2000") > strstr(output, "1000"), "or the smallest");

	tap_ok(!run("mrmctl list --json $T"), "list as JSON");
	array = parsed();
	vm = json_object_array_get_idx(array, 1);
	tap_ok(json_object_array_length(array) == 2 && number(vm, "pid") == 1000 &&
		       number(vm, "shared_pages") == 4096,
	       "has raw numbers");
	json_object_put(array);
	expect(0, "\\u001b[2J", "mrmctl list --json $T");
}

static void test_show(void)
{
	struct json_object *vm, *ranges = NULL;

	expect(0, "4096 pages", "mrmctl show web $T");
	tap_has(output, "Its ranges cannot be read", "without debugfs");
	expect(0, "\"ranges\": null", "mrmctl show web $T --json");
	expect(0, "Name                        web", "mrmctl show 1000 $T");
	expect(1, "no VM has the name or pid \"none\"", "mrmctl show none $T");
	expect(1, "no VM", "mrmctl show '' $T");
	tree_add_vm(&tree, 3000, "web", 1);
	expect(1, "more than one VM; say which: pid:1000, pid:3000", "mrmctl show web $T");
	tree_add_vm(&tree, 3000, "1000", 1);
	expect(1, "more than one VM", "mrmctl show 1000 $T");
	expect(0, "web", "mrmctl show pid:1000 $T");
	tree_remove_vm(&tree, 3000);

	run("mkdir %s/debug/mrm/vm/1000; printf '%%s\\n' "
	    "'7f0000000000 32768 adopted' '7f1000000000 512 not adopted: hugetlb' >%s/debug/mrm/vm/1000/ranges",
	    tree.base, tree.base);
	expect(0, "0x7f1000000000    2.0    512  no       hugetlb", "mrmctl show web $T");
	run("mrmctl show web --json $T");
	vm = parsed();
	json_object_object_get_ex(vm, "ranges", &ranges);
	tap_ok(json_object_array_length(ranges) == 2 &&
		       number(json_object_array_get_idx(ranges, 0), "start") == 0x7f0000000000,
	       "ranges as JSON");
	json_object_put(vm);
}

static void test_host(void)
{
	struct json_object *object;

	tree_write(&tree, "saved_pages", "1500");
	tree_write(&tree, "resident_pages", "3000");
	expect(0, "1500 pages, 50.0 % of what is resident", "mrmctl host $T");
	run("mrmctl host -j $T");
	object = parsed();
	tap_ok(number(object, "saved_pages") == 1500 && number(object, "overhead_bytes") == 18000,
	       "host as JSON");
	json_object_put(object);
	run("rm %s/zero_frames", tree.path);
	expect(0, "\"zero_frames\": null", "mrmctl host -j $T");
	expect(0, "Frames behind zero pages               -", "mrmctl host $T");
}

static void test_get(void)
{
	struct json_object *array;

	expect(0, "share_rate_max = 1024 pages/s (default 1024, range 0-10000000)",
	       "mrmctl get $T");
	expect(0, "share_scan_time = 3600 s", "mrmctl get share_scan_time $T");
	run("mrmctl get --value share_scan_time $T");
	tap_text(output, "3600\n", "the value alone");
	run("mrmctl get --json $T");
	array = parsed();
	tap_ok(json_object_array_length(array) == mrm_tunable_count &&
		       number(json_object_array_get_idx(array, 0), "max") == 604800,
	       "tunables as JSON");
	json_object_put(array);
	expect(0, "\"value\": 20", "mrmctl get share_cpu_max --json $T");
	expect(0, "zip_algorithm = lz4 (default lz4, lz4 or zstd)", "mrmctl get zip_algorithm $T");
	run("mrmctl get --value zip_algorithm $T");
	tap_text(output, "lz4\n", "a word alone");
	expect(0, "\"value\": \"lz4\"", "mrmctl get zip_algorithm --json $T");
	tap_has(output, "\"zstd\"", "and what else it could be");
	tree_write(&tree, "zip_algorithm", "new\033");
	expect(0, "zip_algorithm = new\\x1b (", "mrmctl get zip_algorithm $T");
	tree_write(&tree, "share_cpu_max", "many");
	expect(1, "share_cpu_max: ", "mrmctl get share_cpu_max $T");
	tree_write(&tree, "share_cpu_max", "20");
}

static void check_file(const char *file, const char *wanted)
{
	char text[128];

	tree_read(&tree, file, text, sizeof(text));
	tap_text(text, wanted, file);
}

static void test_set(void)
{
	expect(2, "it takes a whole number from 0 to 100, in % of a CPU",
	       "mrmctl set share_cpu_max 101");
	expect(2, "it takes 0, or a whole number from 67108864 to what the host has, in bytes",
	       "mrmctl set limit_bytes 1000000");
	expect(2, "cannot take \"-5\"", "mrmctl set share_cpu_max -5");
	expect(2, "cannot take \"\"", "mrmctl set share_cpu_max ''");
	expect(2, "is not a tunable", "mrmctl set frob 1");
	expect(2, "takes one value", "mrmctl set share_cpu_max 1 2");
	expect(2, "\"mrmctl scan\"", "mrmctl set share_scan_now 1");
	expect(2, "share is \"on\" or \"off\"", "mrmctl set web share=maybe");
	expect(2, "a size with its unit", "mrmctl set web min=512");
	expect(2, "shares are high, normal, low", "mrmctl set web shares=0");
	expect(2, "\"--live\": options come before the VM", "mrmctl set web min=1GiB --live");
	expect(2, "is more than its max", "mrmctl set web min=2GiB max=1GiB");
	expect(2, "large is \"on\" or \"off\", not \"2\"", "mrmctl set web large=2");
	expect(2, "does not belong here", "mrmctl list --live");
	expect(2, "are for guests of libvirt", "mrmctl set --live share_cpu_max 5");
	expect(2, "at most 63 printable", "mrmctl set web salt=\"$(printf 'a\\nb')\"");
	expect(2, "each given once", "mrmctl set web salt=a salt=b");
	expect(2, "each given once", "mrmctl set web large=on large=off");
	expect(2, "each given once", "mrmctl set web colour=red");
	expect(1, "no VM", "mrmctl $T set none share=on");

	expect(0, "note: ", "mrmctl $T set share_cpu_max 007");
	check_file("share_cpu_max", "7\n");
	expect(2, "cannot take \"gzip\" for zip_algorithm: it takes lz4 or zstd",
	       "mrmctl $T set zip_algorithm gzip");
	expect(0, "note: ", "mrmctl $T set zip_algorithm zstd");
	check_file("zip_algorithm", "zstd\n");
	expect(2,
	       "cannot take \"2\" for alloc_guest_large_page: it takes a whole number from 0 to 1",
	       "mrmctl $T set alloc_guest_large_page 2");
	expect(0, "note: ", "mrmctl $T set alloc_guest_large_page 0");
	check_file("alloc_guest_large_page", "0\n");
	check_file("vm/1000/alloc_guest_large_page", "1\n");
	expect(0, "", "mrmctl $T set web large=off");
	check_file("vm/1000/alloc_guest_large_page", "0\n");
	check_file("vm/1000/share", "1\n");
	expect(0, "Large pages allowed         no", "mrmctl show web $T");
	expect(0, "", "mrmctl $T set web share=1 large=1");
	check_file("vm/1000/alloc_guest_large_page", "1\n");
	expect(0, "note: ", "mrmctl $T set web share=off salt='tenant 1'");
	check_file("vm/1000/share", "0\n");
	check_file("vm/1000/salt", "tenant 1\n");
	expect(0, "Salt                        tenant 1", "mrmctl show web $T");
	expect(0, "", "mrmctl $T set pid:1000 salt= share=1");
	check_file("vm/1000/share", "1\n");
	check_file("vm/1000/salt", "\n");
	expect(0, "", "mrmctl $T set web shares=high min=64MiB max='1 GiB'");
	check_file("vm/1000/shares", "high\n");
	check_file("vm/1000/min_bytes", "67108864\n");
	check_file("vm/1000/max_bytes", "1073741824\n");
	run("truncate -s 960M %s/swap; printf %s/swap >%s/vm/1000/swap_file", tree.base, tree.base,
	    tree.path);
	expect(0, "", "mrmctl $T set web min=64MiB max=1GiB");
	expect(0, "has 960.0 MiB, until mrmd has made it larger: of the 992.0 MiB",
	       "mrmctl $T set web min=32MiB 2>&1");
	run("printf '\\n' >%s/vm/1000/swap_file", tree.path);
	expect(0, "", "mrmctl $T set web shares= min= max= large=off share=off");
	check_file("vm/1000/alloc_guest_large_page", "0\n");
	expect(0, "", "mrmctl $T set web large= share=");
	check_file("vm/1000/alloc_guest_large_page", "1\n");
	check_file("vm/1000/share", "1\n");
	check_file("vm/1000/shares", "normal\n");
	check_file("vm/1000/min_bytes", "0\n");
	check_file("vm/1000/max_bytes", "0\n");
	run("rm %s/vm/1000/alloc_guest_large_page", tree.path);
	expect(1, "alloc_guest_large_page: this kvm_mrm does not have it",
	       "mrmctl $T set web large=off");
	expect(0, "Large pages allowed         -", "mrmctl show web $T");
	run("rm %s/vm/1000/min_bytes", tree.path);
	expect(1, "min_bytes: this kvm_mrm does not have it", "mrmctl $T set web min=1MiB");
	expect(1, "there is nothing to scan", "mrmctl scan $T --wait");
}

static void test_batch(void)
{
	struct json_object *object, *part = NULL;
	char *second;

	expect(1, "not a terminal", "mrmctl top $T </dev/null");
	tree_write(&tree, "vm/1000/large_pages", "12");
	tree_write(&tree, "large_pages", "12");
	tree_write(&tree, "large_pages_broken", "5");
	tree_write(&tree, "zipped_pages", "512");
	tree_write(&tree, "zip_bytes", "1048576");
	tree_write(&tree, "swapped_pages", "256");
	tree_write(&tree, "swap_cached_pages", "128");
	tree_write(&tree, "read_errors", "2");
	tree_write(&tree, "vm/1000/min_bytes", "0");
	tree_write(&tree, "vm/1000/shares", "1000");
	tree_write(&tree, "vm/1000/balloon_bytes", "3145728");
	tree_write(&tree, "vm/1000/balloon_target_bytes", "4194304");
	expect(0, "PSHARE:", "mrmctl top -b -n 2 -d 0.1 $T");
	tap_has(output, "MEMCTL:  3.0 held by balloons, 4.0 should be\n", "balloons are summed up");
	tap_has(output, "ZIP:     2.0 zipped, 1.0 needed for it", "what is zipped");
	tap_has(output, "SWAP:    1.0 swapped, 0.5 in memory, too, 2 lost", "what is in swap");
	tap_has(output, " 0 written/s, 0 kept/s, 0 read/s, 0 ahead/s", "and what comes and goes");
	tap_has(output, "LARGE:   24.0, 0.0 untouched, 0.0 held by broken ones, 5 broken, ",
		"large pages of the host");
	tap_has(output, "   24.0   0.0 ", "large pages are shown in MiB");
	tap_has(output, "rates follow", "the first refresh has no rates");
	tap_has(output, "0 pages/s scanned", "the second has");
	second = strstr(strstr(output, "rates follow"), "pages/s scanned");
	tap_ok(second && !strstr(second, "  - "), "and then a VM has a value in each column");
	tap_ok(!run("mrmctl top -b --json -n 2 -d 0.1 $T"), "top as JSON");
	second = strchr(output, '\n');
	tap_ok(second && strchr(second + 1, '\n') == output + strlen(output) - 1,
	       "is a line for every refresh");
	object = json_tokener_parse(second + 1);
	tap_ok(object && json_object_object_get_ex(object, "vms", &part) &&
		       json_object_array_length(part) == 2 &&
		       number(json_object_array_get_idx(part, 0), "scanned_pages_per_second") == 0,
	       "with rates");
	tap_ok(number(json_object_array_get_idx(part, 1), "large_pages") == 12 &&
		       number(json_object_array_get_idx(part, 1), "large_held_bytes") == 0,
	       "and large pages");
	json_object_put(object);
}

static void test_io(void)
{
	struct json_object *object, *part = NULL, *line;

	tree_write(&tree, "vm/1000/io_bounces", "77");
	tree_write(&tree, "vm/1000/io_bounced_bytes", "315392");
	run("rm -f %s/debug/mrm/io_*", tree.base);
	expect(0, "COPIES  COPIED  MOVED  BACK  LOW", "mrmctl io $T");
	tap_has(output, "77     0.3 ", "copies, and MiB");
	tap_has(output, "The devices cannot be read", "without debugfs");
	expect(0, "\"devices\": null", "mrmctl io --json $T");
	run("mkdir -p %s/debug/mrm; echo 0000:00:01.1 0xffffffff 77 315392 9 2 7 >%s/debug/mrm/io_devices",
	    tree.base, tree.base);
	run("printf '%%s\n' '1000 0x7f0000001000 9 0000:00:01.1' 'cut 0x7f' >%s/debug/mrm/io_hottest",
	    tree.base);
	expect(0, "0000:00:01.1  0xffffffff      77  315392      9     2    7", "mrmctl io $T");
	tap_has(output, "1000  0x7f0000001000       9  0000:00:01.1", "the hottest page");
	tap_ok(!strstr(output, "cut"), "a line that is no line is left out");
	tap_ok(!run("mrmctl io --json $T"), "as JSON");
	object = json_tokener_parse(output);
	tap_ok(object && json_object_object_get_ex(object, "devices", &part) &&
		       (line = json_object_array_get_idx(part, 0)) &&
		       number(line, "reaches") == 0xffffffff && number(line, "bytes") == 315392 &&
		       number(line, "moved_pages") == 9 && number(line, "returned_pages") == 2 &&
		       number(line, "low_pages") == 7,
	       "devices");
	tap_ok(object && json_object_object_get_ex(object, "hottest_pages", &part) &&
		       (line = json_object_array_get_idx(part, 0)) && number(line, "copies") == 9,
	       "and pages");
	json_object_put(object);
}

/* A made-up host around the tree; loaded: with the tree as its /sys/kernel/mrm. */
#define HOST                        \
	"H=${T#--sysfs=}/../host; " \
	"mkdir -p $H/proc/sys/kernel $H/sys/module $H/sys/kernel/mm/ksm; "
#define DOCTOR HOST "mrmctl doctor --host $H"

static void test_doctor(void)
{
	struct json_object *list;

	tree_write(&tree, "io_bounces", "0");
	tree_write(&tree, "io_refused", "0");
	tree_write(&tree, "io_missed", "0");
	expect(1, "KVM is not loaded", DOCTOR);
	tap_has(output, "modprobe kvm_intel or kvm_amd", "and what to do");
	tap_has(output, "kvm_mrm is not installed", "a module that is not installed");
	tap_has(output, "no function do_madvise", "a kernel that lacks a function");
	run(HOST "mkdir -p $H/sys/module/kvm $H/lib/modules/$(uname -r)/updates; "
		 "echo updates/kvm_mrm.ko: >$H/lib/modules/$(uname -r)/modules.dep; "
		 "printf '0 T do_madvise\n0 T __x64_sys_process_madvise\n' >$H/proc/kallsyms");
	expect(1, "KVM has no function kvm_set_memory_region", DOCTOR);
	tap_has(output, "KVM has no function kvm_arch_destroy_vm", "and which else");
	run(HOST "printf '0 t __kvm_set_memory_region\t[kvm]\n0 t kvm_arch_destroy_vm\t[kvm]\n' "
		 ">>$H/proc/kallsyms; mkdir $H/dev");
	expect(1, "KVM is loaded, but there is no /dev/kvm", DOCTOR);
	run(HOST "touch $H/dev/kvm");
	expect(1, "kvm_mrm is not loaded\n", DOCTOR);
	tap_has(output, "1 problems, 0 hints", "nothing else");
	run(HOST "mkdir -p $H/sys/module/module/parameters; "
		 "echo Y >$H/sys/module/module/parameters/sig_enforce");
	run(HOST "echo unsigned >$H/lib/modules/$(uname -r)/updates/kvm_mrm.ko");
	expect(1, "kvm_mrm is not signed, and the kernel takes signed modules only\n", DOCTOR);
	/* Through a compressor, and with Secure Boot's variable as the firmware has it. */
	run(HOST "cd $H/lib/modules/$(uname -r); sed -i s/.ko:/.ko.xz:/ modules.dep; "
		 "printf 'code~Module signature appended~\\n' | xz >updates/kvm_mrm.ko.xz; "
		 "mkdir -p $H/sys/firmware/efi/efivars; printf '\\006\\0\\0\\0\\001' "
		 ">$H/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
	expect(1, "modules signed with a key it knows only (Secure Boot is on)\n", DOCTOR);
	/* Where the log has it. */
	run(HOST "echo '6,1,2,-;kvm: SVM' >$H/dev/kmsg; "
		 "echo '5,3,4,-;Loading of module with unavailable key is rejected' >>$H/dev/kmsg");
	expect(1, "refused its signature, as it does not know the key (Secure Boot is on)\n",
	       DOCTOR);
	tap_has(output, "mokutil --import", "and what to do");
	run(HOST "mv $H/sys/firmware $H/firmware");
	expect(1, "refused its signature, as it does not know the key\n", DOCTOR);
	tap_has(output, "boot without module.sig_enforce=1", "without Secure Boot");
	run(HOST "mv $H/firmware $H/sys/firmware; echo '6,1,2,-;kvm: SVM' >$H/dev/kmsg");
	expect(1, "modules signed with a key it knows only (Secure Boot is on)\n", DOCTOR);
	run(HOST "echo N >$H/sys/module/module/parameters/sig_enforce; "
		 "mkdir -p $H/sys/kernel/security; "
		 "echo 'none [integrity] confidentiality' >$H/sys/kernel/security/lockdown");
	expect(1, "modules signed with a key it knows only", DOCTOR);
	run(HOST "echo '5,1,2,-;Lockdown: modprobe: unsigned module loading is restricted; see man "
		 "kernel_lockdown.7' >$H/dev/kmsg");
	expect(1, "refused its signature", DOCTOR);
	run(HOST "echo '[none] integrity confidentiality' >$H/sys/kernel/security/lockdown");
	expect(1, "kvm_mrm is not loaded\n", DOCTOR);
	run(HOST "ln -s ${T#--sysfs=} $H/sys/kernel/mrm");
	expect(0, "kvm_mrm is loaded", DOCTOR);
	run(HOST "mkdir -p $H/sys/kernel/debug/mrm $H/sys/kernel/debug/kprobes; "
		 "printf 'slots 3\ndiscards 4\n' >$H/sys/kernel/debug/mrm/missed; "
		 "echo 0 >$H/sys/kernel/debug/kprobes/enabled");
	expect(1, "probes are off (kprobes/enabled)", DOCTOR);
	tap_has(output, "memory slots of guests that may have gone unseen: 3", "what was missed");
	tap_has(output, "calls of madvise() that may have gone unseen: 4", "of both kinds");
	run(HOST "rm -r $H/sys/kernel/debug");
	expect(0, "kvm_mrm is loaded", DOCTOR);
	tap_has(output, "VMs that are adopted: 2 of 2", "VMs are counted");
	if (!geteuid())
		tap_has(output, "no VM has a salt", "VMs that cannot share with each other");
	tree_write(&tree, "vm/1000/salt", "web");
	expect(0, "0 problems, 0 hints", DOCTOR);
	run(HOST "mkdir -p $H/etc/libvirt/hooks/qemu.d");
	expect(0, "0 problems, 2 hints", DOCTOR);
	tap_has(output, "mrmd does not run", "a host with libvirt, without mrmd");
	tap_has(output, "hooks/qemu.d/mrm is not there", "and without the hook");
	run(HOST "mkdir -p $H/run/mrm; touch $H/run/mrm/mrmd.sock $H/etc/libvirt/hooks/qemu.d/mrm");
	expect(0, "0 problems, 0 hints", DOCTOR);
	tap_has(output, "mrmd runs", "with both");
	tree_write(&tree, "io_bounces", "1000");
	tree_write(&tree, "hot_io_threshold", "16");
	tree_write(&tree, "hot_io_max", "64");
	expect(0, "copied for devices are moved", DOCTOR);
	tree_write(&tree, "hot_io_max", "0");
	expect(0, "0 problems, 1 hints", DOCTOR);
	tap_has(output, "none is moved: hot_io_max is 0", "why pages stay where they are");
	tree_write(&tree, "hot_io_max", "64");
	tree_write(&tree, "io_refused", "7");
	expect(0, "7 times a guest page that is copied for a device was not moved", DOCTOR);
	tree_write(&tree, "io_refused", "0");
	tree_write(&tree, "io_missed", "501");
	expect(0, "of most copies it is not known", DOCTOR);
	tree_write(&tree, "io_missed", "0");
	tree_write(&tree, "io_bounces", "0");
	run(HOST "rm -r $H/etc $H/run");
	run(HOST "echo 0 >$H/proc/sys/kernel/ftrace_enabled; echo 1 >$H/sys/kernel/mm/ksm/run; "
		 "echo 'MemTotal: 4096000 kB' >$H/proc/meminfo; "
		 "printf 'HugePages_Total: 0\nHugepagesize: 2048 kB\nHugetlb: 3145728 kB\n' "
		 ">>$H/proc/meminfo");
	tree_write(&tree, "share_cpu_max", "0");
	tree_write(&tree, "vm/1000/adopted_bytes", "0");
	tree_write(&tree, "vm/1000/not_adopted_reason", "hugetlb pages");
	expect(1, "probes are off (ftrace_enabled)", DOCTOR);
	tap_has(output, "KSM runs as well", "KSM");
	tap_has(output, "3072 of 4000 MiB", "huge pages");
	tap_has(output, "the scanner is stopped: share_cpu_max is 0", "a scanner that is stopped");
	tap_has(output, "is adopted: hugetlb pages\n         without <hugepages/>",
		"a VM that is not adopted, and why");
	tap_has(output, "1 problems, 4 hints", "that is all");
	expect(1, "\"verdict\"", DOCTOR " --json");
	list = parsed();
	tap_ok(json_object_array_length(list) == 8, "as many findings for programs");
	json_object_put(list);
	expect(2, "an argument is missing", "mrmctl doctor --host");
	tree_write(&tree, "share_cpu_max", "20");
}

/* VMs come and go as fast as they can while they are listed. */
static void test_churn(void)
{
	int i, failed = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		for (i = 0;; i++) {
			if (i % 2)
				tree_remove_vm(&tree, 5000 + i / 2 % 7);
			else
				tree_add_vm(&tree, 5000 + i / 2 % 7, "fleeting", 10);
		}
	}
	for (i = 0; i < 20; i++)
		failed += run("mrmctl list $T") != 0;
	failed += run("mrmctl top -b -n 10 -d 0.1 $T") != 0;
	failed += run("for i in 1 2 3 4 5 6 7 8 9; do mrmctl show pid:500$((i %% 7)) $T; "
		      "[ $? -lt 2 ] || exit 3; done") != 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	tap_ok(!failed, "VMs that come and go do no harm");
	for (i = 5000; i < 5007; i++)
		tree_remove_vm(&tree, i);
}

static void test_many(void)
{
	char name[32];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "guest%d", i);
		tree_add_vm(&tree, 10000 + i, name, i);
	}
	tap_ok(!run("mrmctl list $T | tail -n 1"), "a thousand VMs");
	tap_text(output, "1002 VMs, sizes in MiB\n", "are all listed");
}

/**
 * test_command() - mrmctl from end to end
 * @mrmctl: the program
 */
void test_command(const char *mrmctl)
{
	program = mrmctl;
	tree_make(&tree);
	test_usage();
	test_list();
	test_show();
	test_host();
	test_get();
	test_set();
	test_batch();
	test_io();
	test_doctor();
	test_churn();
	test_many();
	tree_remove(&tree);
}
