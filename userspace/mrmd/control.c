// SPDX-License-Identifier: GPL-2.0
/*
 * What mrmctl asks: a stream socket that only root may connect to, a JSON object in
 * a line each way.
 *
 *	{"do": "admit", "xml": "<domain>..."}       may it start?
 *	{"do": "release", "name": "..."}            it will not, or has ended
 *	{"do": "promised", "pid": 7, "min": 1}      what is not there for this min of that VM
 *	{"do": "status"}                            what is known of all guests
 *	{"do": "qmp", "pid": 7, "socket": "..."}    drive the balloon of this VM
 *	{"do": "qmp", "pid": 7}                     not any longer
 *
 * The answer has "ok", and if that is false, "why".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libvirt/libvirt.h>

#include "admission.h"
#include "client.h"
#include "control.h"
#include "guest.h"
#include "kept.h"
#include "line.h"
#include "log.h"
#include "module.h"
#include "qmp.h"
#include "swap.h"
#include "virt.h"

/**
 * struct client - somebody who asks
 * @fd: the socket
 * @handle: of the event loop
 * @line: what has come
 * @answer: what is being answered, or NULL
 * @length: bytes of it
 * @sent: of which the client has so many
 */
struct client {
	int fd;
	int handle;
	struct line line;
	char *answer;
	size_t length;
	size_t sent;
};

/* For the mrmd after us: clocks that start with the host go on, and so do promises. */
#define PROMISES MRM_RUN "/admitted.json"

static struct admitted *starting;

static void save_promises(void)
{
	int error = admission_save(starting, PROMISES);

	if (error)
		log_warning("%s: %s: what is promised now an mrmd that is restarted does not know",
			    PROMISES, strerror(-error));
}

static bool drop_promise(const char *name)
{
	bool promised = admission_done(&starting, name);

	if (promised)
		save_promises();
	return promised;
}

/* Has anybody asked for a guest, and how many were seen to start though nobody has. */
static bool asked_for_one;
static unsigned int unasked;

/**
 * control_started() - the kernel knows the min of a guest, and its swap file is seen to next
 * @name: of the guest
 * @seen: libvirt said that it started, so that it should have asked before
 */
void control_started(const char *name, bool seen)
{
	/* It may have been asked for by way of an mrmd before us. */
	asked_for_one |= drop_promise(name);
	if (asked_for_one || !seen)
		return;
	if (!unasked++)
		log_warning("guest %s has started, and libvirt did not ask before: guests start "
			    "that do not fit; it looks for its hook, " MRM_HOOK
			    ", when it is reloaded: systemctl reload libvirtd, or virtqemud",
			    name);
}

/**
 * control_promised() - what a min cannot take of the unreserved memory
 * @pid: of the VM whose min it is to be
 * @min: the min, in bytes
 *
 * It is promised to guests that are on their way, or cannot be taken from those that run.
 *
 * Return: bytes.
 */
uint64_t control_promised(pid_t pid, uint64_t min)
{
	struct admission_reach reach;
	bool covered = false;
	uint64_t kept = 0;

	if (kept_reach(&reach))
		kept = kept_beyond_mins(&reach, pid, min, &covered);
	return covered ? 0 : admission_promised(&starting, now_ms()) + kept;
}

static const char *text_of(struct json_object *request, const char *key)
{
	struct json_object *value = json_object_object_get(request, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static void add(struct json_object *object, const char *key, struct json_object *value)
{
	json_object_object_add(object, key, value);
}

static int admit(struct json_object *request, char why[MRM_WHY_MAX])
{
	const char *xml = text_of(request, "xml");
	struct admission_host host = { 0 };
	struct admission_reach reach;
	struct mrm_domain domain;
	struct swap_room room;
	uint64_t unreserved;
	bool unused;
	int error;

	asked_for_one = true;
	unasked = 0;
	error = xml ? mrm_domain_parse(xml, &domain) : -EINVAL;
	if (error) {
		snprintf(why, MRM_WHY_MAX, "this is not the XML of a domain");
		if (xml)
			mrm_domain_free(&domain);
		return error;
	}
	if (module_root() && !mrm_read_u64(module_root()->fd, "unreserved_bytes", &unreserved))
		host.unreserved = &unreserved;
	if (swap_room(&room))
		host.swap = &room;
	if (kept_reach(&reach)) {
		host.reach = &reach;
		host.kept = kept_beyond_mins(&reach, 0, 0, &unused);
	}
	error = admission_ask(&starting, &domain, &host, now_ms(), why);
	save_promises();
	if (error)
		log_notice("a start is refused: %s", why);
	mrm_domain_free(&domain);
	return error;
}

static int release(struct json_object *request, char why[MRM_WHY_MAX])
{
	const char *name = text_of(request, "name");

	if (!name) {
		snprintf(why, MRM_WHY_MAX, "no name");
		return -EINVAL;
	}
	drop_promise(name);
	return 0;
}

static struct json_object *describe(const struct guest *guest)
{
	const struct balloon *balloon = &guest->balloon;
	struct json_object *object = json_object_new_object();
	enum balloon_state state = balloon_state(balloon, now_ms());
	uint64_t holds = balloon->size > balloon->actual ? balloon->size - balloon->actual : 0;

	add(object, "name", json_object_new_string(guest->name));
	add(object, "pid", json_object_new_int(guest->pid));
	add(object, "driver", json_object_new_string(guest->driver->name));
	add(object, "listed", json_object_new_boolean(guest->listed));
	add(object, "size_bytes", json_object_new_uint64(balloon->size));
	add(object, "balloon_state",
	    json_object_new_string(balloon_state_names[guest->known ? state : BALLOON_NONE]));
	add(object, "balloon_bytes", json_object_new_uint64(holds));
	add(object, "balloon_target_bytes", json_object_new_uint64(guest->hold));
	add(object, "balloon_step_bytes", json_object_new_uint64(balloon->step));
	add(object, "swap", json_object_new_string(guest->listed ? swap_word(&guest->vm) : "no"));
	return object;
}

/* NULL, which is null in JSON, without swap. */
static struct json_object *describe_swap(void)
{
	struct json_object *object;
	struct swap_room room;

	if (!swap_room(&room))
		return NULL;
	object = json_object_new_object();
	add(object, "directory", json_object_new_string(room.directory));
	add(object, "free_bytes", json_object_new_uint64(room.free));
	add(object, "wiping_bytes", json_object_new_uint64(room.wiping));
	add(object, "files_not_wiped", json_object_new_int64(room.kept));
	return object;
}

static void status(struct json_object *answer)
{
	struct json_object *list = json_object_new_array();
	const struct guest *guest;

	for (guest = guests; guest; guest = guest->next)
		json_object_array_add(list, describe(guest));
	add(answer, "version", json_object_new_string(MRM_VERSION));
	add(answer, "libvirt", json_object_new_boolean(virt_connected()));
	add(answer, "kvm_mrm", json_object_new_boolean(module_root() != NULL));
	add(answer, "starting_bytes",
	    json_object_new_uint64(admission_promised(&starting, now_ms())));
	add(answer, "swap", describe_swap());
	add(answer, "unasked_starts", json_object_new_int64(unasked));
	add(answer, "guests", list);
}

static int pid_of(struct json_object *request, char why[MRM_WHY_MAX])
{
	struct json_object *pid = json_object_object_get(request, "pid");

	if (json_object_is_type(pid, json_type_int) && json_object_get_int(pid) > 0)
		return json_object_get_int(pid);
	snprintf(why, MRM_WHY_MAX, "no pid");
	return -EINVAL;
}

static int promised(struct json_object *request, struct json_object *answer, char why[MRM_WHY_MAX])
{
	uint64_t min = json_object_get_uint64(json_object_object_get(request, "min"));
	int pid = pid_of(request, why);

	if (pid < 0)
		return pid;
	add(answer, "promised_bytes", json_object_new_uint64(control_promised(pid, min)));
	return 0;
}

static int drive_by_qmp(struct json_object *request, char why[MRM_WHY_MAX])
{
	int pid = pid_of(request, why);

	if (pid < 0)
		return pid;
	if (!text_of(request, "socket"))
		return qmp_stop(pid, why);
	return qmp_start(pid, text_of(request, "socket"), why);
}

static struct json_object *answer(const char *line)
{
	struct json_object *request = json_tokener_parse(line);
	struct json_object *object = json_object_new_object();
	const char *what = text_of(request, "do");
	char why[MRM_WHY_MAX] = "";
	int error = 0;

	if (!what) {
		error = -EINVAL;
		snprintf(why, sizeof(why), "this is not a request");
	} else if (!strcmp(what, "admit")) {
		error = admit(request, why);
	} else if (!strcmp(what, "release")) {
		error = release(request, why);
	} else if (!strcmp(what, "promised")) {
		error = promised(request, object, why);
	} else if (!strcmp(what, "status")) {
		status(object);
	} else if (!strcmp(what, "qmp")) {
		error = drive_by_qmp(request, why);
	} else {
		error = -EINVAL;
		snprintf(why, sizeof(why), "this mrmd cannot do \"%.60s\"", what);
	}
	add(object, "ok", json_object_new_boolean(!error));
	if (error)
		add(object, "why", json_object_new_string(why));
	json_object_put(request);
	return object;
}

static void leave(struct client *client)
{
	virEventRemoveHandle(client->handle);
	close(client->fd);
	line_free(&client->line);
	free(client->answer);
	free(client);
}

/* The state of a thousand guests does not fit into a socket: the rest follows. */
static int send_answer(struct client *client)
{
	ssize_t sent = send(client->fd, client->answer + client->sent,
			    client->length - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	client->sent += sent;
	if (client->sent == client->length) {
		free(client->answer);
		client->answer = NULL;
	}
	return 0;
}

static void asked(int handle, int fd, int events, void *data)
{
	struct client *client = data;
	int error = client->answer ? send_answer(client) : line_read(&client->line, fd);
	char *text;

	(void)events;
	while (!error && !client->answer && (text = line_take(&client->line))) {
		client->sent = 0;
		client->answer = line_text(answer(text), &client->length);
		error = client->answer ? send_answer(client) : -ENOMEM;
		free(text);
	}
	if (error && error != -EAGAIN)
		leave(client);
	else
		virEventUpdateHandle(handle, VIR_EVENT_HANDLE_HANGUP |
						     (client->answer ? VIR_EVENT_HANDLE_WRITABLE
								     : VIR_EVENT_HANDLE_READABLE));
}

static void welcome(int handle, int fd, int events, void *data)
{
	struct client *client;
	int peer;

	(void)handle;
	(void)events;
	(void)data;
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer < 0)
		return;
	client = calloc(1, sizeof(*client));
	if (client) {
		client->fd = peer;
		client->handle =
			virEventAddHandle(peer, VIR_EVENT_HANDLE_READABLE | VIR_EVENT_HANDLE_HANGUP,
					  asked, client, NULL);
		if (client->handle >= 0)
			return;
	}
	free(client);
	close(peer);
}

/**
 * control_init() - listen to mrmctl
 * @path: of the socket; one of a daemon that died is replaced
 *
 * Return: 0, -EADDRINUSE when another mrmd listens there, or another negative error.
 */
int control_init(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error = 0;
	mode_t mask;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -EADDRINUSE;
	}
	if (admission_load(&starting, PROMISES))
		log_warning("%s is not understood: it is forgotten what is promised to guests that "
			    "are starting",
			    PROMISES);
	unlink(path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		error = -errno;
	umask(mask);
	if (!error && virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, welcome, NULL, NULL) < 0)
		error = -ENOMEM;
	if (error)
		close(fd);
	return error;
}
