// SPDX-License-Identifier: GPL-2.0
/*
 * VMs that were started without libvirt: their balloon is driven over a QMP socket
 * that QEMU was given for us (-qmp unix:PATH,server=on,wait=off).  Which sockets
 * there are is kept in a directory of symbolic links, named by pid, so that it
 * outlives us.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libvirt/libvirt.h>

#include "guest.h"
#include "line.h"
#include "log.h"
#include "module.h"
#include "qmp.h"
#include "text.h"

#define RETRY_MS 5000

/**
 * enum question - what QEMU was asked; the id of a command
 * @ASK_CAPABILITIES: to leave the negotiation
 * @ASK_SIZE: how much memory there is
 * @ASK_DEVICES: which devices were given a name
 * @ASK_NAMELESS: and which were not
 * @ASK_BALLOON: how much memory the guest has
 * @ASK_STATS: what the driver in the guest has said
 * @TELL_BALLOON: set the target
 */
enum question {
	ASK_CAPABILITIES = 1,
	ASK_SIZE,
	ASK_DEVICES,
	ASK_NAMELESS,
	ASK_BALLOON,
	ASK_STATS,
	TELL_BALLOON,
};

/**
 * struct qmp - a VM with a QMP socket
 * @next: another one, or NULL
 * @guest: what it is to others
 * @pid: of its QEMU process
 * @path: of the socket
 * @fd: connected, or -1
 * @handle: of the event loop, for @fd
 * @timer: to try again
 * @line: what has come
 * @device: path of the balloon among QEMU's objects; empty: none
 * @size: memory, in bytes
 * @reset: the guest was reset, and what it has now is being asked for
 */
struct qmp {
	struct qmp *next;
	struct guest *guest;
	pid_t pid;
	char *path;
	int fd;
	int handle;
	int timer;
	struct line line;
	char device[128];
	uint64_t size;
	bool reset;
};

static struct qmp *all;
static const char *links;

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *get_text(struct json_object *object, const char *key)
{
	return json_object_get_string(get(object, key));
}

static void hang_up(struct qmp *qmp)
{
	if (qmp->fd < 0)
		return;
	virEventRemoveHandle(qmp->handle);
	close(qmp->fd);
	qmp->fd = -1;
	line_free(&qmp->line);
	qmp->guest->known = false;
	qmp->guest->busy = false;
	qmp->reset = false;
	virEventUpdateTimeout(qmp->timer, RETRY_MS);
}

/* @arguments is freed, and may be NULL. */
static void command(struct qmp *qmp, enum question id, const char *name,
		    struct json_object *arguments)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "execute", json_object_new_string(name));
	if (arguments)
		json_object_object_add(object, "arguments", arguments);
	json_object_object_add(object, "id", json_object_new_int(id));
	/* The connection's end is noticed in the event loop. */
	if (qmp->fd < 0)
		json_object_put(object);
	else if (line_send(qmp->fd, object))
		shutdown(qmp->fd, SHUT_RDWR);
}

static struct json_object *argument(const char *key, struct json_object *value)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, key, value);
	return object;
}

static void list_devices(struct qmp *qmp, enum question id, const char *path)
{
	command(qmp, id, "qom-list", argument("path", json_object_new_string(path)));
}

static void take_devices(struct qmp *qmp, const char *where, struct json_object *list)
{
	size_t i, count = json_object_is_type(list, json_type_array)
				  ? json_object_array_length(list)
				  : 0;

	for (i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *type = get_text(one, "type"), *name = get_text(one, "name");

		if (type && name && !strncmp(type, "child<virtio-balloon", 20))
			snprintf(qmp->device, sizeof(qmp->device), "%s/%.60s", where, name);
	}
}

static void news(struct qmp *qmp, uint64_t actual)
{
	struct guest_news news = {
		.pid = qmp->pid,
		.size = qmp->size,
		.actual = actual,
		.device = *qmp->device,
	};

	guest_news(qmp->guest, &news);
}

static void take_stats(struct qmp *qmp, struct json_object *stats)
{
	uint64_t last = json_object_get_int64(get(stats, "last-update"));

	guest_looked(qmp->guest, stats ? &last : NULL);
}

static void ask_memory(struct qmp *qmp)
{
	command(qmp, ASK_SIZE, "query-memory-size-summary", NULL);
	command(qmp, ASK_BALLOON, "query-balloon", NULL);
}

static void happened(struct qmp *qmp, const char *event)
{
	/* After a reset the guest has all that was plugged in until then. */
	if (!strcmp(event, "RESET"))
		qmp->reset = true;
	else if (strcmp(event, "ACPI_DEVICE_OST") && strcmp(event, "DEVICE_DELETED") &&
		 strcmp(event, "MEMORY_DEVICE_SIZE_CHANGE"))
		return;
	ask_memory(qmp);
}

static void answered(struct qmp *qmp, enum question id, struct json_object *result,
		     const char *problem)
{
	switch (id) {
	case ASK_CAPABILITIES:
		list_devices(qmp, ASK_DEVICES, "/machine/peripheral");
		list_devices(qmp, ASK_NAMELESS, "/machine/peripheral-anon");
		ask_memory(qmp);
		break;
	case ASK_SIZE:
		qmp->size = json_object_get_int64(get(result, "base-memory")) +
			    json_object_get_int64(get(result, "plugged-memory"));
		break;
	case ASK_DEVICES:
		take_devices(qmp, "/machine/peripheral", result);
		break;
	case ASK_NAMELESS:
		take_devices(qmp, "/machine/peripheral-anon", result);
		break;
	case ASK_BALLOON:
		/* Without a balloon this fails. */
		news(qmp,
		     result ? (uint64_t)json_object_get_int64(get(result, "actual")) : qmp->size);
		if (qmp->reset)
			guest_rebooted(qmp->guest);
		qmp->reset = false;
		break;
	case ASK_STATS:
		take_stats(qmp, result);
		break;
	case TELL_BALLOON:
		guest_set_done(qmp->guest, problem);
		break;
	}
}

static void understand(struct qmp *qmp, const char *text)
{
	struct json_object *object = json_tokener_parse(text), *id, *error;
	const char *event = get_text(object, "event");

	id = get(object, "id");
	error = get(object, "error");
	if (get(object, "QMP"))
		command(qmp, ASK_CAPABILITIES, "qmp_capabilities", NULL);
	else if (event && !strcmp(event, "BALLOON_CHANGE") && qmp->guest->known)
		guest_actual(qmp->guest, json_object_get_int64(get(get(object, "data"), "actual")));
	else if (event && qmp->guest->known)
		happened(qmp, event);
	else if (id)
		answered(qmp, json_object_get_int(id), get(object, "return"),
			 error ? get_text(error, "desc") : NULL);
	json_object_put(object);
}

static void heard(int handle, int fd, int events, void *data)
{
	struct qmp *qmp = data;
	int error = line_read(&qmp->line, fd);
	char *text;

	(void)handle;
	(void)events;
	while (!error && (text = line_take(&qmp->line))) {
		understand(qmp, text);
		free(text);
	}
	if (error && error != -EAGAIN)
		hang_up(qmp);
}

/* Another VM's? */
static bool is_anothers(const struct qmp *qmp, int fd)
{
	char name[MRM_TEXT_MAX];
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) && peer.pid != qmp->pid &&
	       module_root() &&
	       !mrm_vm_read_text(module_root(), peer.pid, "name", name, sizeof(name));
}

/* Return: 0, -EXDEV if it is the socket of another VM, or another negative error. */
static int dial(struct qmp *qmp)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	strcpy(address.sun_path, qmp->path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	if (is_anothers(qmp, fd)) {
		close(fd);
		return -EXDEV;
	}
	qmp->handle = virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_HANGUP,
					heard, qmp, NULL);
	if (qmp->handle < 0) {
		close(fd);
		return -ENOMEM;
	}
	qmp->fd = fd;
	return 0;
}

static void set(struct guest *guest, uint64_t keep)
{
	command(guest->handle, TELL_BALLOON, "balloon",
		argument("value", json_object_new_int64(keep)));
}

static void look(struct guest *guest)
{
	struct qmp *qmp = guest->handle;
	struct json_object *arguments = argument("path", json_object_new_string(qmp->device));

	json_object_object_add(arguments, "property", json_object_new_string("guest-stats"));
	command(qmp, ASK_STATS, "qom-get", arguments);
}

static const struct guest_driver driver = {
	.name = "qmp",
	.set = set,
	.look = look,
};

static void link_path(pid_t pid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%d", links, (int)pid);
}

static void end(struct qmp *qmp)
{
	struct qmp **where = &all;
	char path[PATH_MAX];

	link_path(qmp->pid, path);
	unlink(path);
	hang_up(qmp);
	virEventRemoveTimeout(qmp->timer);
	while (*where != qmp)
		where = &(*where)->next;
	*where = qmp->next;
	guest_drop(qmp->guest);
	free(qmp->path);
	free(qmp);
}

static void again(int timer, void *data)
{
	struct qmp *qmp = data;

	virEventUpdateTimeout(timer, -1);
	if (kill(qmp->pid, 0) < 0 && errno == ESRCH)
		end(qmp);
	else if (dial(qmp))
		virEventUpdateTimeout(timer, RETRY_MS);
}

/* What the kernel calls the VM, or its pid. */
static void find_name(pid_t pid, char name[MRM_TEXT_MAX])
{
	if (!module_root() || mrm_vm_read_text(module_root(), pid, "name", name, MRM_TEXT_MAX) ||
	    !*name)
		snprintf(name, MRM_TEXT_MAX, "pid:%d", (int)pid);
}

static struct qmp *find(pid_t pid)
{
	struct qmp *qmp = all;

	while (qmp && qmp->pid != pid)
		qmp = qmp->next;
	return qmp;
}

static struct qmp *begin(pid_t pid, const char *path)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	char name[MRM_TEXT_MAX];

	if (!qmp)
		return NULL;
	find_name(pid, name);
	qmp->fd = -1;
	qmp->pid = pid;
	qmp->path = strdup(path);
	qmp->timer = virEventAddTimeout(-1, again, qmp, NULL);
	qmp->guest = guest_new(name, &driver, qmp);
	if (!qmp->path || qmp->timer < 0 || !qmp->guest) {
		if (qmp->guest)
			guest_drop(qmp->guest);
		if (qmp->timer >= 0)
			virEventRemoveTimeout(qmp->timer);
		free(qmp->path);
		free(qmp);
		return NULL;
	}
	qmp->next = all;
	all = qmp;
	return qmp;
}

/**
 * qmp_start() - drive the balloon of a VM
 * @pid: of its QEMU process
 * @path: of a QMP socket that QEMU listens on, and that nobody else uses
 * @why: receives a sentence on error
 *
 * Return: 0, -EEXIST when its balloon is driven already, or another negative error.
 */
int qmp_start(pid_t pid, const char *path, char why[MRM_WHY_MAX])
{
	struct guest *guest = guests;
	char link[PATH_MAX];
	struct qmp *qmp;
	int error;

	while (guest && guest->pid != pid)
		guest = guest->next;
	if (guest || find(pid)) {
		snprintf(why, MRM_WHY_MAX, "its balloon is driven already, by %s",
			 guest ? guest->driver->name : "QMP");
		return -EEXIST;
	}
	if (*path != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(why, MRM_WHY_MAX, "a socket is a path from the root, of at most %zu bytes",
			 sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		return -EINVAL;
	}
	qmp = begin(pid, path);
	error = qmp ? dial(qmp) : -ENOMEM;
	link_path(pid, link);
	if (!error && symlink(path, link) < 0 && errno != EEXIST)
		error = -errno;
	if (error) {
		snprintf(why, MRM_WHY_MAX, "%.200s: %s", path,
			 error == -EXDEV ? "this is the socket of another VM" : strerror(-error));
		if (qmp)
			end(qmp);
	}
	return error;
}

/**
 * qmp_stop() - leave the balloon of a VM to others
 * @pid: of its QEMU process
 * @why: receives a sentence on error
 *
 * Return: 0, or -ENOENT.
 */
int qmp_stop(pid_t pid, char why[MRM_WHY_MAX])
{
	struct qmp *qmp = find(pid);

	if (!qmp) {
		snprintf(why, MRM_WHY_MAX, "no QMP socket of process %d is known", (int)pid);
		return -ENOENT;
	}
	end(qmp);
	return 0;
}

/**
 * qmp_init() - find the VMs that were driven before
 * @directory: where their sockets are noted; made if need be
 *
 * Return: 0, or a negative error.
 */
int qmp_init(const char *directory)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	struct qmp *qmp;
	uint64_t pid;
	ssize_t got;
	DIR *dir;

	links = directory;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = opendir(directory);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (mrm_parse_u64(entry->d_name, &pid) || pid > INT_MAX)
			continue;
		link_path(pid, path);
		got = readlink(path, target, sizeof(target) - 1);
		if (got < 0)
			continue;
		target[got] = '\0';
		qmp = begin(pid, target);
		if (qmp)
			again(qmp->timer, qmp);
	}
	closedir(dir);
	return 0;
}
