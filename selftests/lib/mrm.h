/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The module, as a test sees it
 *
 * Files in /sys/kernel/mrm and debugfs.  A file is named relative to
 * /sys/kernel/mrm ("vms"), or below the directory of a VM ("salt").
 */
#ifndef MRM_H
#define MRM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MRM_SYSFS	"/sys/kernel/mrm"
#define MRM_DEBUGFS	"/sys/kernel/debug/mrm"
#define MRM_TEXT	256	/* room for what a file says, and then some */
#define MRM_LONG	mrm_long()	/* ms: what takes longer is stuck, on a slow machine too */

int mrm_long(void);
long now_ms(void);
bool wait_until(bool (*done)(void *context), void *context, int ms);
int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);
pid_t kernel_thread(const char *name);

long mrm_get(const char *file);
int mrm_set(const char *file, const char *text);
int mrm_set_number(const char *file, long value);
bool mrm_wait(const char *file, long low, long high, int ms);
bool mrm_wait_count(const char *file, long low, long high, int ms);

bool mrm_state_is(const char *word);
bool mrm_wait_state(const char *word, int ms);

long mrm_vm_get(pid_t pid, const char *file);
char *mrm_vm_text(pid_t pid, const char *file, char buf[MRM_TEXT]);
int mrm_vm_set(pid_t pid, const char *file, const char *text);
bool mrm_vm_wait(pid_t pid, const char *file, long low, long high, int ms);

int mrm_debug_read(const char *file, char *buf, size_t size);
int mrm_debug_write(const char *file, const char *text);
int mrm_vm_reclaim(pid_t pid, long bytes);
char *mrm_vm_range(pid_t pid, const void *start, char buf[MRM_TEXT]);

long kvm_large_mappings(void);

bool mrm_loaded(void);
bool mrm_gone(void);
int mrm_load(void);
int mrm_unload(void);
bool mrm_unload_wait(int ms);

bool mrm_large(void);
void mrm_without_large(void);
size_t mrm_touched_pages(size_t first, size_t count);

void mrm_begin(void);
void mrm_tune(void);
bool mrm_full_pass(void);
void mrm_settle(void);
unsigned int mrm_share_all(void);
bool mrm_check(const char *when);
bool mrm_nothing_left(const char *when);
bool mrm_reload(const char *when);

#endif
