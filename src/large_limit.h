/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Large frames are broken at the limit of a memory cgroup
 *
 * What guest_limit.c has been asked for: first by those that are about to be ended, then by those
 * that are only near their limit.  For each what is known to save something is broken before what
 * is found out by scanning, which takes long: it stops for one that is about to be ended, and for
 * these it takes four seconds in all, or until they have room.
 */
#ifndef MRM_LARGE_LIMIT_H
#define MRM_LARGE_LIMIT_H

void mrm_large_serve_limits(void);

#endif
