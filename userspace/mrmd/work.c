// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of libvirt wait for an answer.  One about a guest that is just starting
 * waits for the start, which waits for a hook, which asks us: made in the event
 * loop it would never end.  One that asks QEMU waits for ever when QEMU hangs.  So
 * all are made in threads, and only their results come to the event loop.  So is what
 * keeps a disk busy for minutes, or waits for a VM's process in the kernel, beside them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libvirt/libvirt.h>

#include "work.h"

/*
 * libvirtd has by default 5 requests of a client under way.  One of them is kept
 * from those that may never end.
 */
#define RUNNING_MAX 4
#define SLOW_MAX 3

/* More do not make a disk faster. */
#define DISK_MAX 2

#define MODULE_MAX 8

static struct work *waiting;
static unsigned int running[WORK_CLASSES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct work *finished; /* under @lock */
static int finished_fd;

static void *thread(void *data)
{
	struct work *work = data;
	uint64_t one = 1;

	work->run(work);
	pthread_mutex_lock(&lock);
	work->next = finished;
	finished = work;
	pthread_mutex_unlock(&lock);
	/* It can only fail when 2^64 - 1 are waiting. */
	while (write(finished_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

static int start_thread(struct work *work)
{
	pthread_attr_t attributes;
	pthread_t id;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&id, &attributes, thread, work);
	pthread_attr_destroy(&attributes);
	return error;
}

static bool may_start(enum work_class class)
{
	if (class == WORK_DISK)
		return running[WORK_DISK] < DISK_MAX;
	if (class == WORK_MODULE)
		return running[WORK_MODULE] < MODULE_MAX;
	if (class == WORK_SLOW && running[WORK_SLOW] == SLOW_MAX)
		return false;
	return running[WORK_QUICK] + running[WORK_SLOW] < RUNNING_MAX;
}

/* Start what may be started, in the order in which it came. */
static void start_waiting(void)
{
	struct work **where = &waiting, *work;

	while ((work = *where)) {
		if (!may_start(work->class)) {
			where = &work->next;
			continue;
		}
		/* Without a thread now, there will be one when another has ended. */
		*where = work->next;
		if (start_thread(work)) {
			work->next = *where;
			*where = work;
			return;
		}
		running[work->class]++;
	}
}

static void collect(int watch, int fd, int events, void *data)
{
	struct work *list, *work;
	uint64_t count;

	(void)watch;
	(void)events;
	(void)data;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&lock);
	list = finished;
	finished = NULL;
	pthread_mutex_unlock(&lock);
	while ((work = list)) {
		list = work->next;
		running[work->class]--;
		work->done(work);
	}
	start_waiting();
}

/**
 * work_init() - be ready for work; once, after the event loop
 *
 * Return: 0, or a negative error.
 */
int work_init(void)
{
	finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (finished_fd < 0)
		return -errno;
	if (virEventAddHandle(finished_fd, VIR_EVENT_HANDLE_READABLE, collect, NULL, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/**
 * work_start() - have a call made
 * @work: not touched again before its done() is called
 */
void work_start(struct work *work)
{
	struct work **end = &waiting;

	while (*end)
		end = &(*end)->next;
	work->next = NULL;
	*end = work;
	start_waiting();
}
