/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_LOG_H
#define MRMD_LOG_H

#include <systemd/sd-daemon.h>

/* The priorities are SD_ERR, SD_WARNING, SD_NOTICE, SD_INFO, SD_DEBUG: a prefix of the line. */
void log_line(const char *priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(SD_ERR, __VA_ARGS__)
#define log_warning(...) log_line(SD_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(SD_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(SD_INFO, __VA_ARGS__)

#endif
