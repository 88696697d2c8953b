// SPDX-License-Identifier: GPL-2.0
/* What tracepoints tell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mrm.h"
#include "tap.h"
#include "trace.h"

#define EVENTS	"/sys/kernel/tracing/events/"
#define HITS	"Hits: "
#define DROPPED	"Dropped: "

static int set_trigger(const char *event, const char *prefix, const char *trigger)
{
	char path[128], text[128];

	snprintf(path, sizeof(path), EVENTS "%s/trigger", event);
	snprintf(text, sizeof(text), "%s%s", prefix, trigger);
	return file_write(path, text);
}

/**
 * trace_begin() - count how often a tracepoint is hit from now on
 * @event: its directory, such as "mrm/mrm_zip"
 * @trigger: "hist:keys=FIELD", with a filter if that matters
 *
 * Return: false if this kernel has no such tracepoint, or no histograms.
 */
bool trace_begin(const char *event, const char *trigger)
{
	return !set_trigger(event, "", trigger);
}

/* What has been counted, or NULL if nobody counts. */
static const char *histogram(const char *event)
{
	static char text[1 << 14];
	char path[128];

	snprintf(path, sizeof(path), EVENTS "%s/hist", event);
	memset(text, 0, sizeof(text));
	return file_read(path, text, sizeof(text) - 1) < 0 || !strstr(text, HITS) ? NULL : text;
}

/**
 * trace_hits() - how often was it hit?
 * @event: as for trace_begin()
 *
 * A histogram counts apart what two processors bring at the same time, before the key is there.
 *
 * Return: so often, or -1 if nobody counts.
 */
long trace_hits(const char *event)
{
	const char *text = histogram(event), *dropped = text ? strstr(text, DROPPED) : NULL;

	if (!dropped)
		return -1;
	return atol(strstr(text, HITS) + strlen(HITS)) + atol(dropped + strlen(DROPPED));
}

/**
 * trace_sum() - the sum of a field over all hits
 * @event: as for trace_begin()
 * @field: which, of the trigger's values
 *
 * Return: the sum, or -1 if nobody counts.
 */
long trace_sum(const char *event, const char *field)
{
	const char *text = histogram(event), *at;
	char key[64];
	long sum = 0;

	if (!text)
		return -1;
	snprintf(key, sizeof(key), " %s:", field);
	/* Behind what the trigger says. */
	for (at = strstr(text, "hitcount: "); at && (at = strstr(at, key)); at += strlen(key))
		sum += atol(at + strlen(key));
	return sum;
}

/**
 * trace_end() - count no more
 * @event: as for trace_begin()
 * @trigger: likewise
 */
void trace_end(const char *event, const char *trigger)
{
	set_trigger(event, "!", trigger);
}

/**
 * trace_tells() - a tracepoint was hit as often as it should; a result of the test
 * @begun: what trace_begin() said
 * @event: as there
 * @trigger: likewise; it ends here
 * @hits: how often it should have been hit
 * @what: what it tells of
 */
void trace_tells(bool begun, const char *event, const char *trigger, long hits, const char *what)
{
	if (!begun) {
		tap_skip("no histogram of it", "%s tells of each %s", event, what);
		return;
	}
	tap_equal(trace_hits(event), hits, "%s tells of each %s", event, what);
	trace_end(event, trigger);
}
