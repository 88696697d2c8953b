// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading: refused while an adopted VM exists, and leaving nothing behind
 * when none does; loading without KVM fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	2048
#define TIMES	20

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

static bool refused(int err)
{
	return err == -EBUSY || err == -EWOULDBLOCK;
}

static void test_refused(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	size_t i;

	process_start(&p, &config);
	for (i = 0; i < PAGES; i++)
		p.states[i] = 1 + i % 100;
	if (process_guest(&p, GUEST_FILL, 0, PAGES) || !mrm_full_pass())
		tap_bail("cannot fill");
	tap_ok(refused(mrm_unload()), "unloading is refused while a VM is adopted");
	tap_ok(mrm_loaded(), "and the module goes on");
	tap_ok(mrm_full_pass(), "and scans");
	tap_ok(refused(unload("kvm")), "kvm.ko cannot go either");
	tap_ok(process_verify(&p), "every byte is right");
	process_stop(&p);
	mrm_nothing_left("after the VM has ended");
	tap_ok(mrm_unload_wait(MRM_LONG), "then it is unloaded");
	tap_ok(mrm_gone(), "and nothing is left");
	tap_equal(mrm_load(), 0, "and loaded again");
}

/* Each time with a VM in between. */
static void test_many_times(void)
{
	const struct vm_config config = { .pages = 512 };
	struct vm_process p;
	int i, bad = 0;

	for (i = 0; i < TIMES; i++) {
		mrm_begin();
		process_start(&p, &config);
		bad += !!process_guest(&p, GUEST_TOUCH, 0, 512);
		bad += mrm_get("private_pages") != 512;
		if (i % 2)
			process_kill(&p);
		else
			process_stop(&p);
		bad += !mrm_unload_wait(MRM_LONG);
		bad += !mrm_gone();
		bad += !!mrm_load();
	}
	tap_equal(bad, 0, "unloaded and loaded %d times, with a VM in between", TIMES);
	for (i = 0; i < TIMES; i++)
		bad += !mrm_unload_wait(MRM_LONG) || !mrm_gone() || mrm_load();
	tap_equal(bad, 0, "and as often without");
}

/* While the module is busy: a round is under way, sysfs files are open. */
static void test_open_file(void)
{
	int fd = open(MRM_SYSFS "/full_scans", O_RDONLY | O_CLOEXEC);
	char buf[16];

	mrm_begin();
	tap_ok(mrm_unload_wait(MRM_LONG), "unloaded while a file in sysfs is open");
	tap_ok(pread(fd, buf, sizeof(buf), 0) < 0, "which then gives an error");
	close(fd);
	tap_equal(mrm_load(), 0, "and loaded again");
}

#define LARGE_PAGES	(16 * 512)

/**
 * struct mapped - a VM whose memory is in large pages
 * @p: it
 * @before: mappings of 2 MiB without it
 * @all: of its own, as long as nobody looks at parts of them
 */
struct mapped {
	struct vm_process p;
	long before, all;
};

static long mapped(struct mapped *m)
{
	if (process_guest(&m->p, GUEST_READ, 0, LARGE_PAGES))
		tap_bail("the guest cannot read");
	return kvm_large_mappings() - m->before;
}

static bool some_are_small(void *m)
{
	return mapped(m) < ((struct mapped *)m)->all;
}

/* Of a VM that is not adopted, and so does not hold the module, guest pages are sampled. */
static void test_sampled(void)
{
	const struct vm_config config = { .pages = LARGE_PAGES, .backing = VM_POPULATED };
	struct mapped m = { .before = kvm_large_mappings() };

	mrm_begin();
	process_start(&m.p, &config);
	process_fill(&m.p, 0, LARGE_PAGES, 1);
	m.all = m.before < 0 ? 0 : mapped(&m);
	if (m.all <= 0) {
		tap_skip("KVM maps nothing as large", "unloaded while 2 MiB are sampled");
		process_stop(&m.p);
		return;
	}
	mrm_set_number("sample_method", 1);
	mrm_set_number("sample_period", 1);
	tap_ok(wait_until(some_are_small, &m, MRM_LONG), "some of %ld are mapped in 4 KiB", m.all);
	tap_ok(mrm_unload_wait(MRM_LONG), "unloaded while they are");
	tap_equal(mapped(&m), m.all, "all are mapped as large again");
	tap_ok(process_verify(&m.p), "every byte is right");
	process_stop(&m.p);
	tap_equal(mrm_load(), 0, "and loaded again");
}

static void test_without_kvm(void)
{
	static const char * const vendors[] = { "kvm_amd", "kvm_intel" };
	const char *vendor = NULL;
	char command[64] = "modprobe ";
	unsigned int i;

	if (!mrm_unload_wait(MRM_LONG))
		tap_bail("cannot unload");
	for (i = 0; i < 2; i++)
		if (!unload(vendors[i]))
			vendor = vendors[i];
	if (!vendor || unload("kvm")) {
		tap_skip("KVM cannot be unloaded", "loading without KVM");
	} else {
		tap_equal(mrm_load(), -ENOENT, "without kvm.ko the module does not load");
		tap_ok(mrm_gone(), "and leaves nothing");
	}
	if (vendor && system(strcat(command, vendor)))
		tap_bail("cannot load %s again", vendor);
	tap_equal(mrm_load(), 0, "it is loaded again");
}

int main(void)
{
	if (!getenv("MRM_KO"))
		tap_bail("MRM_KO does not name the module");
	mrm_begin();
	test_refused();
	test_many_times();
	test_open_file();
	test_sampled();
	test_without_kvm();
	return tap_done();
}
