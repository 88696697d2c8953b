// SPDX-License-Identifier: GPL-2.0
/*
 * Which guest RAM is adopted, and the reason in words for what is not.  What is
 * left alone works as ever; what is adopted keeps its contents when its slots
 * come and go.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define PAGES	2048		/* 8 MiB */
#define NAME	"tiny,vm"

static void fill_states(struct vm_process *p, uint64_t id)
{
	size_t i;

	for (i = 0; i < p->pages; i++)
		p->states[i] = id << 20 | i;
}

static void use_ram(struct vm_process *p, const char *what)
{
	fill_states(p, 1);
	tap_ok(!process_guest(p, GUEST_FILL, 0, p->pages) && process_verify(p),
	       "%s: what the guest writes, user space reads", what);
	fill_states(p, 2);
	tap_ok(!process_user(p, GUEST_FILL, 0, p->pages) && process_verify(p),
	       "%s: what user space writes, the guest reads", what);
}

static bool maps_say(pid_t pid, const void *start, const char *name)
{
	char path[64], line[512], begins[32];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(begins, sizeof(begins), "%lx-", (unsigned long)start);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (!strncmp(line, begins, strlen(begins))) {
			found = strstr(line, name);
			tap_note("%.*s", (int)strcspn(line, "\n"), line);
		}
	if (maps)
		fclose(maps);
	return found;
}

static void range_is(struct vm_process *p, const uint8_t *start, long pages, const char *what,
		     const char *when)
{
	char want[MRM_TEXT], got[MRM_TEXT];

	snprintf(want, sizeof(want), "%ld %s", pages, what);
	tap_text(mrm_vm_range(p->pid, start, got), want, "%s: the range is listed", when);
}

static void test_adopted(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	char text[MRM_TEXT];

	process_start(&p, &config);
	tap_equal(mrm_get("vms"), 1, "a VM is listed");
	tap_equal(mrm_get("adopted_bytes"), PAGES * PAGE_SIZE, "its RAM is adopted");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE, "the VM says so, too");
	tap_equal(mrm_vm_get(p.pid, "not_adopted_bytes"), GUEST_CONTROL,
		  "its control slot, which is shared memory, is not");
	tap_text(mrm_vm_text(p.pid, "not_adopted_reason", text), "memfd or another file",
		 "the reason for that");
	tap_text(mrm_vm_text(p.pid, "name", text), NAME, "its name is that of -name");
	range_is(&p, p.ram, PAGES, "adopted", "anonymous RAM");
	tap_ok(maps_say(p.pid, p.ram, "guest-ram"), "/proc/PID/maps names it");
	tap_equal(mrm_get("resident_pages"), 0, "no guest page has a frame before it is touched");
	process_guest(&p, GUEST_READ, 10, 5);
	tap_equal(mrm_get("private_pages"), mrm_touched_pages(10, 5),
		  "a page has one when it was read");
	process_user(&p, GUEST_TOUCH, 100, 1);
	process_guest(&p, GUEST_TOUCH, 100, 1);
	/* Where there is a large frame by now it is in that. */
	tap_equal(mrm_get("private_pages"), mrm_touched_pages(10, 5) + !mrm_large(),
		  "or written, from either side");
	use_ram(&p, "anonymous RAM");
	tap_equal(mrm_get("resident_pages"), PAGES, "then all guest pages have a frame");
	mrm_check("with RAM in use");
	process_stop(&p);
	mrm_nothing_left("after an adopted VM");
}

static void test_backing(enum vm_backing backing, const char *reason)
{
	const struct vm_config config = { .pages = PAGES, .backing = backing };
	struct vm_process p;
	char text[MRM_TEXT], want[MRM_TEXT];
	int err = process_try_start(&p, &config);

	if (err) {
		tap_skip(strerror(-err), "%s", reason);
		return;
	}
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), 0, "%s: nothing is adopted", reason);
	tap_equal(mrm_vm_get(p.pid, "not_adopted_bytes"), PAGES * PAGE_SIZE + GUEST_CONTROL,
		  "%s: all is listed", reason);
	tap_text(mrm_vm_text(p.pid, "not_adopted_reason", text), reason, "%s: the reason", reason);
	snprintf(want, sizeof(want), "not adopted: %s", reason);
	range_is(&p, p.ram, PAGES, want, reason);
	if (backing != VM_USERFAULT && backing != VM_READ_ONLY)
		use_ram(&p, reason);
	tap_ok(mrm_full_pass(), "%s: a pass", reason);
	tap_equal(mrm_vm_get(p.pid, "scanned_pages"), 0, "%s: nothing is scanned", reason);
	process_stop(&p);
	mrm_nothing_left(reason);
}

static void test_hugetlb(void)
{
	static const char pool[] = "/proc/sys/vm/nr_hugepages";

	if (file_write(pool, "8")) {
		tap_skip("no hugetlb pages", "hugetlb");
		return;
	}
	test_backing(VM_HUGETLB, "hugetlb pages");
	file_write(pool, "0");
}

static void test_small(void)
{
	const struct vm_config config = { .pages = 511 };
	struct vm_process p;

	process_start(&p, &config);
	range_is(&p, p.ram, 511, "not adopted: smaller than 2 MiB", "RAM of 511 pages");
	use_ram(&p, "small RAM");
	process_stop(&p);
}

/* Written before it became a slot: it is left alone, and nothing is lost. */
static long populate_then_add(struct vm *vm, void *arg)
{
	struct guest_work work = { .command = GUEST_FILL, .count = PAGES };

	(void)arg;
	return vm_user(vm, &work) ?: vm_set_ram_slots(vm);
}

static void test_populated(void)
{
	const struct vm_config config = { .pages = PAGES, .no_slots = true };
	struct vm_process p;

	process_start(&p, &config);
	fill_states(&p, 3);
	tap_equal(process_call(&p, populate_then_add, NULL, 0), 0, "RAM is written, then added");
	range_is(&p, p.ram, PAGES, "not adopted: populated before KVM knew of it",
		 "populated RAM");
	tap_ok(process_verify(&p), "populated RAM: what was written before is there");
	process_stop(&p);
}

static void test_two_slots(void)
{
	const struct vm_config config = { .pages = PAGES, .slots = 2 };
	struct vm_process p;

	process_start(&p, &config);
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE,
		  "two slots in one mapping are adopted");
	use_ram(&p, "two slots");
	mrm_check("with two slots");
	process_stop(&p);
	mrm_nothing_left("after two slots");
}

static long delete_slot(struct vm *vm, void *arg)
{
	(void)arg;
	return vm_set_slot(vm, 0, GUEST_RAM, vm->view.ram, 0);
}

static long create_slot(struct vm *vm, void *arg)
{
	(void)arg;
	return vm_set_ram_slots(vm);
}

static void test_slot_again(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	int i;

	process_start(&p, &config);
	for (i = 0; i < 3; i++) {
		fill_states(&p, 10 + i);
		tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES), 0, "the guest writes");
		if (i == 2)
			mrm_full_pass();
		tap_equal(process_call(&p, delete_slot, NULL, 0), 0, "its slot is deleted");
		tap_equal(process_user(&p, GUEST_VERIFY, 0, PAGES), 0, "its RAM is as it was");
		if (i == 1) {
			fill_states(&p, 20);
			process_user(&p, GUEST_FILL, 0, PAGES);
		}
		tap_equal(process_call(&p, create_slot, NULL, 0), 0, "the slot comes back");
		tap_ok(process_verify(&p), "every byte is right");
		tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE,
			  "RAM is adopted as before");
		range_is(&p, p.ram, PAGES, "adopted", "slot created again");
	}
	mrm_check("after slots came and went");
	process_stop(&p);
	mrm_nothing_left("after slots came and went");
}

/* Memory hotplug: more RAM while the guest runs. */
static long plug(struct vm *vm, void *arg)
{
	uint8_t *ram = vm_map_ram(16 * MiB, VM_ANON);
	int err;

	(void)arg;
	if (!ram)
		return -errno;
	err = vm_set_slot(vm, 5, GUEST_RAM + PAGES * PAGE_SIZE, ram, 16 * MiB);
	return err ?: (long)ram;
}

static void test_hotplug(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	long ram, i;

	process_start(&p, &config);
	use_ram(&p, "before hotplug");
	ram = process_call(&p, plug, NULL, 0);
	tap_ok(ram > 0, "16 MiB are plugged in");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), PAGES * PAGE_SIZE + 16 * MiB,
		  "they are adopted, too");
	range_is(&p, (void *)ram, 4096, "adopted", "plugged RAM");
	for (i = PAGES; i < PAGES + 4096; i++)
		p.states[i] = 5 << 20 | i;
	tap_ok(!process_guest(&p, GUEST_FILL, PAGES, 4096) &&
	       !process_guest(&p, GUEST_VERIFY, 0, PAGES + 4096), "the guest uses both");
	mrm_check("after hotplug");
	process_stop(&p);
	mrm_nothing_left("after hotplug");
}

/* A second struct kvm in the process: one VM to us. */
static struct vm second;

static long second_vm(struct vm *vm, void *arg)
{
	const struct vm_config config = { .pages = PAGES };
	struct guest_work work = { .command = GUEST_FILL, .count = PAGES };
	void *control = vm_alloc_control();
	int err;
	size_t i;

	(void)vm;
	(void)arg;
	if (!control)
		return -ENOMEM;
	err = vm_create(&second, &config, control);
	if (err)
		return err;
	for (i = 0; i < PAGES; i++)
		second.view.states[i] = 7 << 20 | i;
	err = vm_guest(&second, 0, &work);
	work.command = GUEST_VERIFY;
	return err ?: vm_user(&second, &work) ?: (long)second.view.ram;
}

static long end_second_vm(struct vm *vm, void *arg)
{
	(void)vm;
	(void)arg;
	return vm_end(&second);
}

struct place {
	pid_t pid;
	const void *start;
};

static bool unlisted(void *context)
{
	struct place *place = context;
	char text[MRM_TEXT];

	return !strcmp(mrm_vm_range(place->pid, place->start, text), "not listed");
}

static void test_second_vm(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	struct place place;
	long ram;

	process_start(&p, &config);
	use_ram(&p, "before a second struct kvm");
	ram = process_call(&p, second_vm, NULL, 0);
	tap_ok(ram > 0, "a second struct kvm in the process works");
	tap_equal(mrm_get("vms"), 1, "it is the same VM");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), 2 * PAGES * PAGE_SIZE,
		  "the RAM of both is adopted");
	range_is(&p, (void *)ram, PAGES, "adopted", "RAM of the second");
	tap_ok(process_verify(&p), "every byte of the first is right");
	tap_equal(process_call(&p, end_second_vm, NULL, 0), 0, "the second ends");
	place = (struct place){ p.pid, (void *)ram };
	tap_ok(wait_until(unlisted, &place, MRM_LONG), "its slots are listed no more");
	range_is(&p, p.ram, PAGES, "adopted", "RAM of the first");
	tap_ok(process_verify(&p), "every byte of the first is still right");
	mrm_check("after the second");
	process_stop(&p);
	mrm_nothing_left("after two struct kvm");
}

static void test_late(void)
{
	const struct vm_config config = { .pages = PAGES };
	struct vm_process p;
	char text[MRM_TEXT];

	if (!getenv("MRM_KO")) {
		tap_skip("MRM_KO is not set", "started before the module");
		return;
	}
	tap_ok(mrm_unload_wait(MRM_LONG), "the module is unloaded");
	process_start(&p, &config);
	fill_states(&p, 30);
	tap_equal(process_guest(&p, GUEST_FILL, 0, PAGES), 0, "a VM runs without it");
	tap_equal(mrm_load(), 0, "the module is loaded");
	mrm_tune();
	tap_equal(mrm_get("vms"), 1, "the VM is listed");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), 0, "and not adopted");
	tap_equal(mrm_vm_get(p.pid, "not_adopted_bytes"), PAGES * PAGE_SIZE + GUEST_CONTROL,
		  "all of its RAM");
	tap_text(mrm_vm_text(p.pid, "not_adopted_reason", text), "started before the module",
		 "the reason");
	tap_text(mrm_vm_text(p.pid, "name", text), NAME, "its name is known");
	tap_ok(process_verify(&p), "every byte is right");
	tap_ok(process_call(&p, plug, NULL, 0) > 0, "RAM is plugged in");
	tap_equal(mrm_vm_get(p.pid, "adopted_bytes"), 0, "and not adopted either");
	tap_ok(mrm_full_pass(), "a pass");
	tap_equal(mrm_get("scanned_pages"), 0, "nothing is scanned");
	tap_equal(mrm_unload(), 0, "the module can be unloaded, as nothing is adopted");
	tap_ok(process_verify(&p), "every byte is right");
	tap_equal(mrm_load(), 0, "and loaded again");
	mrm_tune();
	process_stop(&p);
	mrm_nothing_left("after a VM that was there before the module");
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		/* As QEMU is started. */
		execl("/proc/self/exe", argv[0], "-name", "guest=tiny,,vm,debug-threads=on", NULL);
		tap_bail("cannot start again");
	}
	mrm_begin();
	test_adopted();
	test_hugetlb();
	test_backing(VM_MEMFD, "memfd or another file");
	test_backing(VM_MEMFD_PRIVATE, "memfd or another file");
	test_backing(VM_LOCKED, "locked in memory");
	test_backing(VM_POPULATED, "populated before KVM knew of it");
	test_backing(VM_USERFAULT, "watched by userfaultfd");
	test_backing(VM_NUMA, "bound to NUMA nodes");
	test_backing(VM_READ_ONLY, "not readable and writable");
	test_small();
	test_populated();
	test_two_slots();
	test_slot_again();
	test_hotplug();
	test_second_vm();
	test_late();
	return tap_done();
}
