// SPDX-License-Identifier: GPL-2.0
/*
 * Guests without balloons on half of the memory they have, on disks that are slow, of which
 * one slot in a hundred fails, that give back other data than was written, or that are full:
 * not one wrong byte, no hang, no OOM kill.
 *
 * Each VM's guest and user space change random pages all the time, and verify each before.
 * An access to what cannot be read is told so, and tried again until the disk is well.
 *
 * MRM_OVERCOMMIT_SECONDS: how long.  MRM_OVERCOMMIT_MIB: with so much RAM altogether, and no
 * limit but the host's memory, which is to be half of that; MRM_DISK is then a disk of at
 * least as much.  MRM_SEED: to repeat.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "disk.h"
#include "kernel_log.h"
#include "mrm.h"
#include "setting.h"
#include "tap.h"
#include "vm_process.h"

#define MAX_VMS		16
#define WRITERS		2		/* the guest, and user space */
#define KEYS		(1 << 20)	/* different contents: few pages are equal */
#define BATCH		96
#define VM_MIB		64UL
#define LARGE_VM_MIB	256UL
#define SECTORS(mib)	((mib) * MiB / 512)
#define SLOT_SECTORS	(PAGE_SIZE / 512)
#define BAD_EVERY	100		/* slots, of which one fails */
#define MOST_SETS	8		/* of slots that fail: they are retired when written */
#define MODE_MS		5000
#define FULL_PART	24		/* of the VMs' RAM, for which there is room in the end */
#define LEAST_FULL	8		/* MiB of a file system */
#define LOOK_MS		25		/* between looks at the state */
#define MOUNT		"/tmp/mrm-overcommit"
#define BOOST		"/proc/sys/vm/watermark_boost_factor"

/**
 * enum mode - what the disks do
 * @GOOD: what they are told
 * @SLOW: the same, 20 ms later
 * @BROKEN: some slots fail
 * @CORRUPT: some reads give other data
 * @DUST: some slots can be written, but not read until they have been
 * @MODES: how many modes there are
 */
enum mode { GOOD, SLOW, BROKEN, CORRUPT, DUST, MODES };

static const char *const mode_name[MODES] = {
	"good", "slow (dm-delay)", "one slot in 100 fails (dm-flakey)",
	"one read in 100 gives other data (dm-flakey)",
	"one slot in 100 cannot be read until it is written (dm-dust)",
};

/**
 * struct order - what a VM is told
 */
struct order {
	uint64_t seed;
	long seconds;
};

/**
 * struct account - what a VM says of itself, in memory that is shared with it
 * @batches: of each writer
 * @longest_ms: the slowest batch of each
 * @errors: accesses that were told that there was an error
 */
struct account {
	volatile long batches[WRITERS], longest_ms[WRITERS], errors;
};

static struct vm_process vms[MAX_VMS];
static struct account *accounts, *mine;
static unsigned int nr_vms;
static size_t pages;			/* of each */
static unsigned long disk_mib;		/* of each */
static const char *disk;		/* of all, or NULL: a RAM disk each */

/*
 * In the VM's process.
 */

static volatile bool stop;

struct writer {
	struct vm *vm;
	pthread_t thread;
	unsigned int id;
	uint64_t seed;
	long end, error;
};

/* What it wanted is lost, for now: it is tried again when the handler returns. */
static void on_bus(int sig)
{
	const struct timespec while_ago = { .tv_nsec = 10000000 };

	(void)sig;
	__atomic_add_fetch(&mine->errors, 1, __ATOMIC_RELAXED);
	nanosleep(&while_ago, NULL);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!stop && now_ms() < w->end && !w->error) {
		struct guest_work work = {
			.command = GUEST_CHURN, .keys = KEYS, .owner = w->id, .count = BATCH,
			.pages = w->vm->config.pages, .seed = pattern_mix(w->seed++),
		};
		long begun = now_ms(), took;

		w->error = w->id ? vm_user(w->vm, &work) : vm_guest(w->vm, 0, &work);
		took = now_ms() - begun;
		if (took > mine->longest_ms[w->id])
			mine->longest_ms[w->id] = took;
		mine->batches[w->id]++;
	}
	if (w->error) {
		tap_note("writer %u: error %ld", w->id, w->error);
		stop = true;
	}
	return NULL;
}

static long work(struct vm *vm, void *arg)
{
	struct order *order = arg;
	struct writer writers[WRITERS];
	long error = 0;
	unsigned int i;

	signal(SIGBUS, on_bus);
	for (i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){
			.vm = vm, .id = i, .seed = pattern_mix(order->seed + i),
			.end = now_ms() + order->seconds * 1000,
		};
		if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]))
			return -1;
	}
	for (i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		error = error ?: writers[i].error;
	}
	return error;
}

static long take_account(struct vm *vm, void *arg)
{
	(void)vm;
	mine = *(struct account **)arg;
	return 0;
}

/*
 * In the test.
 */

static const char *disk_name(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "mrm-swap%u", i);
	return name;
}

/* Where a VM's part of the disk is. */
static const char *base(unsigned int i, unsigned long *sector)
{
	static char path[DISK_PATH];

	*sector = disk ? i * SECTORS(disk_mib) : 0;
	if (disk)
		return disk;
	snprintf(path, sizeof(path), "/dev/ram%u", i);
	return path;
}

/* A table of one line, or of many if some slots are to fail. */
static char *table(enum mode mode, unsigned int i, unsigned int set)
{
	unsigned long sector, slot, slots = SECTORS(disk_mib) / SLOT_SECTORS, n;
	const char *path = base(i, &sector);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		tap_bail("no memory");
	switch (mode) {
	case SLOW:
		fprintf(f, "0 %lu delay %s %lu 20\n", SECTORS(disk_mib), path, sector);
		break;
	case CORRUPT:
		fprintf(f, "0 %lu flakey %s %lu 0 1 2 random_read_corrupt 10000000\n",
			SECTORS(disk_mib), path, sector);
		break;
	case DUST:
		fprintf(f, "0 %lu dust %s %lu %lu\n", SECTORS(disk_mib), path, sector, PAGE_SIZE);
		break;
	case BROKEN:
		for (slot = 0; slot < slots; slot += n) {
			bool bad = slot % BAD_EVERY == set;

			n = bad ? 1 : set > slot % BAD_EVERY ? set - slot % BAD_EVERY :
			    BAD_EVERY - slot % BAD_EVERY + set;
			n = n < slots - slot ? n : slots - slot;
			fprintf(f, "%lu %lu %s %s %lu%s\n", slot * SLOT_SECTORS, n * SLOT_SECTORS,
				bad ? "flakey" : "linear", path, sector + slot * SLOT_SECTORS,
				bad ? " 0 1" : "");
		}
		break;
	default:
		fprintf(f, "0 %lu linear %s %lu\n", SECTORS(disk_mib), path, sector);
	}
	fclose(f);
	return text;
}

/* Slots that cannot be read. */
static void add_dust(unsigned int i, unsigned int set)
{
	unsigned long slot;
	char text[64];

	disk_message(disk_name(i), "quiet");
	for (slot = set; slot < SECTORS(disk_mib) / SLOT_SECTORS; slot += BAD_EVERY) {
		snprintf(text, sizeof(text), "addbadblock %lu", slot);
		if (disk_message(disk_name(i), text))
			tap_bail("dm-dust does not take a bad block");
	}
	if (disk_message(disk_name(i), "enable"))
		tap_bail("dm-dust is not enabled");
}

static bool set_mode(enum mode mode, unsigned int set)
{
	unsigned int i;
	bool done = true;

	for (i = 0; i < nr_vms; i++) {
		char *text = table(mode, i, set);

		done &= disk_change(disk_name(i), text);
		if (mode == DUST && done)
			add_dust(i, set);
		free(text);
	}
	return done;
}

static void make_disks(void)
{
	unsigned int i;

	for (i = 0; i < nr_vms; i++) {
		char *text = table(GOOD, i, 0);

		if (!disk_create(disk_name(i), text))
			tap_bail("no disk %s", disk_name(i));
		free(text);
	}
}

static void start(unsigned int i, const char *path)
{
	const struct vm_config config = { .pages = pages };
	struct account *account = &accounts[i];
	size_t page;
	int err;

	process_start(&vms[i], &config);
	process_call(&vms[i], take_account, &account, sizeof(account));
	for (page = 0; page < pages; page++)
		vms[i].owners[page] = page / 8 % WRITERS;
	err = disk_hand_over(path, vms[i].pid);
	if (err)
		tap_bail("%s cannot be a swap file: %s", path, strerror(-err));
}

/**
 * struct watch - what was seen of the host meanwhile
 * @looks: how often it was looked at
 * @hard: how often its state was hard
 * @low: or low
 * @full: how often a VM's file had no room
 */
struct watch {
	long looks, hard, low, full;
};

static void look(struct watch *w)
{
	unsigned int i;
	bool full = false;

	/* One may go over into the other meanwhile; it is looked often. */
	w->hard += mrm_state_is("hard");
	w->low += mrm_state_is("low");
	for (i = 0; i < nr_vms; i++)
		full |= !mrm_vm_get(vms[i].pid, "swap_free_pages");
	w->looks++;
	w->full += full;
	usleep(LOOK_MS * 1000);
}

/*
 * So little is free for a moment that the state is low, and then hard, however slow those are
 * who take memory, and however quickly it is taken back.  Then there is as much as @limit says.
 */
static void press(struct watch *w, long limit)
{
	static const int percent[] = { 10, 26 };	/* of what should be free: 6 per cent */
	const struct watch before = *w;
	unsigned int i, vm;

	for (i = 0; i < 2; i++) {
		long till = now_ms() + MRM_LONG;

		while ((i ? w->hard == before.hard : w->low == before.low) && now_ms() < till) {
			long used = 0;

			for (vm = 0; vm < nr_vms; vm++)
				used += mrm_vm_get(vms[vm].pid, "consumed_bytes");
			mrm_set_number("limit_bytes", used / (10000 - 6 * percent[i]) * 10000);
			look(w);
		}
	}
	mrm_set_number("limit_bytes", limit);
}

static long oom_kills(void)
{
	static char text[1 << 16];
	char *at;

	if (file_read("/proc/vmstat", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "\noom_kill ");
	return at ? atol(at + strlen("\noom_kill ")) : -1;
}

static void begin(long seconds, uint64_t seed)
{
	unsigned int i;

	memset(accounts, 0, MAX_VMS * sizeof(*accounts));
	for (i = 0; i < nr_vms; i++) {
		struct order order = { pattern_mix(seed + i), seconds };

		process_send(&vms[i], work, &order, sizeof(order));
	}
}

static bool is_accounted_for(void *unused)
{
	char text[MRM_TEXT];

	(void)unused;
	return mrm_debug_read("check", text, sizeof(text)) > 0 && !strcmp(text, "ok\n");
}

static void end(const char *what, const struct watch *w, long seconds)
{
	unsigned int i, writer;
	long longest = 0, batches = 0, errors = 0;

	for (i = 0; i < nr_vms; i++) {
		tap_equal(process_receive(&vms[i], seconds * 1000 + 4 * MRM_LONG), 0,
			  "%s: VM %u: not one wrong byte", what, i);
		errors += accounts[i].errors;
		for (writer = 0; writer < WRITERS; writer++) {
			batches += accounts[i].batches[writer];
			if (accounts[i].longest_ms[writer] > longest)
				longest = accounts[i].longest_ms[writer];
		}
	}
	for (i = 0; i < nr_vms; i++)
		tap_ok(process_verify(&vms[i]), "%s: VM %u: every byte is right", what, i);
	/* While memory is short it goes on taking, though nobody wants more. */
	for (i = nr_vms / 2; i < nr_vms; i++)
		process_stop(&vms[i]);
	if (!tap_ok(wait_until(is_accounted_for, NULL, MRM_LONG), "%s: the recount is right", what))
		mrm_check(what);
	for (i = 0; i < nr_vms / 2; i++)
		process_stop(&vms[i]);
	tap_note("%s: state hard %ld %% of the time, low %ld %%; no room %ld %%", what,
		 100 * w->hard / w->looks, 100 * w->low / w->looks, 100 * w->full / w->looks);
	tap_note("%s: %ld changes, the slowest %d of them took %ld ms; %ld errors told", what,
		 batches * BATCH, BATCH, longest, errors);
	tap_ok(w->hard, "%s: the state was hard", what);
	tap_ok(w->low, "%s: and low", what);
}

static long sum_of(const char *file)
{
	long sum = 0;
	unsigned int i;

	for (i = 0; i < nr_vms; i++)
		sum += mrm_vm_get(vms[i].pid, file);
	return sum;
}

static long swapped_mib;	/* by test_disks() */

/* The disks do one thing after another. */
static void test_disks(long seconds, long limit, uint64_t seed)
{
	long till, long_modes = setting("MRM_PATIENCE", 1);
	unsigned int i, turn, left_out = 0, bad_sets = 0;
	struct watch w = {};

	make_disks();
	for (i = 0; i < nr_vms; i++) {
		char path[DISK_PATH];

		snprintf(path, sizeof(path), "/dev/mapper/%s", disk_name(i));
		start(i, path);
	}
	begin(seconds, seed);
	till = now_ms() + seconds * 1000;
	press(&w, limit);
	for (turn = 0; now_ms() < till; turn++) {
		enum mode mode = turn % MODES;
		long next = now_ms() + long_modes * MODE_MS;

		if (left_out & 1U << mode)
			continue;
		/* Where it is the host's memory that is short the state may be soft for long. */
		if (!limit)
			press(&w, limit);
		if (mode == BROKEN)
			bad_sets++;
		if (!set_mode(mode, (mode == BROKEN ? bad_sets : turn) % MOST_SETS)) {
			tap_note("left out: %s", mode_name[mode]);
			left_out |= 1U << mode;
			continue;
		}
		/* To change them may have taken all of the time. */
		do {
			look(&w);
		} while (now_ms() < next && now_ms() < till);
	}
	tap_ok(!(left_out & (1U << SLOW | 1U << BROKEN)), "disks were slow, and failed");
	tap_ok(set_mode(GOOD, 0), "all are well in the end");
	tap_ok(sum_of("swap_outs") && sum_of("swap_ins"), "pages were swapped, and read");
	tap_ok(sum_of("unzips"), "and zipped, and unzipped");
	swapped_mib = sum_of("swap_outs") / 256;
	tap_ok(sum_of("swap_bad_pages"), "slots that failed were retired");
	tap_note("%ld zipped, %ld swapped out, %ld in, %ld slots retired, %ld times blocked",
		 sum_of("zips"), sum_of("swap_outs"), sum_of("swap_ins"),
		 sum_of("swap_bad_pages"), sum_of("blocks"));
	end("disks that err", &w, seconds);
	mrm_nothing_left("after disks that err");
}

/* Sparse files on a file system with room for a part of them. */
static void start_on_files(void)
{
	unsigned int i;

	for (i = 0; i < nr_vms; i++) {
		char path[DISK_PATH];
		int fd;

		snprintf(path, sizeof(path), MOUNT "/%u", i);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, pages * PAGE_SIZE))
			tap_bail("no file on " MOUNT);
		close(fd);
		start(i, path);
	}
}

static void test_full(long seconds, long limit, uint64_t seed)
{
	static const char *const words[] = { "the disk of its swap file ", " is full", NULL };
	long mib = nr_vms * pages / 256 / FULL_PART, slow, till, outs;
	char command[256];
	struct watch w = {};
	unsigned int i;

	if (mib > (long)disk_mib)
		mib = disk_mib;
	/* That was for three times as long: a debug kernel is so slow that it fills little. */
	slow = swapped_mib / 16 > LEAST_FULL ? swapped_mib / 16 : LEAST_FULL;
	if (mib > slow)
		mib = slow;
	snprintf(command, sizeof(command),
		 "modprobe -q ext4; mkfs.ext4 -q -F -O ^has_journal -m 0 /dev/mapper/%s %ldM",
		 disk_name(0), mib);
	if (system(command))
		tap_bail("no file system: %s", command);
	mkdir(MOUNT, 0700);
	snprintf(command, sizeof(command), "/dev/mapper/%s", disk_name(0));
	if (mount(command, MOUNT, "ext4", 0, NULL))
		tap_bail("cannot mount %s: %s", command, strerror(errno));
	start_on_files();
	kernel_log_from_now();
	begin(seconds, seed);
	till = now_ms() + seconds * 1000;
	press(&w, limit);
	/* On a slow kernel it may take as long again until it is full. */
	do {
		look(&w);
	} while (now_ms() < till + (w.full ? 0 : seconds * 1000));
	tap_ok(kernel_log_says((void *)words), "that it was full was said");
	outs = sum_of("swap_outs");
	tap_ok(outs > 0, "pages were swapped to it");
	tap_equal(sum_of("swap_bad_pages"), 0, "no slot was retired because it was full");
	tap_ok(w.full, "it was full");
	end("a full disk", &w, seconds);
	mrm_nothing_left("after a full disk");
	tap_ok(disk_unmount(MOUNT), "nobody has its file system open");
	for (i = 0; i < nr_vms; i++)
		tap_ok(disk_remove(disk_name(i)), "nobody has disk %u open", i);
}

static uint64_t disk_bytes(const char *path)
{
	uint64_t bytes = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
		bytes = 0;
	if (fd >= 0)
		close(fd);
	return bytes;
}

/* How many VMs, and how large.  Return: there are disks for them. */
static bool size_up(long mib)
{
	disk = mib ? getenv("MRM_DISK") : NULL;
	if (!mib) {
		nr_vms = 3;
		pages = VM_MIB * 256;
		disk_mib = DISK_RAM_BYTES / MiB;
		return disk_ram();
	}
	nr_vms = mib / LARGE_VM_MIB;
	pages = LARGE_VM_MIB * 256;
	if (!disk || nr_vms < 2 || nr_vms > MAX_VMS)
		tap_bail("MRM_OVERCOMMIT_MIB is %lu to %lu, and MRM_DISK a disk",
			 2 * LARGE_VM_MIB, MAX_VMS * LARGE_VM_MIB);
	disk_mib = disk_bytes(disk) / MiB / nr_vms;
	if (disk_mib < LARGE_VM_MIB)
		tap_bail("%s is too small", disk);
	return true;
}

static char boost[MRM_TEXT];
static pid_t boost_owner;

static void boost_less(void)
{
	if (getpid() == boost_owner)
		file_write(BOOST, boost);
}

/* Until the test ends, however it does. */
static int boost_more(void)
{
	if (file_read(BOOST, boost, sizeof(boost)) <= 0)
		return -1;
	boost_owner = getpid();
	return atexit(boost_less) ?: file_write(BOOST, "60000");
}

int main(void)
{
	long seconds = setting("MRM_OVERCOMMIT_SECONDS", 120);
	long mib = setting("MRM_OVERCOMMIT_MIB", 0), killed, limit;
	uint64_t seed = setting_seed("MRM_SEED");

	mrm_begin();
	if (!size_up(mib) || !disk_mapper()) {
		tap_skip("no disks", "overcommitted");
		return tap_done();
	}
	accounts = mmap(NULL, MAX_VMS * sizeof(*accounts), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (accounts == MAP_FAILED)
		tap_bail("no memory");
	tap_note("%ld s, %u VMs of %zu MiB, seed %#lx", seconds, nr_vms, pages / 256, seed);
	killed = oom_kills();
	limit = mib ? 0 : nr_vms * pages * PAGE_SIZE / 2;
	if (limit && mrm_set_number("limit_bytes", limit))
		tap_bail("no limit");
	/* Memory that is broken up, as ours is, makes the kernel keep more: four times as much. */
	if (mib && boost_more())
		tap_bail("no " BOOST);
	tap_note("%.1f times the memory that there is", (double)nr_vms * pages * PAGE_SIZE /
		 mrm_get("budget_bytes"));
	test_disks(seconds * 3 / 4, limit, seed);
	test_full(seconds / 4, limit, seed + 1);
	tap_equal(oom_kills(), killed, "the kernel has killed nobody");
	return tap_done();
}
