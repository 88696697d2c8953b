// SPDX-License-Identifier: GPL-2.0
/* mrmctl top on a terminal of its own. */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "tree.h"

/* Longest wait for the program, in milliseconds; it is built to be slow. */
#define PATIENCE 20000

#define RIGHT "\033OC"
#define LEFT "\033OD"
#define SEVEN(x) x x x x x x x

static char seen[262144];
static size_t seen_length;

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1000 * now.tv_sec + now.tv_nsec / 1000000;
}

/* Read what the program draws until @part is in it.  An empty @part: all. */
static bool see(int terminal, const char *part)
{
	struct pollfd output = { .fd = terminal, .events = POLLIN };
	long end = now_ms() + PATIENCE;
	ssize_t got;

	while (now_ms() < end) {
		if (*part && memmem(seen, seen_length, part, strlen(part)))
			return true;
		if (seen_length > sizeof(seen) / 2)
			seen_length = 0;
		if (poll(&output, 1, end - now_ms()) <= 0)
			return false;
		got = read(terminal, seen + seen_length, sizeof(seen) - seen_length);
		if (got <= 0)
			return !*part;
		seen_length += got;
	}
	return false;
}

/*
 * Press keys, and see @part drawn after that.  Only what changes is drawn, so
 * Ctrl-L asks for everything.
 */
static void press(int terminal, const char *keys, const char *part, const char *what)
{
	char all[128];
	int length = snprintf(all, sizeof(all), "%s%s", keys, *part ? "\f" : "");

	seen_length = 0;
	tap_ok(write(terminal, all, length) == length && see(terminal, part), "%s", what);
}

static pid_t start(const char *mrmctl, const struct tree *tree, unsigned short columns,
		   int *terminal)
{
	struct winsize size = { .ws_row = 24, .ws_col = columns };
	pid_t child;

	fflush(stdout);
	seen_length = 0;
	child = forkpty(terminal, NULL, NULL, &size);
	if (!child) {
		setenv("TERM", "xterm", 1);
		unsetenv("LINES");
		unsetenv("COLUMNS");
		execl(mrmctl, mrmctl, "top", "-d", "600", "--sysfs", tree->path, (char *)NULL);
		_exit(127);
	}
	return child;
}

static void test_resize(int terminal)
{
	static const struct winsize sizes[] = {
		{ .ws_row = 1, .ws_col = 1 },
		{ .ws_row = 5, .ws_col = 10 },
		{ .ws_row = 7, .ws_col = 300 },
		{ .ws_row = 40, .ws_col = 130 },
	};
	bool alive = true;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		seen_length = 0;
		alive &= !ioctl(terminal, TIOCSWINSZ, &sizes[i]) && see(terminal, "\033[");
	}
	tap_ok(alive, "every size of terminal does");
	press(terminal, "", "PSHARE", "and all is drawn again");
}

/**
 * test_screen() - top on a terminal
 * @mrmctl: the program
 */
void test_screen(const char *mrmctl)
{
	int terminal, status = -1, i;
	struct tree tree;
	char name[32];
	pid_t child;

	tree_make(&tree);
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "guest%d", i);
		tree_add_vm(&tree, 100 + i, name, 1000 * i);
	}
	child = start(mrmctl, &tree, 120, &terminal);
	tap_ok(see(terminal, "guest49"), "the largest VM is shown");
	tap_ok(!memmem(seen, seen_length, "guest5 ", 7), "and not the smallest");
	press(terminal, "r", "guest0 ", "r turns the order round");
	press(terminal, "R\033OF", "guest3 ", "End goes to the last VM");
	press(terminal, "h", "this list", "h lists the keys");
	press(terminal, "x", "guest", "and any key leaves the list");
	press(terminal, "d0.5\r", "Delay in seconds [600]", "d asks for the delay");
	tree_add_vm(&tree, 90, "newcomer", 99999);
	press(terminal, "\033OH", "newcomer", "a VM that comes is shown");
	press(terminal, "<<<<<<<<<<<<", "guest10", "< sorts by name");
	tree_remove_vm(&tree, 110);
	press(terminal, ">", "newcomer", "> sorts by pid");
	test_resize(terminal);
	press(terminal, "q", "", "q quits");
	alarm(PATIENCE / 1000);
	waitpid(child, &status, 0);
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status), "without an error");
	close(terminal);

	child = start(mrmctl, &tree, 80, &terminal);
	tap_ok(see(terminal, "PSHARE"), "another one");
	press(terminal, "", "NAME", "80 columns show the first");
	tap_ok(!memmem(seen, seen_length, "SWIN/S", 6), "but not the last");
	press(terminal, SEVEN(RIGHT) SEVEN(RIGHT) SEVEN(RIGHT), "SWIN/S",
	      "the right arrow goes there");
	tap_ok(see(terminal, "guest49"), "names stay");
	press(terminal, SEVEN(LEFT) SEVEN(LEFT) SEVEN(LEFT), "GRANTED", "and the left one back");
	close(terminal);
	alarm(PATIENCE / 1000);
	waitpid(child, &status, 0);
	alarm(0);
	tap_ok(WIFSIGNALED(status) ? WTERMSIG(status) == SIGHUP : WIFEXITED(status),
	       "ends with its terminal");
	tree_remove(&tree);
}
