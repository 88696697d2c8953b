/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_TEXT_H
#define MRM_TEXT_H

#include <stddef.h>
#include <stdint.h>

int mrm_parse_u64(const char *text, uint64_t *value);
int mrm_parse_size(const char *text, uint64_t *bytes);
int mrm_parse_seconds(const char *text, uint64_t *ms);

size_t mrm_utf8_decode(const char *text, uint32_t *code);

size_t mrm_escape(char *to, size_t size, const char *from);
char *mrm_escape_dup(const char *from);

size_t mrm_text_width(const char *text);
size_t mrm_text_clip(const char *text, size_t columns);

#endif
