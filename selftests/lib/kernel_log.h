/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTESTS_KERNEL_LOG_H
#define SELFTESTS_KERNEL_LOG_H

#include <stdbool.h>

void kernel_log_from_now(void);
bool kernel_log_says(void *words);

#endif
