/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TREE_H
#define TREE_H

#include <sys/types.h>

/**
 * struct tree - a made-up copy of the kernel's files
 * @base: a fresh directory
 * @path: the copy of /sys/kernel/mrm in it
 */
struct tree {
	char base[64];
	char path[96];
};

void tree_make(struct tree *tree);
void tree_remove(struct tree *tree);
void tree_write(const struct tree *tree, const char *file, const char *text);
void tree_read(const struct tree *tree, const char *file, char *text, size_t size);
void tree_add_vm(const struct tree *tree, pid_t pid, const char *name, unsigned long shared);
void tree_remove_vm(const struct tree *tree, pid_t pid);

#endif
