// SPDX-License-Identifier: GPL-2.0
/*
 * Every file in sysfs and debugfs, with a VM there: modes and owners, junk, odd
 * reads; and what an ordinary user may do, which is to read counters.
 *
 * The files are found, not listed: one that is new must be dealt with here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mrm.h"
#include "tap.h"
#include "vm_process.h"

#define MAX_FILES	160
#define TEXT		0x10000
#define NOBODY		65534
#define RAM_PAGES	1024
#define RAM_BYTES	(RAM_PAGES * PAGE_SIZE)
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* What is not a counter; all other files are read-only, and anybody may read them. */
static const struct rule {
	const char *name;
	bool debug;
	unsigned int mode;
	long min, max;		/* of a number; max is -1: it is none */
} rules[] = {
	{ "share_scan_time", false, 0644, 0, 604800 },
	{ "share_rate_max", false, 0644, 0, 10000000 },
	{ "share_cpu_max", false, 0644, 0, 100 },
	{ "share_force_salting", false, 0644, 0, 2 },
	/* 1 alone is accepted, and what it says does not stay. */
	{ "share_scan_now", false, 0644, 0, -1 },
	{ "sample_period", false, 0644, 0, 3600 },
	{ "sample_pages", false, 0644, 1, 10000 },
	{ "sample_method", false, 0644, 0, 1 },
	{ "idle_tax", false, 0644, 0, 99 },
	{ "balance_period", false, 0644, 1, 3600 },
	{ "min_free", false, 0644, 0, 50 },
	{ "balloon_max", false, 0644, 0, 99 },
	/* 0 as well, and at most what the host has: most(). */
	{ "limit_bytes", false, 0644, 64 * MiB, 0 },
	{ "zip_max", false, 0644, 0, 50 },
	{ "alloc_guest_large_page", false, 0644, 0, 1 },
	{ "large_break_pct", false, 0644, 1, 100 },
	{ "large_rebuild_rate", false, 0644, 0, 1024 },
	{ "hot_io_threshold", false, 0644, 0, 1000000 },
	{ "hot_io_period", false, 0644, 1, 3600 },
	{ "hot_io_max", false, 0644, 0, 4096 },
	/* A word. */
	{ "zip_algorithm", false, 0644, 0, -1 },
	{ "share", false, 0644, 0, 1 },
	/* A secret: whoever knows it could share with the VM. */
	{ "salt", false, 0600, 0, -1 },
	/* Words, too. */
	{ "shares", false, 0644, 1, 1000000000 },
	/* Rounded to pages; of what the VM is. */
	{ "min_bytes", false, 0644, 0, RAM_BYTES },
	{ "max_bytes", false, 0644, 0, RAM_BYTES },
	{ "balloon_bytes", false, 0644, 0, RAM_BYTES },
	{ "balloon_state", false, 0644, 0, -1 },
	/* A file descriptor, where there is no file that would do; where files are, is root's. */
	{ "swap_file", false, 0600, 0, -1 },
	{ "table", true, 0400, 0, -1 },
	{ "check", true, 0400, 0, -1 },
	{ "missed", true, 0400, 0, -1 },
	{ "io_devices", true, 0400, 0, -1 },
	{ "io_hottest", true, 0400, 0, -1 },
	{ "io_low", true, 0400, 0, -1 },
	{ "hash_bits", true, 0600, 0, -1 },
	{ "ranges", true, 0400, 0, -1 },
	{ "pages", true, 0400, 0, -1 },
	{ "reclaim", true, 0200, 0, -1 },
};

static struct file {
	char path[192];
	struct stat st;
	const struct rule *rule;
	bool debug;
} files[MAX_FILES];
static unsigned int nr_files, nr_directories, wrong_directories;

static struct vm_process vm;
static void *nowhere;		/* memory that cannot be touched */

static const char *base(const struct file *f)
{
	return strrchr(f->path, '/') + 1;
}

static long most(const struct rule *rule)
{
	return strcmp(rule->name, "limit_bytes") ? rule->max :
	       sysconf(_SC_PHYS_PAGES) * (long)PAGE_SIZE;
}

static int found(const char *path, const struct stat *st, int type, struct FTW *unused)
{
	struct file *f = &files[nr_files];
	unsigned int i;

	(void)unused;
	if (type == FTW_D) {
		/* Debugfs' own root keeps others out. */
		nr_directories++;
		if (st->st_uid || st->st_gid || st->st_mode & 022) {
			tap_note("%s: mode %o, owner %u:%u", path, st->st_mode & 07777,
				 st->st_uid, st->st_gid);
			wrong_directories++;
		}
		return 0;
	}
	if (nr_files == MAX_FILES)
		tap_bail("too many files");
	snprintf(f->path, sizeof(f->path), "%s", path);
	f->st = *st;
	f->debug = !strncmp(path, MRM_DEBUGFS, strlen(MRM_DEBUGFS));
	for (i = 0; i < COUNT(rules); i++)
		if (!strcmp(rules[i].name, base(f)) && rules[i].debug == f->debug)
			f->rule = &rules[i];
	nr_files++;
	return 0;
}

static void find_files(void)
{
	static const char * const counters[] = { "vms", "shared_pages", "saved_pages" };
	unsigned int i, j, seen = 0;

	if (nftw(MRM_SYSFS, found, 16, FTW_PHYS) || nftw(MRM_DEBUGFS, found, 16, FTW_PHYS))
		tap_bail("cannot list the files: %s", strerror(errno));
	for (i = 0; i < nr_files; i++)
		for (j = 0; j < COUNT(counters); j++)
			seen += !strcmp(base(&files[i]), counters[j]);
	tap_note("%u files, %u directories", nr_files, nr_directories);
	/* Some of them of the host, some of the VM. */
	tap_ok(nr_directories >= 6 && seen >= COUNT(counters) + 2,
	       "files of host and VM are found");
	for (j = 0; j < COUNT(rules); j++) {
		for (i = 0; i < nr_files && files[i].rule != &rules[j]; i++)
			;
		tap_ok(i < nr_files, "%s is there", rules[j].name);
	}
}

static void test_modes(void)
{
	unsigned int i, mode, wrong = wrong_directories;

	for (i = 0; i < nr_files; i++) {
		const struct file *f = &files[i];

		mode = f->rule ? f->rule->mode : 0444;
		if (f->debug && !f->rule)
			tap_note("%s: nothing is known of it", f->path);
		else if (S_ISREG(f->st.st_mode) && (f->st.st_mode & 07777) == mode &&
			 !f->st.st_uid && !f->st.st_gid)
			continue;
		wrong++;
		tap_note("%s: mode %o, owner %u:%u; mode %o expected", f->path,
			 f->st.st_mode & 07777, f->st.st_uid, f->st.st_gid, mode);
	}
	tap_equal(wrong, 0, "modes and owners are right");
}

/**
 * struct junk - what is written
 * @text: this
 * @bytes: its length
 */
struct junk {
	const char *text;
	size_t bytes;
};

#define TEXT_OF(s)	{ s, sizeof(s) - 1 }

static char many[70000];

static const struct junk junk[] = {
	TEXT_OF(""), TEXT_OF("\n"), TEXT_OF(" "), TEXT_OF("\n1"), TEXT_OF("1\n\n"),
	TEXT_OF("-1"), TEXT_OF("-0"), TEXT_OF("-9223372036854775808"), TEXT_OF("--1"),
	TEXT_OF("9223372036854775808"), TEXT_OF("18446744073709551615"),
	TEXT_OF("18446744073709551616"), TEXT_OF("18446744073709551617"), TEXT_OF("4294967297"),
	TEXT_OF("99999999999999999999999"), TEXT_OF("0x10"), TEXT_OF(" 5"), TEXT_OF("5 "),
	TEXT_OF("5x"), TEXT_OF("5,0"), TEXT_OF("1e1"), TEXT_OF("+-5"), TEXT_OF("on"),
	TEXT_OF("\0"), TEXT_OF("\0001"), TEXT_OF("x\0001"), TEXT_OF("%s%n%p%*pE"),
	TEXT_OF("\xc3\xa9\xe2\x82\xac"), TEXT_OF("\xff\xfe"), TEXT_OF("\xef\xbc\x91"),
	TEXT_OF("\r\n\033[2J"), { many, 256 }, { many, 4095 }, { many, 4096 }, { many, 4097 },
	{ many, sizeof(many) },
};

static long write_bytes(const char *path, const void *text, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, bytes);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

/* Are all bytes printable, but for a newline at the end?  So, a salt. */
static bool printable(const struct junk *j)
{
	size_t n = j->bytes && j->text[j->bytes - 1] == '\n' ? j->bytes - 1 : j->bytes, i;

	for (i = 0; i < n; i++)
		if (j->text[i] < ' ' || j->text[i] > '~')
			return false;
	return n < 64;
}

/*
 * May this be taken by a file?  kstrtoul() takes a sign, zeroes and a newline;
 * sysfs and debugfs cut at a NUL, and sysfs does at a page.
 */
static bool legal(const struct file *f, const struct junk *j)
{
	char *end;
	long value;

	/* Nothing: the file never sees it. */
	if (!j->bytes)
		return true;
	if (!strcmp(base(f), "salt"))
		return printable(j);
	if (j->bytes > 32 || memchr(j->text, '\0', j->bytes) == j->text || j->text[0] == ' ')
		return false;
	value = strtol(j->text, &end, 10);
	if (end == j->text || (*end && strcmp(end, "\n")) || j->text[0] == '\n' ||
	    j->text[0] == '-')
		return false;
	return value >= f->rule->min && value <= most(f->rule);
}

static void restore(const struct file *f, const char *text)
{
	if (strcmp(base(f), "share_scan_now"))
		file_write(f->path, text);
}

static void test_junk(const struct file *f)
{
	static char before[TEXT], after[TEXT];
	unsigned int i, wrong = 0;
	long n;

	file_read(f->path, before, sizeof(before));
	for (i = 0; i < COUNT(junk); i++) {
		n = write_bytes(f->path, junk[i].text, junk[i].bytes);
		file_read(f->path, after, sizeof(after));
		if (n >= 0 && legal(f, &junk[i])) {
			restore(f, before);
			continue;
		}
		if (n == -EINVAL && !strcmp(before, after))
			continue;
		tap_note("%s: \"%.20s\" (%zu bytes): %ld, and \"%.*s\" became \"%.*s\"", base(f),
			 junk[i].text, junk[i].bytes, n, (int)strcspn(before, "\n"), before,
			 (int)strcspn(after, "\n"), after);
		restore(f, before);
		wrong++;
	}
	tap_equal(wrong, 0, "%s: junk is refused and changes nothing", base(f));
}

static void number(const struct file *f, long value, long expected)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	tap_equal(file_write(f->path, text), expected, "%s: %ld is %s", base(f), value,
		  expected ? "refused" : "accepted");
}

static void test_limits(const struct file *f)
{
	char before[MRM_TEXT], now[MRM_TEXT];

	file_read(f->path, before, sizeof(before));
	number(f, f->rule->min, 0);
	number(f, most(f->rule), 0);
	number(f, most(f->rule) + 1, -EINVAL);
	number(f, -1, -EINVAL);
	file_read(f->path, now, sizeof(now));
	tap_equal(atol(now), most(f->rule), "%s: it is the last that was accepted", base(f));
	restore(f, before);
	file_read(f->path, now, sizeof(now));
	tap_text(now, before, "%s: it is as it was", base(f));
}

static char log_text[1 << 20];

static void read_log(void)
{
	int n = klogctl(3, log_text, sizeof(log_text) - 1);

	if (n < 0)
		tap_bail("cannot read the log: %s", strerror(errno));
	log_text[n] = '\0';
}

/* Only some lines in 5 s are let through. */
static bool logged(void *line)
{
	char *one, *save, **seen = line;

	mrm_set("share_cpu_max", "no\033number");
	read_log();
	for (one = strtok_r(log_text, "\n", &save); one && !*seen;
	     one = strtok_r(NULL, "\n", &save))
		if (strstr(one, "share_cpu_max") && strstr(one, "no\\enumber"))
			*seen = one;
	return *seen;
}

/* A line of the log that names the file, what was written, and what would do. */
static void test_log(void)
{
	char *line = NULL;
	bool seen = wait_until(logged, &line, MRM_LONG);

	tap_ok(seen && strstr(line, "from 0 to 100 per cent"),
	       "the log names the file, what was written, and the range");
	tap_note("%s", line ?: "nothing in the log");
}

/* The log must not tell a secret, even one that was refused. */
static void test_secret(const char *salt)
{
	bool refused = true;
	int i;

	for (i = 0; i < 20; i++)
		refused &= write_bytes(salt, "hush-hush\x01", 10) == -EINVAL;
	read_log();
	tap_ok(refused && !strstr(log_text, "hush-hush"), "a refused salt is not in the log");
}

/* Not all files can be read at an offset, as file_read() does. */
static long read_whole(const char *path, char *text, size_t room)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return -errno;
	n = fread(text, 1, room - 1, f);
	text[n] = '\0';
	if (fclose(f))
		return -errno;
	return n;
}

/* Reads in odd pieces and places give what one read gives. */
static long read_in_pieces(const struct file *f, size_t step, char *text, size_t room)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	long n = 0;

	if (fd < 0)
		return -errno;
	while (at + step < room && (n = read(fd, text + at, step)) > 0)
		at += n;
	/* Far behind the end there is nothing; before the beginning nobody may look. */
	if (n >= 0 && (pread(fd, text + at, 100, 1L << 40) > 0 ||
		       pread(fd, text + at, 100, -1) != -1 ||
		       pread(fd, nowhere, 100, 0) > 0))
		n = -EIO;
	close(fd);
	text[at] = '\0';
	return n < 0 ? n : (long)at;
}

static void test_reads(void)
{
	static char one[TEXT], pieces[TEXT];
	static const size_t steps[] = { 1, 3, 4096, 10000 };
	unsigned int i, j, wrong = 0, same = 0;
	long n;

	for (i = 0; i < nr_files; i++) {
		if (files[i].rule && !(files[i].rule->mode & 0400)) {
			same += COUNT(steps);
			continue;
		}
		for (j = 0; j < COUNT(steps); j++) {
			long whole = read_whole(files[i].path, one, sizeof(one));

			n = read_in_pieces(&files[i], steps[j], pieces, sizeof(pieces));
			if (n < 0 || whole < 0) {
				tap_note("%s, %zu bytes at a time: %ld, %ld", files[i].path,
					 steps[j], whole, n);
				wrong++;
			}
			same += n == whole && !strcmp(one, pieces);
		}
	}
	tap_equal(wrong, 0, "all files can be read in any pieces");
	/* Times go on, and what is free comes and goes. */
	tap_between(same, 4 * nr_files - 40, 4 * nr_files, "and say the same then");
}

/* As an ordinary user.  Returns how many files were not as they should be. */
static int be_nobody(void)
{
	static char text[TEXT];
	int wrong = 0;
	unsigned int i;

	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	for (i = 0; i < nr_files; i++) {
		const struct file *f = &files[i];
		unsigned int mode = f->rule ? f->rule->mode : 0444;
		int got = file_read(f->path, text, sizeof(text));
		bool may = !f->debug && mode & 04;

		if (may ? got < 0 : got != -EACCES) {
			tap_note("an ordinary user reads %s: %d", f->path, got);
			wrong++;
		}
		got = file_write(f->path, "1");
		if (got != -EACCES || !access(f->path, W_OK) || !truncate(f->path, 0) ||
		    !chmod(f->path, 0666) || !unlink(f->path)) {
			tap_note("an ordinary user writes %s: %d", f->path, got);
			wrong++;
		}
	}
	fflush(stdout);
	return wrong;
}

static void test_nobody(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(!!be_nobody());
	tap_ok(waitpid(pid, &status, 0) == pid && !status,
	       "an ordinary user reads all but secrets, and writes nothing");
}

/*
 * What others may read are numbers of the whole VM.  Where a page is, what became
 * of it, and what it was hashed to, they are not told.
 */
static void test_reveals(void)
{
	static const char * const words[] = {
		"share_state", "name", "not_adopted_reason", "state", "balloon_state",
		"zip_algorithm",
	};
	static char text[TEXT];
	unsigned int i, j, wrong = 0;
	bool worded;

	for (i = 0; i < nr_files; i++) {
		const struct file *f = &files[i];

		if (f->debug || (f->rule && !(f->rule->mode & 04)))
			continue;
		for (worded = false, j = 0; j < COUNT(words); j++)
			worded |= !strcmp(base(f), words[j]);
		file_read(f->path, text, sizeof(text));
		text[strcspn(text, "\n")] = '\0';
		if (worded ? strlen(text) < MRM_TEXT : strspn(text, "0123456789") == strlen(text))
			continue;
		tap_note("%s says %.60s", f->path, text);
		wrong++;
	}
	tap_equal(wrong, 0, "what anybody may read is one number, or a few words");
}

static void test_hash_bits(void)
{
	static const struct junk refused[] = {
		TEXT_OF("0"), TEXT_OF("-1"), TEXT_OF("65"), TEXT_OF("4294967360"),
		TEXT_OF("18446744073709551616"), TEXT_OF("99999999999999999999999"),
		TEXT_OF("x"), TEXT_OF("\n"), TEXT_OF("%s"), { many, sizeof(many) },
	};
	char text[MRM_TEXT];
	unsigned int i, wrong = 0;

	for (i = 0; i < COUNT(refused); i++)
		wrong += write_bytes(MRM_DEBUGFS "/hash_bits", refused[i].text,
				     refused[i].bytes) >= 0;
	tap_equal(wrong, 0, "hash_bits: junk is refused");
	read_whole(MRM_DEBUGFS "/hash_bits", text, sizeof(text));
	tap_text(text, "64\n", "hash_bits: and changes nothing");
}

/* How much to take from a VM; what it has is less than that. */
static void test_reclaim(void)
{
	static const struct junk refused[] = {
		TEXT_OF("-1"), TEXT_OF("18446744073709551616"), TEXT_OF("99999999999999999999999"),
		TEXT_OF("x"), TEXT_OF("\n"), TEXT_OF("%s"), TEXT_OF("7 7"), { many, sizeof(many) },
	};
	long before = mrm_vm_get(vm.pid, "reclaimed_bytes");
	unsigned int i, wrong = 0;
	char path[96];

	snprintf(path, sizeof(path), MRM_DEBUGFS "/vm/%d/reclaim", vm.pid);
	for (i = 0; i < COUNT(refused); i++)
		wrong += write_bytes(path, refused[i].text, refused[i].bytes) >= 0;
	tap_equal(wrong, 0, "reclaim: junk is refused");
	tap_equal(mrm_vm_get(vm.pid, "reclaimed_bytes"), before, "reclaim: and takes nothing");
	tap_ok(write_bytes(path, "18446744073709551615", 20) == 20 &&
	       write_bytes(path, "0", 1) == 1, "reclaim: any number is taken");
}

/* Not even root writes to what is there to be read. */
static void test_read_only(void)
{
	unsigned int i, j, wrong = 0, n = 0;

	for (i = 0; i < nr_files; i++) {
		if (!files[i].rule || files[i].rule->mode & 0200)
			continue;
		n++;
		for (j = 0; j < COUNT(junk); j++)
			wrong += write_bytes(files[i].path, junk[j].text, junk[j].bytes) > 0;
	}
	tap_ok(n && !wrong, "what is there to be read is never written: %u files", n);
}

int main(void)
{
	const struct vm_config config = { .pages = RAM_PAGES };
	char salt[96];
	unsigned int i;

	mrm_begin();
	memset(many, '7', sizeof(many));
	nowhere = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nowhere == MAP_FAILED)
		tap_bail("no memory");
	process_start(&vm, &config);
	for (i = 0; i < vm.pages; i++)
		vm.states[i] = i % 2 ? 0 : 1 + i % 100;
	if (process_guest(&vm, GUEST_FILL, 0, vm.pages) || mrm_vm_set(vm.pid, "salt", "secret") ||
	    !mrm_full_pass())
		tap_bail("cannot prepare");
	find_files();
	test_modes();
	test_nobody();
	test_reveals();
	test_reads();
	for (i = 0; i < nr_files; i++) {
		if (!files[i].rule || !(files[i].rule->mode & 0200) || files[i].debug)
			continue;
		test_junk(&files[i]);
		if (files[i].rule->max >= 0)
			test_limits(&files[i]);
	}
	test_hash_bits();
	test_reclaim();
	test_read_only();
	test_log();
	snprintf(salt, sizeof(salt), MRM_SYSFS "/vm/%d/salt", vm.pid);
	test_secret(salt);
	mrm_tune();
	tap_ok(mrm_full_pass(), "a pass");
	tap_ok(process_verify(&vm), "every byte is right");
	mrm_check("after all that");
	process_stop(&vm);
	mrm_nothing_left("at the end");
	return tap_done();
}
