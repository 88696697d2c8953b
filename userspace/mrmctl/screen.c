// SPDX-License-Identifier: GPL-2.0
/* mrmctl top - on a terminal. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include "table.h"
#include "text.h"
#include "top.h"

/* Where the table's heading is: after the summary and an empty line. */
#define HEADING_LINE (SUMMARY_LINES + 1)

/* Ctrl-L, for when something else has written on the terminal. */
#define KEY_REDRAW 0x0c

/**
 * struct screen - what is on the terminal
 * @top: what is shown
 * @first: first VM that is shown, from 0
 * @skipped: columns that are not, from the one after the name on
 * @help: the keys are shown instead of the host and the VMs
 * @error: 0 or the error that ends the show
 */
struct screen {
	struct top *top;
	size_t first;
	size_t skipped;
	bool help;
	int error;
};

static const char *const key_help[] = {
	"q          quit",
	"h or ?     this list; any key leaves it",
	"s or d     set the delay between two refreshes",
	"< and >    sort by the column to the left, to the right",
	"r or R     turn the order round",
	"up, down, Page Up, Page Down, Home, End    move through the VMs",
	"left, right    move through the columns, when the terminal is too narrow",
	"space      refresh now",
	"",
	"GRANTED: holds something; CONSUMED: machine memory for that; TARGET: should be",
	"consumed; ACTIVE: estimated to be used, ASLOW and AFAST: its averages; BTARGET:",
	"should be in the balloon.  shared: guest pages backed by shared frames; common:",
	"those frames; saving: the difference.  LARGE: in pages of 2 MiB; HELD: by",
	"broken ones, for nothing; UNTCHD: of whole ones, zero when they were scanned",
	"last.  ZUSED: for what is zipped; MISFIT/S: was not, as it needs too much.",
	"SWCACHED: in swap and in memory; SWFREE: of its swap file; SWKEPT/S: swapped",
	"without a write; AHEAD/S: of those read, neighbours; BAD: of its swap file,",
	"cannot be written; LOST: times that a page could not be read.  Sizes and",
	"TAKEN/S, by the host, are in MiB, SCAN/S and the like in pages.",
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1000 * (uint64_t)now.tv_sec + now.tv_nsec / 1000000;
}

/* VMs that fit on the terminal. */
static size_t page_lines(void)
{
	return LINES > HEADING_LINE + 1 ? LINES - HEADING_LINE - 1 : 1;
}

/* Put escaped text on a line, as much as fits. */
static void put_line(int line, const char *text)
{
	if (line < LINES)
		mvaddnstr(line, 0, text, mrm_text_clip(text, COLS));
}

/* The columns that are shown: VMs keep their names. */
static struct vm_view shown(const struct screen *screen)
{
	struct vm_view view = screen->top->view;
	size_t i;

	view.count -= screen->skipped;
	for (i = 1; i < view.count; i++) {
		view.key[i] = view.key[i + screen->skipped];
		view.column[i] = view.column[i + screen->skipped];
	}
	return view;
}

static void draw_heading(const struct vm_view *view, enum vm_key key, const struct mrm_table *table)
{
	char *line = mrm_table_heading(table);
	size_t i, start, width;

	if (!line)
		return;
	attron(A_REVERSE);
	put_line(HEADING_LINE, line);
	attroff(A_REVERSE);
	free(line);
	for (i = 0; i < view->count; i++) {
		if (view->key[i] != key)
			continue;
		start = mrm_table_start(table, i);
		width = strlen(view->column[i].heading);
		if (HEADING_LINE < LINES && start + width <= (size_t)COLS)
			mvchgat(HEADING_LINE, start, width, A_BOLD | A_UNDERLINE, 0, NULL);
	}
}

static void draw_vms(struct screen *screen)
{
	const struct top *top = screen->top;
	const struct vm_view view = shown(screen);
	size_t count = top->now.vms.count, lines = page_lines(), i;
	struct mrm_table table;
	char *line;

	if (screen->first + lines > count)
		screen->first = count > lines ? count - lines : 0;
	if (lines > count - screen->first)
		lines = count - screen->first;
	mrm_table_init(&table, view.column, view.count);
	vm_table_fill(&table, &view, top->rows + screen->first, lines);
	draw_heading(&view, top->key, &table);
	for (i = 0; i < mrm_table_rows(&table); i++) {
		line = mrm_table_row(&table, i);
		if (line)
			put_line(HEADING_LINE + 1 + i, line);
		free(line);
	}
	screen->error = table.error;
	mrm_table_free(&table);
}

static void draw(struct screen *screen)
{
	unsigned int i;
	char line[256];

	erase();
	for (i = 0; !screen->help && i < SUMMARY_LINES; i++) {
		top_summary(screen->top, i, line, sizeof(line));
		put_line(i, line);
	}
	/* In place of the summary, too: 24 lines have room for it. */
	for (i = 0; screen->help && i < sizeof(key_help) / sizeof(key_help[0]); i++)
		put_line(i, key_help[i]);
	if (!screen->help)
		draw_vms(screen);
	move(SUMMARY_LINES < LINES ? SUMMARY_LINES : LINES - 1, 0);
	refresh();
}

/* Ask for the delay on the empty line above the table. */
static void ask_delay(struct top *top)
{
	char answer[16] = "";
	uint64_t ms;

	mvprintw(SUMMARY_LINES, 0, "Delay in seconds [%g]: ", top->delay_ms / 1000.0);
	timeout(-1);
	echo();
	curs_set(1);
	getnstr(answer, sizeof(answer) - 1);
	curs_set(0);
	noecho();
	if (*answer && !mrm_parse_seconds(answer, &ms) && ms >= 100)
		top->delay_ms = ms;
	else if (*answer)
		beep();
}

static void move_key(struct top *top, int step)
{
	size_t i;

	for (i = 0; i < top->view.count; i++)
		if (top->view.key[i] == top->key)
			break;
	if (step < 0 && i > 0)
		i--;
	else if (step > 0 && i + 1 < top->view.count)
		i++;
	top->key = top->view.key[i];
}

static void scroll_by(struct screen *screen, long lines)
{
	if (lines < 0 && screen->first < (size_t)-lines)
		screen->first = 0;
	else
		screen->first += lines;
}

/* Do what a key says.  Returns false to quit. */
static bool handle_key(struct screen *screen, int key, bool *refresh_now)
{
	struct top *top = screen->top;

	if (key == KEY_REDRAW) {
		clearok(curscr, TRUE);
		return true;
	}
	if (screen->help && key != KEY_RESIZE && key != 'q') {
		screen->help = false;
		return true;
	}
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		screen->help = true;
		break;
	case 's':
	case 'd':
		ask_delay(top);
		break;
	case '<':
		move_key(top, -1);
		break;
	case '>':
		move_key(top, 1);
		break;
	case 'r':
	case 'R':
		top->reverse = !top->reverse;
		break;
	case ' ':
		*refresh_now = true;
		break;
	case KEY_UP:
		scroll_by(screen, -1);
		break;
	case KEY_DOWN:
		scroll_by(screen, 1);
		break;
	case KEY_LEFT:
		screen->skipped -= screen->skipped > 0;
		break;
	case KEY_RIGHT:
		screen->skipped += screen->skipped + 2 < top->view.count;
		break;
	case KEY_PPAGE:
		scroll_by(screen, -(long)page_lines());
		break;
	case KEY_NPAGE:
		scroll_by(screen, page_lines());
		break;
	case KEY_HOME:
		screen->first = 0;
		break;
	case KEY_END:
		screen->first = top->now.vms.count;
		break;
	}
	vm_sort(top->rows, top->now.vms.count, top->key, top->reverse);
	return true;
}

/* No key came although there was time: has the terminal gone? */
static bool hung_up(void)
{
	struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&terminal, 1, 0) > 0 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* Take keys until it is time to refresh.  Returns false to quit. */
static bool serve_keys(struct screen *screen)
{
	uint64_t began = now_ms();
	bool refresh_now = false;

	while (!refresh_now && !screen->error) {
		uint64_t end = began + screen->top->delay_ms, now = now_ms();
		int key;

		if (now >= end)
			break;
		timeout(end - now);
		key = getch();
		if (key == ERR && hung_up())
			return false;
		if (key == ERR)
			continue;
		if (!handle_key(screen, key, &refresh_now))
			return false;
		draw(screen);
	}
	return true;
}

/**
 * top_screen() - show refresh after refresh on the terminal
 * @top: made ready by the command
 *
 * Return: an enum status, after a complaint if it is not STATUS_OK.
 */
int top_screen(struct top *top)
{
	struct screen screen = { .top = top };
	uint64_t left = top->options->iterations;
	SCREEN *terminal;

	terminal = newterm(NULL, stdout, stdin);
	if (!terminal) {
		complain("the terminal is not known; set TERM, or use \"mrmctl top -b\"");
		return STATUS_FAILED;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	do {
		screen.error = top_refresh(top);
		if (screen.error)
			break;
		draw(&screen);
		if (left && !--left)
			break;
	} while (serve_keys(&screen) && !screen.error);
	endwin();
	delscreen(terminal);
	return screen.error ? complain_read("counters", screen.error) : STATUS_OK;
}
