// SPDX-License-Identifier: GPL-2.0
/*
 * libvirt: its domains, their changes, their balloons; and itself, which may be
 * restarted at any time.  Guests are kept through that: they go on running.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "domain_xml.h"
#include "guest.h"
#include "libvirt_pid.h"
#include "log.h"
#include "virt.h"
#include "work.h"

#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000

/* Without an answer for so long the connection is as good as closed. */
#define KEEPALIVE_S 5
#define KEEPALIVE_COUNT 4

/**
 * struct domain - a domain that runs
 * @next: another one, or NULL
 * @uuid: tells which
 * @guest: what it is to others; NULL once it has ended
 * @handle: libvirt's; NULL while there is no connection
 * @works: calls under way that refer to it
 * @looking: one of them reads its XML
 * @look_again: it has changed since
 */
struct domain {
	struct domain *next;
	unsigned char uuid[VIR_UUID_BUFLEN];
	struct guest *guest;
	virDomainPtr handle;
	unsigned int works;
	bool looking;
	bool look_again;
};

/**
 * struct call - a call about a domain
 * @work: how it is made
 * @domain: the domain
 * @handle: a reference of its own
 * @keep: what the guest is to keep, in bytes
 * @xml: what was found in the XML
 * @current: what it is to start with, in bytes, if that is less than its size; or 0
 * @pid: of its QEMU process
 * @stats: when the driver was last heard, in seconds
 * @failed: it failed
 * @problem: why
 */
struct call {
	struct work work;
	struct domain *domain;
	virDomainPtr handle;
	uint64_t keep;
	struct mrm_domain xml;
	uint64_t current;
	pid_t pid;
	uint64_t stats;
	bool failed;
	char problem[256];
};

/**
 * struct connecting - an attempt to connect
 * @work: how it is made
 * @connection: the result, or NULL
 * @domains: those that run
 * @count: number of them
 * @problem: why it failed
 */
struct connecting {
	struct work work;
	virConnectPtr connection;
	virDomainPtr *domains;
	int count;
	char problem[256];
};

static const char *uri;
static virConnectPtr connection;
static struct domain *domains;
static int connect_timer = -1, closed_timer = -1;
static int retry_ms = RETRY_FIRST_MS;
static bool complained;

static void look(struct domain *domain);

static struct domain *find(virDomainPtr handle)
{
	unsigned char uuid[VIR_UUID_BUFLEN];
	struct domain *domain;

	virDomainGetUUID(handle, uuid);
	for (domain = domains; domain; domain = domain->next)
		if (domain->guest && !memcmp(domain->uuid, uuid, sizeof(uuid)))
			break;
	return domain;
}

static void free_unused(struct domain *domain)
{
	struct domain **where = &domains;

	if (domain->guest || domain->works)
		return;
	while (*where != domain)
		where = &(*where)->next;
	*where = domain->next;
	free(domain);
}

static void detach(struct domain *domain)
{
	if (domain->handle)
		virDomainFree(domain->handle);
	domain->handle = NULL;
}

static void end(struct domain *domain)
{
	struct guest *guest = domain->guest;

	detach(domain);
	domain->guest = NULL;
	guest_drop(guest);
	free_unused(domain);
}

static struct call *call_new(struct domain *domain, void (*run)(struct work *),
			     void (*done)(struct work *))
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call || !domain->handle) {
		free(call);
		return NULL;
	}
	call->work.run = run;
	call->work.done = done;
	call->domain = domain;
	call->handle = domain->handle;
	virDomainRef(call->handle);
	domain->works++;
	return call;
}

static void call_free(struct call *call)
{
	struct domain *domain = call->domain;

	virDomainFree(call->handle);
	mrm_domain_free(&call->xml);
	free(call);
	domain->works--;
	free_unused(domain);
}

static void call_failed(struct call *call)
{
	call->failed = true;
	snprintf(call->problem, sizeof(call->problem), "%s", virGetLastErrorMessage());
}

/*
 * What a guest is to start with, if that is less than its memory; or 0.  Its running
 * XML has what its balloon leaves it just now, which is our doing; a transient
 * domain has no other.
 */
static uint64_t current_memory(virDomainPtr handle)
{
	struct mrm_domain domain = { 0 };
	uint64_t current = 0;
	char *xml;

	if (virDomainIsPersistent(handle) != 1)
		return 0;
	xml = virDomainGetXMLDesc(handle, VIR_DOMAIN_XML_INACTIVE);
	if (xml && !mrm_domain_parse(xml, &domain) && domain.balloon &&
	    domain.current < domain.size)
		current = domain.current;
	mrm_domain_free(&domain);
	free(xml);
	return current;
}

/* The XML of a running domain tells all at once, and does not ask QEMU. */
static void look_run(struct work *work)
{
	struct call *call = (struct call *)work;
	char *xml = virDomainGetXMLDesc(call->handle, 0);

	if (!xml) {
		call_failed(call);
		return;
	}
	if (mrm_domain_parse(xml, &call->xml)) {
		call->failed = true;
		snprintf(call->problem, sizeof(call->problem), "its XML is not understood");
	}
	call->current = current_memory(call->handle);
	call->pid = mrm_libvirt_pid(virDomainGetName(call->handle));
	free(xml);
}

static void take_news(struct guest *guest, const struct call *call)
{
	struct guest_news news = {
		.pid = call->pid,
		.size = call->xml.size,
		.actual = call->xml.current,
		.device = call->xml.balloon,
		.pinned = call->xml.pinned,
		.element = call->xml.element,
		.settings = call->xml.settings,
		.current = call->current,
	};

	if (*call->xml.other && (!guest->known || guest->balloon.device))
		log_warning(
			"guest %s: it has %s memory, which its balloon does not know: the balloon "
			"is left alone",
			guest->name, call->xml.other);
	if (*call->xml.wrong) {
		log_error("guest %s: <%s:%s> in its XML is left out: %s", guest->name,
			  MRM_XML_PREFIX, MRM_XML_ELEMENT, call->xml.wrong);
		news.element = guest->element;
		news.settings = guest->settings;
	}
	guest_news(guest, &news);
}

static void look_done(struct work *work)
{
	struct call *call = (struct call *)work;
	struct domain *domain = call->domain;

	domain->looking = false;
	if (domain->guest && domain->handle) {
		if (domain->look_again)
			look(domain);
		/* One that has ended says so in an event of its own. */
		else if (call->failed)
			log_warning("guest %s: %s", domain->guest->name, call->problem);
		else
			take_news(domain->guest, call);
	}
	call_free(call);
}

static void look(struct domain *domain)
{
	struct call *call;

	domain->look_again = domain->looking;
	if (domain->looking)
		return;
	call = call_new(domain, look_run, look_done);
	if (!call)
		return;
	domain->looking = true;
	work_start(&call->work);
}

static void set_run(struct work *work)
{
	struct call *call = (struct call *)work;

	if (virDomainSetMemoryFlags(call->handle, call->keep >> 10, VIR_DOMAIN_AFFECT_LIVE) < 0)
		call_failed(call);
}

static void set_done(struct work *work)
{
	struct call *call = (struct call *)work;

	if (call->domain->guest)
		guest_set_done(call->domain->guest, call->failed ? call->problem : NULL);
	call_free(call);
}

static void set(struct guest *guest, uint64_t keep)
{
	struct call *call = call_new(guest->handle, set_run, set_done);

	if (!call) {
		guest->busy = false;
		return;
	}
	call->keep = keep;
	call->work.class = WORK_SLOW;
	work_start(&call->work);
}

static void stats_run(struct work *work)
{
	virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
	struct call *call = (struct call *)work;
	int count, i;

	count = virDomainMemoryStats(call->handle, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
	if (count < 0)
		call_failed(call);
	for (i = 0; i < count; i++)
		if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
			call->stats = stats[i].val;
}

static void stats_done(struct work *work)
{
	struct call *call = (struct call *)work;

	if (call->domain->guest)
		guest_looked(call->domain->guest, call->failed ? NULL : &call->stats);
	call_free(call);
}

static void ask_stats(struct guest *guest)
{
	struct call *call = call_new(guest->handle, stats_run, stats_done);

	if (!call) {
		guest->busy = false;
		return;
	}
	call->work.class = WORK_SLOW;
	work_start(&call->work);
}

static const struct guest_driver driver = {
	.name = "libvirt",
	.set = set,
	.look = ask_stats,
};

/* A domain runs: a new one, or one known from before the connection. */
static void begin(virDomainPtr handle)
{
	struct domain *domain = find(handle);

	if (!domain) {
		domain = calloc(1, sizeof(*domain));
		if (!domain)
			return;
		virDomainGetUUID(handle, domain->uuid);
		domain->guest = guest_new(virDomainGetName(handle), &driver, domain);
		if (!domain->guest) {
			free(domain);
			return;
		}
		domain->next = domains;
		domains = domain;
	}
	detach(domain);
	domain->handle = handle;
	virDomainRef(handle);
	look(domain);
}

static int lifecycle(virConnectPtr conn, virDomainPtr handle, int event, int detail, void *data)
{
	struct domain *domain = find(handle);

	(void)conn;
	(void)detail;
	(void)data;
	if (event == VIR_DOMAIN_EVENT_STARTED) {
		begin(handle);
		domain = find(handle);
		/* It is said of one that wakes up, too. */
		if (domain && !domain->guest->listed)
			domain->guest->seen = true;
	} else if (event == VIR_DOMAIN_EVENT_STOPPED && domain) {
		end(domain);
	}
	return 0;
}

static int rebooted(virConnectPtr conn, virDomainPtr handle, void *data)
{
	struct domain *domain = find(handle);

	(void)conn;
	(void)data;
	if (domain)
		guest_rebooted(domain->guest);
	return 0;
}

static int balloon_moved(virConnectPtr conn, virDomainPtr handle, unsigned long long kib,
			 void *data)
{
	struct domain *domain = find(handle);

	(void)conn;
	(void)data;
	if (domain && domain->guest->known)
		guest_actual(domain->guest, kib << 10);
	return 0;
}

static int metadata_changed(virConnectPtr conn, virDomainPtr handle, int type, const char *space,
			    void *data)
{
	struct domain *domain = find(handle);

	(void)conn;
	(void)data;
	if (domain && domain->handle && type == VIR_DOMAIN_METADATA_ELEMENT && space &&
	    !strcmp(space, MRM_XMLNS))
		look(domain);
	return 0;
}

/* Memory may have been plugged, or a balloon. */
static int device_changed(virConnectPtr conn, virDomainPtr handle, const char *alias, void *data)
{
	struct domain *domain = find(handle);

	(void)conn;
	(void)alias;
	(void)data;
	if (domain && domain->handle)
		look(domain);
	return 0;
}

static const struct {
	int id;
	virConnectDomainEventGenericCallback callback;
} events[] = {
	{ VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(lifecycle) },
	{ VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(rebooted) },
	{ VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(balloon_moved) },
	{ VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(metadata_changed) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(device_changed) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(device_changed) },
};

static void close_run(struct work *work)
{
	struct connecting *closing = (struct connecting *)work;

	virConnectClose(closing->connection);
}

static void close_done(struct work *work)
{
	free(work);
}

/* Whichever thread notices: the event loop has the rest. */
static void closed(virConnectPtr conn, int reason, void *data)
{
	(void)conn;
	(void)reason;
	(void)data;
	virEventUpdateTimeout(closed_timer, 0);
}

static void closed_over(int id, void *data)
{
	struct connecting *closing = calloc(1, sizeof(*closing));
	struct domain *domain;

	(void)data;
	virEventUpdateTimeout(id, -1);
	if (!connection || virConnectIsAlive(connection) == 1) {
		free(closing);
		return;
	}
	log_warning("the connection to libvirt is lost; guests are left as they are");
	for (domain = domains; domain; domain = domain->next) {
		detach(domain);
		if (domain->guest)
			domain->guest->known = false;
	}
	if (closing) {
		closing->work.run = close_run;
		closing->work.done = close_done;
		closing->connection = connection;
		work_start(&closing->work);
	}
	connection = NULL;
	virEventUpdateTimeout(connect_timer, RETRY_FIRST_MS);
}

/* Connect, have events sent, and only then list what runs, so that none is missed. */
static void connect_run(struct work *work)
{
	struct connecting *attempt = (struct connecting *)work;
	virConnectPtr conn = virConnectOpen(uri);
	size_t i;

	if (!conn)
		goto failed;
	if (virConnectSetKeepAlive(conn, KEEPALIVE_S, KEEPALIVE_COUNT) < 0 ||
	    virConnectRegisterCloseCallback(conn, closed, NULL, NULL) < 0)
		goto failed;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (virConnectDomainEventRegisterAny(conn, NULL, events[i].id, events[i].callback,
						     NULL, NULL) < 0)
			goto failed;
	attempt->count =
		virConnectListAllDomains(conn, &attempt->domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (attempt->count < 0)
		goto failed;
	attempt->connection = conn;
	return;
failed:
	snprintf(attempt->problem, sizeof(attempt->problem), "%s", virGetLastErrorMessage());
	if (conn)
		virConnectClose(conn);
}

/* Those that ended while nobody told us. */
static void end_unlisted(void)
{
	struct domain *domain, *next;

	for (domain = domains; domain; domain = next) {
		next = domain->next;
		if (domain->guest && !domain->handle)
			end(domain);
	}
}

static void connect_done(struct work *work)
{
	struct connecting *attempt = (struct connecting *)work;
	int i;

	if (!attempt->connection) {
		if (!complained)
			log_warning("libvirt: %s; trying again", attempt->problem);
		complained = true;
		virEventUpdateTimeout(connect_timer, retry_ms);
		retry_ms = 2 * retry_ms < RETRY_MAX_MS ? 2 * retry_ms : RETRY_MAX_MS;
	} else {
		log_notice("connected to libvirt, where %d guests run", attempt->count);
		complained = false;
		retry_ms = RETRY_FIRST_MS;
		connection = attempt->connection;
		for (i = 0; i < attempt->count; i++) {
			begin(attempt->domains[i]);
			virDomainFree(attempt->domains[i]);
		}
		free(attempt->domains);
		end_unlisted();
		/* It may have been lost before it was ours. */
		virEventUpdateTimeout(closed_timer, 0);
	}
	free(attempt);
}

static void connect_over(int id, void *data)
{
	struct connecting *attempt = calloc(1, sizeof(*attempt));

	(void)data;
	if (!attempt)
		return;
	virEventUpdateTimeout(id, -1);
	attempt->work.run = connect_run;
	attempt->work.done = connect_done;
	work_start(&attempt->work);
}

static void silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

/**
 * virt_init() - begin to look for libvirt
 * @name: its URI
 *
 * Return: 0, or a negative error.
 */
int virt_init(const char *name)
{
	uri = name;
	virSetErrorFunc(NULL, silent);
	closed_timer = virEventAddTimeout(-1, closed_over, NULL, NULL);
	connect_timer = virEventAddTimeout(0, connect_over, NULL, NULL);
	return closed_timer < 0 || connect_timer < 0 ? -ENOMEM : 0;
}

/**
 * virt_connected() - whether libvirt is there
 *
 * Return: true while there is a connection.
 */
bool virt_connected(void)
{
	return __atomic_load_n(&connection, __ATOMIC_RELAXED);
}
