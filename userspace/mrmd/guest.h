/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_GUEST_H
#define MRMD_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "balloon.h"
#include "settings.h"
#include "vm.h"

struct guest;

/**
 * struct guest_driver - how a guest's balloon is reached
 * @name: for people
 * @set: have the guest keep so many bytes; guest_set_done() follows
 * @look: ask for the driver; guest_looked() follows
 *
 * Neither is called again before what follows has followed.
 */
struct guest_driver {
	const char *name;
	void (*set)(struct guest *guest, uint64_t keep);
	void (*look)(struct guest *guest);
};

/**
 * struct guest - a guest whose balloon is ours to drive
 * @next: another one, or NULL
 * @name: of the domain, or of the VM when it has none
 * @pid: of its QEMU process; 0 while it is not known
 * @driver: how it is reached
 * @handle: the driver's
 * @seen: libvirt said that it started, and the kernel has not had it in its list since
 * @known: the driver has told about it
 * @vm: what the kernel knows it as, valid while @listed
 * @listed: the kernel has it in its list
 * @pinned: nothing can be taken from it, as it is locked or has a device
 * @element: its XML says something about its memory
 * @settings: what it says
 * @managed: settings of it were applied, so their absence means the defaults
 * @sharing_said: it said something of share= when that was applied
 * @sharing_busy: that is being done
 * @sharing_unsure: and failed, or somebody before us may have
 * @salt_later: its salt waits for that
 * @large: it said something of large= when that was applied
 * @current: what it starts with, in bytes, if that is less than its size; or 0
 * @limited: that was applied as its max
 * @refused: there was no room for its min
 * @small: its min or max was more than the RAM that the kernel knew
 * @size: which was so many bytes
 * @balloon: its balloon
 * @aimed: the kernel says where its balloon shall go
 * @steered: its balloon has been told something by us
 * @busy: a call is under way
 * @hold: what the kernel wants its balloon to hold, in bytes
 * @told_bytes: what the kernel was last told that it holds
 * @told_state: and how it is
 */
struct guest {
	struct guest *next;
	char *name;
	pid_t pid;
	const struct guest_driver *driver;
	void *handle;
	bool seen;
	bool known;
	struct mrm_vm vm;
	bool listed;
	bool pinned;
	bool element;
	struct mrm_settings settings;
	bool managed;
	bool sharing_said;
	bool sharing_busy;
	bool sharing_unsure;
	bool salt_later;
	bool large;
	uint64_t current;
	bool limited;
	bool refused;
	bool small;
	uint64_t size;
	struct balloon balloon;
	bool aimed;
	bool steered;
	bool busy;
	uint64_t hold;
	uint64_t told_bytes;
	enum balloon_state told_state;
};

/**
 * struct guest_news - what a driver has learnt about a guest
 * @pid: of its QEMU process
 * @size: memory of the VM, in bytes
 * @actual: what it has now, in bytes
 * @device: it has a balloon
 * @pinned: nothing can be taken from it, as it is locked or has a device
 * @element: its XML says something about its memory
 * @settings: what it says
 * @current: what it starts with, in bytes, if that is less than its size; or 0
 */
struct guest_news {
	pid_t pid;
	uint64_t size;
	uint64_t actual;
	bool device;
	bool pinned;
	bool element;
	struct mrm_settings settings;
	uint64_t current;
};

extern struct guest *guests;

int guests_init(void);
struct guest *guest_new(const char *name, const struct guest_driver *driver, void *handle);
void guest_drop(struct guest *guest);
void guest_news(struct guest *guest, const struct guest_news *news);
void guest_actual(struct guest *guest, uint64_t actual);
void guest_rebooted(struct guest *guest);
void guest_set_done(struct guest *guest, const char *problem);
void guest_looked(struct guest *guest, const uint64_t *last_update);

void guest_apply(struct guest *guest);

void guests_module(void);
void guests_vms(void);
void guests_balance(void);
void guests_swap(void);
bool guests_settled(const struct mrm_vm *vm);
bool guests_pinned(const struct mrm_vm *vm);

uint64_t now_ms(void);

#endif
