/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Tracepoints
 *
 * How often one was hit, by the kernel's own histograms of them.  An event is its directory
 * ("mrm/mrm_zip"), a trigger which hits count ("hist:keys=pid if bytes > 0").
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>

bool trace_begin(const char *event, const char *trigger);
long trace_hits(const char *event);
long trace_sum(const char *event, const char *field);
void trace_end(const char *event, const char *trigger);
void trace_tells(bool begun, const char *event, const char *trigger, long hits, const char *what);

#endif
