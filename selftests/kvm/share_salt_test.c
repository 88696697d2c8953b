// SPDX-License-Identifier: GPL-2.0
/*
 * Salts: VMs of different salt share nothing with each other, but each goes on
 * sharing inside; a change at run time unshares; ESX's three modes; what is no
 * salt is refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <stdio.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

/* In each VM: pages that are there twice, zero pages, pages like no other. */
#define EQUAL	512
#define ZERO	256
#define UNIQUE	768
#define SHARED	(2 * EQUAL + ZERO)
#define PAGES	(SHARED + UNIQUE)

#define APART		(2 * (EQUAL + 1))	/* shared frames */
#define TOGETHER	(EQUAL + 1)

static struct vm_process vm[2];

static void deal(struct vm_process *p, uint64_t id)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		if (i < 2 * EQUAL)
			p->states[i] = 1 + i % EQUAL;
		else
			p->states[i] = i < SHARED ? 0 : id + i;
	}
}

static void set_salt(struct vm_process *p, const char *salt)
{
	/* sysfs drops a write of nothing. */
	if (mrm_vm_set(p->pid, "salt", *salt ? salt : "\n"))
		tap_bail("cannot set the salt \"%s\"", salt);
}

static void set_salts(const char *a, const char *b)
{
	set_salt(&vm[0], a);
	set_salt(&vm[1], b);
}

static void set_mode(long mode)
{
	if (mrm_set_number("share_force_salting", mode))
		tap_bail("cannot set share_force_salting");
}

/* Scan, and see how many frames the two need: never more may be saved. */
static void expect(long frames, const char *when)
{
	int i;

	/* Zero pages that a change of salt gave up are there again when read. */
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vm[i]), "%s: VM %d: every byte is right", when, i);
	if (!process_share_all(vm, 2, 0, PAGES))
		tap_bail("the scanner does not finish");
	tap_equal(mrm_get("shared_pages"), 2 * SHARED, "%s: shared guest pages", when);
	tap_equal(mrm_get("shared_frames"), frames, "%s: shared frames, %s", when,
		  frames == APART ? "each VM its own" : "both VMs together");
	tap_equal(mrm_get("zero_frames"), frames == APART ? 2 : 1, "%s: zero frames", when);
	for (i = 0; i < 2; i++)
		tap_ok(process_verify(&vm[i]), "%s: VM %d: every byte is right", when, i);
	mrm_check(when);
}

static void test_change(void)
{
	long shared;

	set_salts("same", "same");
	tap_equal(mrm_get("shared_pages"), 0, "a change of salt unshares at once");
	tap_equal(mrm_get("resident_pages"), 2 * (PAGES - ZERO), "zero pages then have no frame");
	expect(TOGETHER, "equal salts");

	shared = mrm_vm_get(vm[1].pid, "shared_pages");
	set_salts("other", "same");
	tap_equal(mrm_vm_get(vm[0].pid, "shared_pages"), 0,
		  "the VM whose salt was changed shares nothing");
	tap_equal(mrm_vm_get(vm[1].pid, "shared_pages"), shared, "the other one shares as before");
	mrm_check("after the change of salt");
	expect(APART, "salts that were equal");
}

static void test_modes(void)
{
	set_mode(0);
	expect(TOGETHER, "mode 0, different salts");
	set_salts("", "x");
	expect(TOGETHER, "mode 0, one salt");
	set_mode(1);
	tap_equal(mrm_get("shared_frames"), 0, "a change of mode unshares at once");
	expect(APART, "mode 1, one salt");
	set_salts("y", "x");
	expect(APART, "mode 1, different salts");
	set_salts("", "");
	expect(TOGETHER, "mode 1, no salts");
	set_salts("z", "z");
	expect(TOGETHER, "mode 1, equal salts");
	set_mode(2);
	expect(TOGETHER, "mode 2, equal salts");
	set_salts("", "");
	expect(APART, "mode 2, no salts");
}

static void test_bad(void)
{
	static const char * const bad[] = {
		"tab\tin it", "\001", "\177", "two\nlines", "\n\n",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	char longest[64] = "", text[MRM_TEXT], path[128];
	struct stat st;
	unsigned int i;

	set_salts("kept", "");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tap_equal(mrm_vm_set(vm[0].pid, "salt", bad[i]), -EINVAL, "bad salt %u is refused",
			  i);
		tap_text(mrm_vm_text(vm[0].pid, "salt", text), "kept", "and the salt kept");
	}
	memset(longest, 'x', 63);
	tap_equal(mrm_vm_set(vm[0].pid, "salt", longest), 0, "63 characters are a salt");
	tap_text(mrm_vm_text(vm[0].pid, "salt", text), longest, "and all of them are kept");
	tap_equal(mrm_vm_set(vm[0].pid, "salt", "with newline\n"), 0, "a newline may end it");
	tap_text(mrm_vm_text(vm[0].pid, "salt", text), "with newline", "and is not part of it");
	tap_equal(mrm_vm_set(vm[0].pid, "salt", "\n"), 0, "a newline alone takes the salt away");
	tap_text(mrm_vm_text(vm[0].pid, "salt", text), "", "and it is empty");
	snprintf(path, sizeof(path), MRM_SYSFS "/vm/%d/salt", vm[0].pid);
	tap_ok(!stat(path, &st) && (st.st_mode & 07777) == 0600, "a salt is for root alone");
}

/* share: a VM that is told not to share gets all its pages back, at once. */
static void test_off(void)
{
	char text[MRM_TEXT];

	set_salts("s", "s");
	expect(TOGETHER, "before sharing is turned off");
	tap_equal(mrm_vm_set(vm[0].pid, "share", "0"), 0, "sharing is turned off for a VM");
	tap_equal(mrm_vm_get(vm[0].pid, "shared_pages"), 0, "then it shares nothing");
	tap_text(mrm_vm_text(vm[0].pid, "share_state", text), "off", "and says so");
	tap_ok(mrm_full_pass(), "a pass");
	tap_equal(mrm_vm_get(vm[0].pid, "shared_pages"), 0, "nor after a pass");
	tap_equal(mrm_vm_get(vm[1].pid, "shared_pages"), SHARED, "the other VM does");
	tap_ok(process_verify(&vm[0]) && process_verify(&vm[1]), "every byte is right");
	/* Without page_mkwrite a read takes a frame; reading zero pages did. */
	tap_equal(mrm_vm_get(vm[0].pid, "private_pages"), PAGES, "all its pages are private");
	tap_equal(mrm_vm_set(vm[0].pid, "share", "1"), 0, "sharing is turned on again");
	expect(TOGETHER, "after sharing is turned on again");
}

int main(void)
{
	const struct vm_config config = { .pages = PAGES };
	int i;

	mrm_begin();
	for (i = 0; i < 2; i++) {
		process_start(&vm[i], &config);
		deal(&vm[i], (i + 1) << 20);
		if (process_guest(&vm[i], GUEST_FILL, 0, PAGES))
			tap_bail("cannot fill RAM");
	}
	expect(APART, "no salts");
	for (i = 0; i < 2; i++) {
		tap_equal(mrm_vm_get(vm[i].pid, "saved_pages"), SHARED - TOGETHER,
			  "VM %d: saved pages", i);
		tap_equal(mrm_vm_get(vm[i].pid, "saved_within_pages"), SHARED - TOGETHER,
			  "VM %d: all of them inside", i);
	}
	set_salts("a", "b");
	expect(APART, "different salts");
	test_change();
	test_modes();
	test_bad();
	test_off();
	for (i = 0; i < 2; i++)
		process_stop(&vm[i]);
	mrm_nothing_left("after both have ended");
	return tap_done();
}
