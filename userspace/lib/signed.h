/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_SIGNED_H
#define MRM_SIGNED_H

#include <stdbool.h>

bool mrm_signed_modules_only(const char *host);

#endif
