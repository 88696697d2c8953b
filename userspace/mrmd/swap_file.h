/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_SWAP_FILE_H
#define MRMD_SWAP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for a name that swap_file_name() makes. */
#define SWAP_NAME_MAX 128

int swap_file_name(char name[SWAP_NAME_MAX], const char *vm, pid_t pid);
bool swap_file_is(const char *name);
int swap_file_make(int dir, const char *name, uint64_t bytes);
int swap_file_grow(int dir, const char *name, uint64_t bytes);
int swap_file_wipe(int dir, const char *name);
int swap_directory_open(const char *path, char *why, size_t size);
uint64_t swap_directory_free(int dir);

#endif
