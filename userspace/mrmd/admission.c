// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a guest may start.  The kernel counts the mins of VMs that run; those of
 * guests that were admitted and are on their way are counted here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission.h"
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
static uint64_t promised(struct admitted **list, uint64_t now)
{
	uint64_t sum = 0;

	while (*list) {
		if ((*list)->until_ms <= now) {
			drop(list);
			continue;
		}
		sum += (*list)->bytes;
		list = &(*list)->next;
	}
	return sum;
}

static void refuse(const struct mrm_domain *domain, uint64_t min, uint64_t overhead,
		   uint64_t unreserved, uint64_t pending, char why[MRM_WHY_MAX])
{
	char a[MRM_UNIT_MAX], b[MRM_UNIT_MAX], c[MRM_UNIT_MAX], d[MRM_UNIT_MAX] = "";

	mrm_format_mib(a, sizeof(a), min);
	mrm_format_mib(b, sizeof(b), overhead);
	mrm_format_mib(c, sizeof(c), unreserved);
	mrm_format_mib(d, sizeof(d), pending);
	snprintf(why, MRM_WHY_MAX,
		 "guest %.60s is to have %s MiB always (its min), and %s MiB of overhead, but only "
		 "%s MiB are unreserved%s%s%s; lower its min or that of another",
		 domain->name, a, b, c, pending ? ", of which " : "", pending ? d : "",
		 pending ? " MiB are for guests that are starting" : "");
}

/**
 * admission_ask() - may a guest start?
 * @list: those admitted before; it is added if it may
 * @domain: the guest
 * @unreserved: what the mins of VMs that run leave, in bytes, or NULL when the
 *              module does not say
 * @now: the time, in ms
 * @why: receives a sentence when it may not
 *
 * Return: 0, -EINVAL when what it wants cannot be understood, -ENOSPC when it does
 * not fit, -ENOMEM.
 */
int admission_ask(struct admitted **list, const struct mrm_domain *domain,
		  const uint64_t *unreserved, uint64_t now, char why[MRM_WHY_MAX])
{
	uint64_t min = mrm_settings_bytes(&domain->settings, MRM_MIN);
	uint64_t overhead = admission_overhead(domain->size), pending;
	struct admitted *one;

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
	pending = promised(list, now);
	if (unreserved && (*unreserved < pending || *unreserved - pending < min ||
			   *unreserved - pending - min < overhead)) {
		refuse(domain, min, overhead, *unreserved, pending, why);
		return -ENOSPC;
	}
	one = calloc(1, sizeof(*one));
	if (one)
		one->name = strdup(domain->name);
	if (!one || !one->name) {
		free(one);
		snprintf(why, MRM_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	one->bytes = min + overhead;
	one->until_ms = now + ADMISSION_MS;
	one->next = *list;
	*list = one;
	return 0;
}

/**
 * admission_done() - a guest needs its promise no longer
 * @list: of those admitted
 * @name: of the guest: the kernel knows its min, or its start failed
 */
void admission_done(struct admitted **list, const char *name)
{
	struct admitted **where = find(list, name);

	if (*where)
		drop(where);
}
