// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails: the kernel marks a frame as the processor tells it to, here by hand.  What is
 * in such a frame is never copied, compared, zipped or written, as to read it is a machine check;
 * whoever touches it is told so, others lose nothing, and nobody ever gets that frame again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "large_vm.h"
#include "memory_error.h"
#include "mrm.h"
#include "pagemap.h"
#include "tap.h"
#include "vm_process.h"

#define OFFLINE		"/sys/devices/system/memory/hard_offline_page"
#define PAGES		1024

static struct vm_process vm;

/* Where a guest page is; its process has it mapped then. */
static uint64_t frame_of(struct vm_process *p, size_t page)
{
	uint64_t frame = 0;

	if (process_user(p, GUEST_VERIFY, page, 1) ||
	    pagemap_read(p->pid, p->ram + page * PAGE_SIZE, 1, &frame) || !frame)
		tap_bail("page %zu is in no frame", page);
	return frame;
}

static void is_poisoned(uint64_t frame, const char *what)
{
	uint64_t flags = 0;

	pagemap_flags(frame, &flags);
	tap_ok(flags & FRAME_IS_POISONED, "%s fails", what);
}

/* As the processor says.  The kernel can do nothing about a frame of ours but mark it. */
static uint64_t poison(struct vm_process *p, size_t page, const char *what)
{
	uint64_t frame = frame_of(p, page);
	char address[32];

	snprintf(address, sizeof(address), "%#llx", (unsigned long long)frame * PAGE_SIZE);
	file_write(OFFLINE, address);
	is_poisoned(frame, what);
	return frame;
}

static long advise(struct vm *v, void *page)
{
	return madvise((void *)guest_page(&v->view, *(size_t *)page), PAGE_SIZE, MADV_HWPOISON) ?
	       -errno : 0;
}

/* As its own process says, by which it has another way through the kernel. */
static uint64_t poison_by_advice(struct vm_process *p, size_t page, const char *what)
{
	uint64_t frame = frame_of(p, page);

	process_call(p, advise, &page, sizeof(page));
	is_poisoned(frame, what);
	return frame;
}

static void start(struct vm_process *p)
{
	const struct vm_config config = { .pages = PAGES };
	size_t i;

	process_start(p, &config);
	if (mrm_vm_set(p->pid, "salt", "poison"))
		tap_bail("cannot set the salt");
	for (i = 0; i < PAGES; i++)
		p->states[i] = (1 << 20 | THIN) + i;
	if (process_guest(p, GUEST_FILL, 0, PAGES))
		tap_bail("RAM is not filled");
}

static void fill(struct vm_process *p, size_t page, uint64_t state)
{
	p->states[page] = state;
	if (process_guest(p, GUEST_FILL, page, 1))
		tap_bail("page %zu is not filled", page);
}

static bool took_all_but_one(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "private_pages") == 1;
}

/* All is taken but what has failed; twice, as it is drawn at random. */
static void take_all(const char *counter)
{
	tap_ok(wait_until(took_all_but_one, NULL, MRM_LONG), "all is taken but that");
	took_all_but_one(NULL);
	tap_equal(mrm_vm_get(vm.pid, "private_pages"), 1, "that stays");
	tap_equal(mrm_vm_get(vm.pid, counter), PAGES - 1, "%s", counter);
}

/* One that is a VM's own. */
static void test_private(void)
{
	const size_t bad = 100, equal = 101;
	uint64_t frame, flags = 0;

	start(&vm);
	fill(&vm, equal, vm.states[bad]);
	frame = poison(&vm, bad, "a private frame");
	tap_ok(mrm_share_all(), "a pass");
	tap_equal(mrm_get("shared_pages"), 0, "it is not shared with its equal");
	mrm_check("after that was scanned");
	take_all("zipped_pages");
	mrm_check("after the others were zipped");
	tap_equal(process_discard(&vm, bad, 1), 0, "it is discarded");
	pagemap_flags(frame, &flags);
	tap_ok(flags & FRAME_IS_POISONED && !(flags & FRAME_IS_FREE),
	       "the kernel has its frame, and gives it to nobody");
	tap_ok(process_verify(&vm), "the guest page holds zeroes, every other what it did");
	fill(&vm, bad, 2 << 20);
	tap_ok(process_verify(&vm), "and can be written");
	if (disk_ram()) {
		mrm_set("zip_max", "0");
		tap_equal(disk_hand_over(DISK_RAM, vm.pid), 0, "with swap");
		poison_by_advice(&vm, bad, "its new frame");
		take_all("swapped_pages");
		tap_equal(process_discard(&vm, bad, 1), 0, "it is discarded");
		tap_ok(process_verify(&vm), "every byte is right");
		mrm_set("zip_max", "50");
	} else {
		tap_skip("no RAM disks", "with swap");
	}
	mrm_check("after it was discarded");
	process_stop(&vm);
	mrm_nothing_left("after private frames failed");
}

/* One that two VMs share: the first has it mapped, of the second only the guest has. */
static void test_shared(void)
{
	const struct guest_work write = { .command = GUEST_FILL, .count = 1 };
	const uint64_t state = 3 << 20;
	struct vm_process other;
	long i;

	start(&vm);
	start(&other);
	for (i = 0; i < 3; i++) {
		fill(&vm, i, state);
		fill(&other, i, state);
	}
	tap_ok(mrm_share_all(), "two VMs: a pass");
	tap_equal(mrm_get("shared_frames"), PAGES - 2, "they share all that they have");
	poison(&vm, 0, "a shared frame");
	tap_equal(memory_count_lost(&other, 0, 3), 3, "who has not mapped it is told so");
	tap_equal(memory_count_lost(&other, 3, PAGES - 3), 0, "and has all else");

	fill(&vm, 4, state);
	fill(&other, 4, state);
	tap_ok(mrm_full_pass() && mrm_full_pass(), "there are equals again: two passes");
	tap_equal(mrm_get("shared_pages"), 2 * PAGES, "they are shared");
	tap_equal(mrm_get("shared_frames"), PAGES - 2, "in another frame");
	tap_equal(memory_count_lost(&other, 4, 1), 0, "which can be read");
	mrm_check("with a shared frame that has failed");

	vm.states[0] = 4 << 20;
	tap_equal(process_call(&vm, memory_discard_lost, &write, sizeof(write)), 1,
		  "a guest that writes to it is told so, once it is discarded no more");
	for (i = 1; i < 3; i++)
		process_discard(&vm, i, 1);
	process_discard(&other, 0, 3);
	tap_ok(process_verify(&vm) && process_verify(&other), "every byte is right");
	mrm_check("after nobody has it any more");
	process_stop(&vm);
	process_stop(&other);
	mrm_nothing_left("after a shared frame failed");
}

/* Parts of two large ones: of one that is broken then, and of one that is not. */
static void test_large(void)
{
	const size_t whole = 100, broken = PARTS + 100;
	uint64_t frames[2], flags;
	int i;

	large_start(&vm, 4 * PARTS);
	process_fill(&vm, 0, 4 * PARTS, 5 << 20);
	large_are(&vm, 4, 4 * PARTS, "before any fails");
	frames[0] = poison_by_advice(&vm, whole, "a part of a large one");
	frames[1] = poison(&vm, broken, "a part of another");
	tap_ok(mrm_full_pass() && mrm_full_pass(), "two passes");
	large_are(&vm, 4, 4 * PARTS, "after they were scanned");
	tap_equal(process_discard(&vm, broken + 1, 1), 0, "the second is broken");
	tap_ok(mrm_vm_wait(vm.pid, "large_held_bytes", (PARTS - 1) * PAGE_SIZE,
			   (PARTS - 1) * PAGE_SIZE, MRM_LONG),
	       "what has not failed moves out");
	large_are(&vm, 3, 4 * PARTS - 1, "after that");
	tap_equal(memory_count_lost(&vm, PARTS, PARTS), 1, "one page of it is lost");
	tap_equal(memory_count_lost(&vm, 2 * PARTS, 2 * PARTS), 0, "and none of others");
	mrm_check("after parts failed");
	process_discard(&vm, broken, 1);
	tap_equal(mrm_vm_get(vm.pid, "large_held_bytes"), 0, "discarded: nothing is held");
	process_stop(&vm);
	mrm_nothing_left("after parts failed");
	for (i = 0; i < 2; i++) {
		flags = 0;
		pagemap_flags(frames[i], &flags);
		tap_ok(flags & FRAME_IS_POISONED && flags & FRAME_IS_PART &&
		       !(flags & FRAME_IS_FREE), "%s is given to nobody",
		       i ? "the broken one" : "the whole one");
	}
}

int main(void)
{
	if (access(OFFLINE, W_OK)) {
		tap_skip("this kernel has no memory failures", "memory that fails");
		return tap_done();
	}
	mrm_without_large();
	mrm_begin();
	mrm_set("zip_max", "50");
	test_private();
	test_shared();
	mrm_begin();
	mrm_set("alloc_guest_large_page", "1");
	test_large();
	return tap_done();
}
