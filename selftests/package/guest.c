// SPDX-License-Identifier: GPL-2.0
/*
 * A VM for boot_test.sh: of its RAM some is shared, some zipped, and some in the swap file that
 * mrmd makes for it.  It says "ready" then.  For each line of its input it verifies all, writes
 * part of it anew, has as much taken again, and says "right", until a line is "end".
 */
#include <stdio.h>
#include <string.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

/* RAM, by what it holds. */
#define PART		1024
#define TWINS		0		/* of each page there are two */
#define THIN_ONES	PART		/* like no other, compressible */
#define THICK		(2 * PART)	/* like no other, and incompressible */
#define PAGES		(4 * PART)

static struct vm_process vm;

static void deal(size_t first, uint32_t id)
{
	size_t i;

	for (i = first; i < PAGES; i++) {
		if (i < THIN_ONES)
			vm.states[i] = id + (i - TWINS) / 2;
		else
			vm.states[i] = i < THICK ? (id + i) | THIN : id + i;
	}
	if (process_guest(&vm, GUEST_FILL, first, PAGES - first))
		tap_bail("RAM is not filled");
}

static bool has_swap_file(void *unused)
{
	char text[MRM_TEXT];

	(void)unused;
	return mrm_vm_text(vm.pid, "swap_file", text)[0] == '/';
}

/* What is drawn at random is not found at once. */
static bool is_taken(void *unused)
{
	(void)unused;
	return !mrm_vm_reclaim(vm.pid, PAGES * PAGE_SIZE) &&
	       mrm_vm_get(vm.pid, "swapped_pages") >= PART &&
	       mrm_vm_get(vm.pid, "zipped_pages") > 0;
}

static void take(void)
{
	if (!wait_until(is_taken, NULL, MRM_LONG))
		tap_bail("taken: %ld pages swapped, %ld zipped",
			 mrm_vm_get(vm.pid, "swapped_pages"), mrm_vm_get(vm.pid, "zipped_pages"));
}

static void begin(void)
{
	const struct vm_config config = { .pages = PAGES };

	mrm_begin();
	process_start(&vm, &config);
	if (mrm_vm_set(vm.pid, "salt", "package"))
		tap_bail("the VM gets no salt");
	deal(0, 1);
	if (!mrm_full_pass() || mrm_vm_get(vm.pid, "shared_pages") < PART / 2)
		tap_bail("shared: %ld pages", mrm_vm_get(vm.pid, "shared_pages"));
	if (!wait_until(has_swap_file, NULL, 2 * MRM_LONG))
		tap_bail("there is no swap file");
	take();
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

int main(void)
{
	uint32_t id = 1;
	char line[16];

	begin();
	say("ready");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n")) {
		if (!process_verify(&vm))
			tap_bail("a page is wrong");
		id += PAGES;
		deal(THIN_ONES, id);
		take();
		say("right");
	}
	process_stop(&vm);
	return 0;
}
