// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that are shared no more but for their name: of two guest pages that were equal one is
 * written or discarded, and the other alone names the frame.  When memory is taken such frames
 * become their guest pages' own, where they are, and are zipped and swapped like any other; those
 * that anybody else holds stay.
 */

#include "disk.h"
#include "mrm.h"
#include "pagemap.h"
#include "pin.h"
#include "tap.h"
#include "vm_process.h"

/* RAM: what each part holds is what the part behind it holds, too, when the test begins. */
#define PART		1024
#define THIN_FIRST	0		/* compressible */
#define THIN_SECOND	PART
#define THICK_FIRST	(2 * PART)	/* not compressible */
#define THICK_SECOND	(3 * PART)
#define PAGES		(4 * PART)

static struct vm_process vm;

static void start(struct vm_process *p, size_t pages)
{
	const struct vm_config config = { .pages = pages };

	process_start(p, &config);
	if (mrm_vm_set(p->pid, "salt", "own"))
		tap_bail("cannot set the salt");
}

static void fill(struct vm_process *p, size_t first, size_t count, uint64_t state)
{
	size_t i;

	for (i = 0; i < count; i++)
		p->states[first + i] = state + i;
	if (process_guest(p, GUEST_FILL, first, count))
		tap_bail("RAM is not filled");
}

static void are(const char *what, long shared, long frames, long private)
{
	tap_equal(mrm_get("shared_pages"), shared, "%s: shared pages", what);
	tap_equal(mrm_get("shared_frames"), frames, "%s: shared frames", what);
	tap_equal(mrm_get("private_pages"), private, "%s: private pages", what);
}

/* Take from a VM until so many are counted; what is drawn at random is not found at once. */
struct want {
	struct vm_process *p;
	const char *counter;
	long least;
};

static bool took(void *context)
{
	struct want *w = context;

	return !mrm_vm_reclaim(w->p->pid, w->p->pages * PAGE_SIZE) &&
	       mrm_vm_get(w->p->pid, w->counter) >= w->least;
}

static void take(struct vm_process *p, const char *counter, long least, const char *what)
{
	struct want w = { p, counter, least };
	int i;

	tap_ok(wait_until(took, &w, MRM_LONG), "%s: it is taken", what);
	/* And not more. */
	for (i = 0; i < 4; i++)
		took(&w);
	tap_equal(mrm_vm_get(p->pid, counter), least, "%s: %s", what, counter);
}

static void read_frames(uint64_t *frames)
{
	if (process_user(&vm, GUEST_VERIFY, THICK_FIRST, PART) ||
	    pagemap_read(vm.pid, vm.ram + THICK_FIRST * PAGE_SIZE, PART, frames))
		tap_bail("cannot read in which frames pages are");
}

/* Of each pair the second is another. */
static void test_written(void)
{
	static uint64_t before[PART], after[PART];
	long broken, unzips, same = 0;
	size_t i;

	start(&vm, PAGES);
	fill(&vm, THIN_FIRST, PART, (1 << 20) | THIN);
	fill(&vm, THIN_SECOND, PART, (1 << 20) | THIN);
	fill(&vm, THICK_FIRST, PART, 2 << 20);
	fill(&vm, THICK_SECOND, PART, 2 << 20);
	tap_ok(mrm_share_all(), "pairs: a pass");
	are("pairs", PAGES, PAGES / 2, 0);

	fill(&vm, THIN_SECOND, PART, (3 << 20) | THIN);
	fill(&vm, THICK_SECOND, PART, 4 << 20);
	are("each second one is written", PAGES / 2, PAGES / 2, PAGES / 2);
	tap_equal(mrm_get("saved_pages"), 0, "so nothing is saved");
	mrm_check("with frames that have one name");

	read_frames(before);
	broken = mrm_get("broken_pages");
	take(&vm, "owned_pages", 2 * PART, "of those that have one name");
	take(&vm, "zipped_pages", 2 * PART, "what is thin");
	are("what is thick stays", 0, 0, 2 * PART);
	mrm_check("after all were taken that can be");
	read_frames(after);
	for (i = 0; i < PART; i++)
		same += before[i] == after[i];
	tap_equal(same, PART, "and where it was");
	for (i = 0; i < PART; i++)
		vm.states[THICK_FIRST + i] = pattern_poke(vm.states[THICK_FIRST + i],
							  i % PAGE_WORDS);
	tap_equal(process_guest(&vm, GUEST_POKE, THICK_FIRST, PART), 0, "it is written");
	tap_equal(mrm_get("broken_pages"), broken, "which copies nothing");
	unzips = mrm_get("unzips");
	tap_ok(process_verify(&vm), "every byte is right");
	tap_equal(mrm_get("unzips") - unzips, 2 * PART, "what was zipped is unzipped");
	mrm_check("after that");

	/* As hints. */
	fill(&vm, THICK_FIRST, PART, 5 << 20);
	fill(&vm, THICK_SECOND, PART, 5 << 20);
	tap_ok(mrm_share_all(), "pairs again: a pass");
	are("pairs again", 2 * PART, PART, 2 * PART);
	fill(&vm, THICK_FIRST, PART, 6 << 20);
	take(&vm, "owned_pages", 3 * PART, "the second ones");
	fill(&vm, THICK_FIRST, PART, 5 << 20);
	tap_ok(mrm_full_pass(), "the first are equal to them: one pass");
	tap_equal(mrm_get("shared_pages"), 2 * PART, "finds them all");
	tap_equal(mrm_get("shared_frames"), PART, "in as many frames");
	tap_ok(process_verify(&vm), "every byte is right");
}

/* What is left as it is: pairs, zeroes, and what others hold. */
static void test_left_alone(void)
{
	const size_t page = THICK_FIRST + 77, pair = page + PART;
	long owned = mrm_vm_get(vm.pid, "owned_pages");
	struct lent_pages lent = { page, 1, { vm.states[page] } };

	take(&vm, "zipped_pages", 2 * PART, "with pairs");
	tap_equal(mrm_vm_get(vm.pid, "owned_pages"), owned, "a frame with two names stays shared");
	tap_equal(mrm_get("shared_frames"), PART, "all of them do");

	tap_equal(process_call(&vm, lend_pages, &lent, sizeof(lent)), 0,
		  "a page is lent to a pipe");
	fill(&vm, pair, 1, 7 << 20);
	took(&(struct want){ &vm, "owned_pages", 0 });
	tap_equal(mrm_vm_get(vm.pid, "owned_pages"), owned,
		  "its frame has one name, and stays shared");
	tap_equal(process_call(&vm, take_back_pages, &lent, sizeof(lent)), 0, "the pipe has it");
	take(&vm, "owned_pages", owned + 1, "when that has let go");
	tap_ok(process_verify(&vm), "every byte is right");
	mrm_check("after one was lent");
	process_stop(&vm);
	mrm_nothing_left("after pages were written");
}

/* Two VMs with equal pages, of which one gives its own up. */
static void test_discarded(void)
{
	struct vm_process other;

	start(&vm, PART);
	start(&other, PART);
	fill(&vm, 0, PART, (8 << 20) | THIN);
	fill(&other, 0, PART, (8 << 20) | THIN);
	tap_ok(mrm_share_all(), "two VMs: a pass");
	are("two VMs", 2 * PART, PART, 0);
	tap_ok(process_verify(&vm) && process_verify(&other), "both have them mapped");
	tap_equal(process_discard(&vm, 0, PART), 0, "the first discards all");
	take(&other, "owned_pages", PART, "the other's");
	take(&other, "zipped_pages", PART, "the other's");
	are("the other's", 0, 0, 0);
	tap_ok(process_verify(&vm), "the first has zeroes");
	tap_ok(process_verify(&other), "the other what it had");
	mrm_check("after a discard");
	process_stop(&vm);
	process_stop(&other);
	mrm_nothing_left("after pages were discarded");
}

/* Of which one ends, and there is swap. */
static void test_ended(void)
{
	long owned = mrm_get("owned_pages");
	struct vm_process other;

	mrm_set("zip_max", "0");
	start(&vm, PART);
	start(&other, PART);
	fill(&vm, 0, PART, 9 << 20);
	fill(&other, 0, PART, 9 << 20);
	tap_ok(mrm_share_all(), "one of two ends: a pass");
	tap_equal(mrm_get("shared_frames"), PART, "all is shared");
	process_stop(&vm);
	/* Without swap nothing comes of it. */
	took(&(struct want){ &other, "owned_pages", 0 });
	tap_equal(mrm_get("owned_pages"), owned, "without swap they stay shared");
	tap_equal(disk_hand_over(DISK_RAM, other.pid), 0, "the other gets a swap file");
	take(&other, "swapped_pages", PART, "to swap");
	are("to swap", 0, 0, 0);
	mrm_check("after one was swapped");
	tap_ok(process_verify(&other), "every byte is right");
	process_stop(&other);
	mrm_nothing_left("after one was swapped");
}

int main(void)
{
	mrm_without_large();
	mrm_begin();
	mrm_set("zip_max", "50");
	test_written();
	test_left_alone();
	test_discarded();
	if (disk_ram())
		test_ended();
	else
		tap_skip("no RAM disks", "one of two ends, and there is swap");
	return tap_done();
}
