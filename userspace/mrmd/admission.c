// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a guest may start.  The kernel counts the mins of VMs that run, and their file
 * system their swap files; those of guests that were admitted and are on their way are
 * counted here.  What cannot be taken from a guest it needs memory for as well: all, if it is
 * locked or a device reaches it; without swap files what neither a balloon nor compression takes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission.h"
#include "balloon.h"
#include "units.h"

/**
 * admission_overhead() - what the module needs for a VM
 * @size: memory of the VM, in bytes
 *
 * Return: bytes: 16 for each page of 4 KiB, which is an entry in a table and what
 * it points to; the kernel counts what it really is once the VM runs.
 */
uint64_t admission_overhead(uint64_t size)
{
	return size / 256;
}

/**
 * admission_kept() - what a VM keeps, whatever its min, if anything can be taken from it
 * @size: memory of the VM, in bytes
 * @balloon: it has a balloon that can be driven
 * @reach: what can be taken from it
 *
 * What is compressed takes half of what it was at the most, so memory that it fills is
 * memory that it saves.
 *
 * Return: bytes.
 */
uint64_t admission_kept(uint64_t size, bool balloon, const struct admission_reach *reach)
{
	uint64_t kept = size, zip = size / 100 * reach->zip_max;

	if (reach->swap)
		return 0;
	if (balloon)
		kept -= size / 100 * reach->balloon_max;
	if (balloon && kept < balloon_floor(size))
		kept = balloon_floor(size);
	return kept > zip ? kept - zip : 0;
}

static struct admitted **find(struct admitted **list, const char *name)
{
	while (*list && strcmp((*list)->name, name))
		list = &(*list)->next;
	return list;
}

static void drop(struct admitted **where)
{
	struct admitted *one = *where;

	*where = one->next;
	free(one->name);
	free(one);
}

/* What is promised, without what was forgotten. */
static struct admitted promised(struct admitted **list, uint64_t now)
{
	struct admitted sum = { 0 };

	while (*list) {
		if ((*list)->until_ms <= now) {
			drop(list);
			continue;
		}
		sum.bytes += (*list)->bytes;
		sum.swap += (*list)->swap;
		list = &(*list)->next;
	}
	return sum;
}

/*
 * What its swap file will take: its max less its min.  Its max is its memory, or what it
 * starts with if that is less, unless its XML says how much.  One from which nothing can be
 * taken gets none.
 */
static uint64_t swap_of(const struct mrm_domain *domain, uint64_t min)
{
	uint64_t max = mrm_settings_bytes(&domain->settings, MRM_MAX);

	if (domain->foreign)
		return 0;
	if (!max && domain->balloon)
		max = domain->current;
	if (!max || max > domain->size)
		max = domain->size;
	return max > min ? max - min : 0;
}

/* Its min, or what it @keeps whatever that is, if it is more, has no room. */
static void refuse_memory(const struct mrm_domain *domain, uint64_t keeps,
			  const struct admission_host *host, uint64_t pending,
			  char why[MRM_WHY_MAX])
{
	uint64_t min = mrm_settings_bytes(&domain->settings, MRM_MIN);
	char a[MRM_UNIT_MAX], b[MRM_UNIT_MAX], c[MRM_UNIT_MAX], d[MRM_UNIT_MAX], e[MRM_UNIT_MAX];
	bool kept = host->kept || (keeps > min && !domain->pinned),
	     swap = host->reach && host->reach->swap;

	mrm_format_mib(a, sizeof(a), keeps);
	mrm_format_mib(b, sizeof(b), admission_overhead(domain->size));
	mrm_format_mib(c, sizeof(c), *host->unreserved);
	mrm_format_mib(d, sizeof(d), pending);
	mrm_format_mib(e, sizeof(e), host->kept);
	snprintf(why, MRM_WHY_MAX,
		 "guest %.60s is to have %s MiB always (%s), and %s MiB of overhead, but only %s "
		 "MiB are unreserved%s%s%s%s%s%s; lower %s of another%s",
		 domain->name, a,
		 keeps <= min	  ? "its min"
		 : domain->pinned ? "all of it, as it is locked or has a device"
				  : "what neither a balloon nor compression takes from it",
		 b, c, pending ? ", of which " : "", pending ? d : "",
		 pending ? " MiB are for guests that are starting" : "",
		 !host->kept ? ""
		 : pending   ? ", and "
			     : ", of which ",
		 host->kept ? e : "", host->kept ? " MiB cannot be taken from others" : "",
		 keeps > min ? "the min" : "its min or that",
		 kept && !swap ? ", or run mrmd with swap files" : "");
}

static void refuse_swap(const struct mrm_domain *domain, uint64_t swap,
			const struct swap_room *room, uint64_t pending, char why[MRM_WHY_MAX])
{
	char a[MRM_UNIT_MAX], b[MRM_UNIT_MAX], c[MRM_UNIT_MAX], d[MRM_UNIT_MAX];

	mrm_format_mib(a, sizeof(a), swap);
	mrm_format_mib(b, sizeof(b), room->free);
	mrm_format_mib(c, sizeof(c), pending);
	mrm_format_mib(d, sizeof(d), room->wiping);
	snprintf(why, MRM_WHY_MAX,
		 "guest %.60s is to have a swap file of %s MiB (its max less its min), but only %s "
		 "MiB are free in %.80s%s%s%s%s%s%s; make room, raise its min, lower its max, or "
		 "run mrmd with --swap none",
		 domain->name, a, b, room->directory, pending ? ", of which " : "",
		 pending ? c : "", pending ? " MiB are for guests that are starting" : "",
		 room->wiping ? ", and " : "", room->wiping ? d : "",
		 room->wiping ? " MiB are still being wiped" : "");
}

/* Why it does not fit beside what is promised. */
static int check_room(const struct mrm_domain *domain, const struct admitted *wanted,
		      const struct admitted *pending, const struct admission_host *host,
		      char why[MRM_WHY_MAX])
{
	uint64_t taken = pending->bytes + host->kept;

	if (host->unreserved &&
	    (*host->unreserved < taken || *host->unreserved - taken < wanted->bytes)) {
		refuse_memory(domain, wanted->bytes - admission_overhead(domain->size), host,
			      pending->bytes, why);
		return -ENOSPC;
	}
	if (host->swap && wanted->swap &&
	    (host->swap->free < pending->swap || host->swap->free - pending->swap < wanted->swap)) {
		refuse_swap(domain, wanted->swap, host->swap, pending->swap, why);
		return -ENOSPC;
	}
	return 0;
}

/**
 * admission_ask() - may a guest start?
 * @list: those admitted before; it is added if it may
 * @domain: the guest
 * @host: what there is for it
 * @now: the time, in ms
 * @why: receives a sentence when it may not
 *
 * Return: 0, -EINVAL when what it wants cannot be understood, -ENOSPC when it does
 * not fit, -ENOMEM.
 */
int admission_ask(struct admitted **list, const struct mrm_domain *domain,
		  const struct admission_host *host, uint64_t now, char why[MRM_WHY_MAX])
{
	uint64_t min = mrm_settings_bytes(&domain->settings, MRM_MIN);
	struct admitted wanted = { 0 }, pending, *one;
	uint64_t keeps = min;
	int error;

	if (*domain->wrong) {
		snprintf(why, MRM_WHY_MAX, "guest %.60s: <%s:%s> in its XML: %.150s", domain->name,
			 MRM_XML_PREFIX, MRM_XML_ELEMENT, domain->wrong);
		return -EINVAL;
	}
	if (min > domain->size) {
		snprintf(why, MRM_WHY_MAX, "guest %.60s: its min, %s, is more than its memory",
			 domain->name, domain->settings.text[MRM_MIN]);
		return -EINVAL;
	}
	/* It asks again when it is started again. */
	admission_done(list, domain->name);
	/* The kernel will never know it. */
	if (domain->emulated)
		return 0;
	pending = promised(list, now);
	if (host->reach && !domain->foreign) {
		keeps = domain->pinned ? domain->size
				       : admission_kept(domain->size, domain->balloon, host->reach);
		keeps = keeps > min ? keeps : min;
	}
	wanted.bytes = keeps + admission_overhead(domain->size);
	wanted.swap = host->swap ? swap_of(domain, min) : 0;
	wanted.until_ms = now + ADMISSION_MS;
	error = check_room(domain, &wanted, &pending, host, why);
	if (error)
		return error;
	one = malloc(sizeof(*one));
	if (one) {
		*one = wanted;
		one->name = strdup(domain->name);
	}
	if (!one || !one->name) {
		free(one);
		snprintf(why, MRM_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	one->next = *list;
	*list = one;
	return 0;
}

/**
 * admission_promised() - how much is promised to guests that are on their way
 * @list: of those admitted; those that never showed up are dropped
 * @now: the time, in ms
 *
 * Return: bytes.
 */
uint64_t admission_promised(struct admitted **list, uint64_t now)
{
	return promised(list, now).bytes;
}

/**
 * admission_done() - a guest needs its promise no longer
 * @list: of those admitted
 * @name: of the guest: the kernel knows its min, and its swap file is seen to, or its start
 *        failed
 *
 * Return: it had one.
 */
bool admission_done(struct admitted **list, const char *name)
{
	struct admitted **where = find(list, name);

	if (!*where)
		return false;
	drop(where);
	return true;
}
