/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Memory for breaking large frames
 *
 * To break one takes as much memory as it has, for a moment, and is needed most when there is
 * none.  So as much as one large frame is kept for it while there are any.  What moves out of a
 * large frame gets an ordinary frame, charged to whom it belongs; when there is none to be had, a
 * page of the reserve goes back to the kernel first, and what is allocated next may be that one.
 * When the large frame is free the reserve is filled again.
 */
#ifndef MRM_LARGE_RESERVE_H
#define MRM_LARGE_RESERVE_H

#include <linux/types.h>

bool mrm_large_reserve_give(void);
void mrm_large_reserve_fill(void);
void mrm_large_reserve_free(void);
size_t mrm_large_reserve_bytes(void);

#endif
