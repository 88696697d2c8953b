// SPDX-License-Identifier: GPL-2.0
/* Which guests may start. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admission.h"
#include "kept.h"
#include "tap.h"

#define MIB (1ull << 20)

static struct admitted *list;
static char why[MRM_WHY_MAX];

/* Ask for a guest of 512 MiB, which has an overhead of 2 MiB. */
static int ask(const char *name, const char *min, uint64_t unreserved, uint64_t now)
{
	struct mrm_domain domain = { .name = (char *)name, .size = 512 * MIB };
	struct admission_host host = { .unreserved = &unreserved };

	mrm_settings_put(&domain.settings, MRM_MIN, min, domain.wrong);
	return admission_ask(&list, &domain, &host, now, why);
}

/* Ask for a guest of 512 MiB on a host with so many bytes for swap files. */
static int ask_swap(const char *name, const char *min, const char *max, uint64_t free,
		    uint64_t wiping)
{
	struct swap_room room = { .directory = "/var/swap", .free = free, .wiping = wiping };
	struct mrm_domain domain = { .name = (char *)name, .size = 512 * MIB };
	struct admission_host host = { .swap = &room };

	mrm_settings_put(&domain.settings, MRM_MIN, min, domain.wrong);
	mrm_settings_put(&domain.settings, MRM_MAX, max, domain.wrong);
	return admission_ask(&list, &domain, &host, 0, why);
}

/* What one keeps that has 400 MiB, in this state, and so much room in its swap file. */
static uint64_t keeps_with(const struct admission_reach *reach, const char *share_state,
			   const char *balloon_state, uint64_t file_mib)
{
	struct mrm_vm vm = { 0 };

	vm.value[MRM_VM_SIZE_BYTES] = 400 * MIB;
	vm.value[MRM_VM_ADOPTED_BYTES] = 400 * MIB;
	snprintf(vm.text[MRM_VM_STATE], sizeof(vm.text[0]), "%s", share_state);
	snprintf(vm.text[MRM_VM_BALLOON_STATE], sizeof(vm.text[0]), "%s", balloon_state);
	vm.value[MRM_VM_SWAP_FREE_PAGES] = file_mib * MIB / MRM_PAGE_SIZE;
	return kept_by(&vm, reach) / MIB;
}

static uint64_t keeps(const char *share_state, const char *balloon_state)
{
	static const struct admission_reach reach = { .balloon_max = 65, .zip_max = 10 };

	return keeps_with(&reach, share_state, balloon_state, 0);
}

static uint64_t keeps_with_file(uint64_t mib)
{
	static const struct admission_reach reach = { true, 65, 10 };

	return keeps_with(&reach, "on", "absent", mib);
}

static void test_running(void)
{
	tap_ok(!keeps_with_file(0), "of one that is to have a swap file all can be taken");
	tap_ok(keeps_with_file(4) == 356 && keeps_with_file(300) == 60 && !keeps_with_file(400),
	       "of one that has it what fits into it, though its min was lowered since");
	tap_ok(keeps("on", "ok") == 100 && keeps("off", "booting") == 100,
	       "of one that runs a balloon and compression take three quarters");
	tap_ok(keeps("on", "absent") == 360, "compression alone a tenth");
	tap_ok(keeps("locked", "ok") == 400 && keeps("pinned", "ok") == 400 &&
		       keeps("device assigned", "ok") == 400,
	       "nothing of one that is locked, pinned, or has a device");
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file))
		exit(2);
}

static void drop_all(void)
{
	while (list)
		admission_done(&list, list->name);
}

/* What one mrmd has promised the next one knows. */
static void test_file(void)
{
	char dir[] = "/tmp/mrmd-test-XXXXXX", path[64];

	if (!mkdtemp(dir))
		exit(2);
	snprintf(path, sizeof(path), "%s/admitted", dir);
	tap_ok(!admission_load(&list, path) && !list, "without a file nothing is promised");
	ask("a \"b\"", "100MiB", 1024 * MIB, 0);
	ask("c", "10MiB", 1024 * MIB, 7);
	list->swap = 1ull << 63;
	tap_ok(!admission_save(list, path), "promises are noted");
	drop_all();
	tap_ok(!admission_load(&list, path) && list && list->next && !list->next->next,
	       "and known again");
	tap_ok(admission_promised(&list, 1) == 114 * MIB, "with what they are");
	tap_ok(list->swap == 1ull << 63 || list->next->swap == 1ull << 63, "all of it");
	tap_ok(admission_promised(&list, ADMISSION_MS + 1) == 12 * MIB, "for as long");
	admission_done(&list, "c");
	tap_ok(!list, "under their names");
	tap_ok(!admission_save(list, path) && access(path, F_OK), "nothing promised is no file");

	write_file(path, "[{\"name\":\"a\",\"bytes\":1,\"swap\":0,\"until_ms\":9},"
			 "{\"name\":\"b\",\"bytes\":\"1\",\"swap\":0,\"until_ms\":9},7]");
	tap_ok(admission_load(&list, path) == -EINVAL && list && !list->next,
	       "what is not understood is left out");
	drop_all();
	write_file(path, "[{");
	tap_ok(admission_load(&list, path) == -EINVAL && !list, "junk is no promise");
	unlink(path);
	rmdir(dir);
	tap_ok(admission_save(&(struct admitted){ .name = "a" }, path) == -ENOENT,
	       "a directory that is gone is an error");
}

static void test_room(void)
{
	struct swap_room room = { .directory = "/var/swap", .free = 256 * MIB };
	struct mrm_domain less = {
		.name = "less",
		.size = 512 * MIB,
		.current = 256 * MIB,
		.balloon = true,
	};
	struct admission_host host = { .swap = &room };

	tap_ok(!ask_swap("a", "100MiB", "300MiB", 200 * MIB, 0), "max less min fits to the byte");
	tap_ok(ask_swap("a", "100MiB", "300MiB", 200 * MIB - 1, 0) == -ENOSPC,
	       "one byte too many does not");
	tap_has(why,
		"guest a is to have a swap file of 200.0 MiB (its max less its min), but only "
		"200.0 MiB are free in /var/swap; make room, raise its min, lower its max, or "
		"run mrmd with --swap none",
		"is refused in a sentence");
	tap_ok(!list, "and nothing is promised to it");
	tap_ok(!ask_swap("a", "", "", 512 * MIB, 0), "without settings it is its memory");
	tap_ok(ask_swap("b", "511MiB", "", 513 * MIB - 1, 5 * MIB) == -ENOSPC,
	       "what is promised to another is not free");
	tap_has(why,
		"only 513.0 MiB are free in /var/swap, of which 512.0 MiB are for guests that are "
		"starting, and 5.0 MiB are still being wiped; make room",
		"which is said");
	tap_ok(ask_swap("b", "511MiB", "", 0, 0) == -ENOSPC, "nor is more promised than there is");
	tap_ok(!ask_swap("b", "512MiB", "", 0, 0), "one whose min is its memory needs none");
	tap_ok(!ask_swap("c", "511MiB", "", 513 * MIB, 0), "one that fits beside it");
	admission_done(&list, "a");
	tap_ok(!ask_swap("a", "511MiB", "1TiB", 2 * MIB, 0), "a max is at most the memory");
	admission_done(&list, "a");
	admission_done(&list, "c");
	tap_ok(!admission_ask(&list, &less, &host, 0, why), "what it starts with is its max");
	room.free--;
	tap_ok(admission_ask(&list, &less, &host, 0, why) == -ENOSPC, "to the byte");
	host.swap = NULL;
	tap_ok(!admission_ask(&list, &less, &host, 0, why) && !list->swap,
	       "without swap nobody asks for room");
	admission_done(&list, "less");
	host.swap = &room;
	less.foreign = true;
	tap_ok(!admission_ask(&list, &less, &host, 0, why) && list->bytes && !list->swap,
	       "nor one from which nothing can be taken");
	less.emulated = true;
	tap_ok(!admission_ask(&list, &less, &host, 0, why) && strcmp(list->name, "less"),
	       "one without KVM is promised nothing");
	admission_done(&list, "b");
	tap_ok(!list, "nothing of that is left");
}

/* A guest of 400 MiB, with an overhead of 1.6, on a host without swap. */
static void test_kept(void)
{
	const struct admission_reach most = { .balloon_max = 90, .zip_max = 10 };
	const struct admission_reach all = { .balloon_max = 99, .zip_max = 50 };
	const struct admission_reach reach = { .balloon_max = 65, .zip_max = 10 };
	const struct admission_reach files = { true, 65, 10 };
	struct mrm_domain domain = { .name = "a", .size = 400 * MIB, .balloon = true };
	uint64_t overhead = admission_overhead(400 * MIB), unreserved = 100 * MIB + overhead;
	struct admission_host host = { .unreserved = &unreserved, .reach = &reach };

	tap_ok(admission_kept(400 * MIB, true, &reach) == 100 * MIB,
	       "a balloon and compression take so much");
	tap_ok(admission_kept(400 * MIB, false, &reach) == 360 * MIB, "compression alone so much");
	tap_ok(admission_kept(400 * MIB, true, &most) == 24 * MIB, "a balloon leaves the floor");
	tap_ok(!admission_kept(400 * MIB, true, &all), "a guest that is all compressed");
	tap_ok(!admission_ask(&list, &domain, &host, 0, why), "what cannot be taken fits");
	admission_done(&list, "a");
	unreserved--;
	tap_ok(admission_ask(&list, &domain, &host, 0, why) == -ENOSPC, "to the byte");
	tap_has(why,
		"guest a is to have 100.0 MiB always (what neither a balloon nor compression takes "
		"from it), and 1.6 MiB of overhead, but only 101.6 MiB are unreserved; lower the "
		"min of another, or run mrmd with swap files",
		"is refused in a sentence");
	host.reach = &files;
	tap_ok(!admission_ask(&list, &domain, &host, 0, why), "with swap all can be taken");
	admission_done(&list, "a");
	domain.pinned = true;
	tap_ok(admission_ask(&list, &domain, &host, 0, why) == -ENOSPC,
	       "but nothing from one that is pinned");
	tap_has(why,
		"guest a is to have 400.0 MiB always (all of it, as it is locked or has a "
		"device), and 1.6 MiB of overhead, but only 101.6 MiB are unreserved; lower the min "
		"of another",
		"which is said");
	tap_ok(keeps_with(&files, "on", "ok", 0) == 0 &&
		       keeps_with(&files, "pinned", "ok", 0) == 400,
	       "so it is with one that runs");
	tap_ok(!strstr(why, "swap files"), "and that swap files do not help is not");
	domain.pinned = false;
	host.reach = &reach;
	domain.foreign = true;
	tap_ok(!admission_ask(&list, &domain, &host, 0, why), "huge pages are no part of it");
	admission_done(&list, "a");
	domain.foreign = false;
	domain.pinned = true;
	unreserved = 401 * MIB;
	tap_ok(admission_ask(&list, &domain, &host, 0, why) == -ENOSPC,
	       "nothing can be taken from one that is pinned");
	domain.pinned = false;
	mrm_settings_put(&domain.settings, MRM_MIN, "200MiB", domain.wrong);
	host.kept = 30 * MIB;
	unreserved = 230 * MIB + overhead;
	tap_ok(!admission_ask(&list, &domain, &host, 0, why), "a min that is more counts alone");
	admission_done(&list, "a");
	host.kept++;
	tap_ok(admission_ask(&list, &domain, &host, 0, why) == -ENOSPC,
	       "beside what cannot be taken from others");
	tap_has(why,
		"guest a is to have 200.0 MiB always (its min), and 1.6 MiB of overhead, but only "
		"231.6 MiB are unreserved, of which 30.0 MiB cannot be taken from others; lower "
		"its min or that of another, or run mrmd with swap files",
		"which is said");
	host.kept--;
	tap_ok(!admission_ask(&list, &domain, &host, 0, why), "promised to one");
	domain.name = "b";
	tap_ok(admission_ask(&list, &domain, &host, 0, why) == -ENOSPC, "it is not another's");
	tap_has(why,
		"of which 201.6 MiB are for guests that are starting, and 30.0 MiB cannot be taken "
		"from others",
		"which is said, too");
	admission_done(&list, "a");
	tap_ok(!list, "and nothing is promised to it");
}

/**
 * test_admission() - admission of guests
 */
void test_admission(void)
{
	struct mrm_domain domain = { .name = "old", .size = 512 * MIB };
	struct admission_host silent = { 0 };

	tap_ok(admission_overhead(512 * MIB) == 2 * MIB, "overhead of a guest");
	tap_ok(!ask("a", "98MiB", 100 * MIB, 0), "a min that fits");
	tap_ok(ask("b", "98MiB", 199 * MIB, 0) == -ENOSPC, "one that does not fit beside it");
	tap_has(why,
		"guest b is to have 98.0 MiB always (its min), and 2.0 MiB of overhead, but "
		"only 199.0 MiB are unreserved, of which 100.0 MiB are for guests that are "
		"starting",
		"is refused in a sentence");
	tap_ok(!ask("b", "98MiB", 200 * MIB, 0), "one that fits to the byte");
	tap_ok(!ask("b", "98MiB", 200 * MIB, 0), "asked for again, it counts once");
	tap_ok(ask("c", "", 200 * MIB, 0) == -ENOSPC, "without a min there is the overhead");
	admission_done(&list, "a");
	tap_ok(!ask("c", "98MiB", 200 * MIB, 0), "what is released is free");
	tap_ok(ask("d", "1MiB", 200 * MIB, ADMISSION_MS - 1) == -ENOSPC &&
		       !ask("d", "1MiB", 200 * MIB, ADMISSION_MS),
	       "what never came is forgotten");
	tap_ok(ask("d", "1GiB", UINT64_MAX, 0) == -EINVAL, "a min above the memory");
	tap_has(why, "its min, 1GiB, is more than its memory", "is said");
	tap_ok(ask("d", "16000000TiB", UINT64_MAX, 0) == -EINVAL, "one that is huge, too");
	tap_ok(ask("e", "some", UINT64_MAX, 0) == -EINVAL, "settings that are not understood");
	tap_has(why, "guest e: <mrm:memory> in its XML: min is a size", "are, too");
	tap_ok(!admission_ask(&list, &domain, &silent, 0, why), "a module that says nothing");
	admission_done(&list, "nobody");
	admission_done(&list, "old");
	admission_done(&list, "d");
	admission_done(&list, "c");
	admission_done(&list, "b");
	tap_ok(!list, "nothing is left");
	test_file();
	test_running();
	test_room();
	test_kept();
}
