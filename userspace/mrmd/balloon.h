/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_BALLOON_H
#define MRMD_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

/**
 * enum balloon_state - what is known of a guest's balloon
 * @BALLOON_NONE: nobody drives it
 * @BALLOON_ABSENT: the VM has no balloon
 * @BALLOON_DRIVERLESS: no driver in the guest for BALLOON_BOOT_MS
 * @BALLOON_BOOTING: no driver in the guest so far
 * @BALLOON_UNRESPONSIVE: the guest has ignored a target for BALLOON_PATIENCE_MS
 * @BALLOON_OK: it goes where it is told to
 */
enum balloon_state {
	BALLOON_NONE,
	BALLOON_ABSENT,
	BALLOON_DRIVERLESS,
	BALLOON_BOOTING,
	BALLOON_UNRESPONSIVE,
	BALLOON_OK,
};

/* A guest that has not moved towards its target for so long ignores it (xapi's squeezed). */
#define BALLOON_PATIENCE_MS 20000

/* Without a driver for so long it is no longer booting. */
#define BALLOON_BOOT_MS 300000

/* How much a target is away from where the balloon is: adapted between these, in bytes. */
#define BALLOON_STEP_MIN (16ull << 20)
#define BALLOON_STEP_FIRST (64ull << 20)
#define BALLOON_STEP_MAX (1ull << 30)

/* So near is there: a guest is often a few pages short.  Bytes. */
#define BALLOON_NEAR (1ull << 20)

/**
 * struct balloon - the balloon of a guest, and how far it has come
 * @size: memory of the VM, in bytes
 * @device: it has a balloon
 * @driver: there is a driver in the guest
 * @goal: what the guest is to keep in the end, in bytes
 * @actual: what it has now, in bytes
 * @asked: target that it was last given, in bytes; 0: none
 * @nearest: least distance from @asked so far, in bytes
 * @step: how far away the next target may be, in bytes
 * @asked_ms: when @asked was set
 * @moved_ms: when it last came nearer to @asked
 * @born_ms: when it began to boot, as far as is known
 * @look_ms: when to look for the driver
 * @retry_ms: when to tell a guest that does not listen again
 * @waits_ms: time between two such tries
 * @stats_before: when the driver before a reboot was last heard, in its seconds
 * @stats: the same, of the one there is
 * @rebooted: it was not looked at since it was rebooted
 * @stale: what the driver before a reboot has last said, in bytes; 0: nothing
 * @unresponsive: it has not listened so far
 * @let_go: it reboots, and shall have all of its memory for that
 *
 * All times are milliseconds of a clock that never goes back.
 */
struct balloon {
	uint64_t size;
	bool device;
	bool driver;
	uint64_t goal;
	uint64_t actual;
	uint64_t asked;
	uint64_t nearest;
	uint64_t step;
	uint64_t asked_ms;
	uint64_t moved_ms;
	uint64_t born_ms;
	uint64_t look_ms;
	uint64_t retry_ms;
	uint64_t waits_ms;
	uint64_t stats_before;
	uint64_t stats;
	bool rebooted;
	uint64_t stale;
	bool unresponsive;
	bool let_go;
};

/**
 * enum balloon_do - what is to be done about a balloon now
 * @BALLOON_REST: nothing
 * @BALLOON_SET: set its target
 * @BALLOON_LOOK: ask whether there is a driver
 */
enum balloon_do {
	BALLOON_REST,
	BALLOON_SET,
	BALLOON_LOOK,
};

/**
 * struct balloon_step - the next thing to do about a balloon
 * @what: to do
 * @keep: with BALLOON_SET, what the guest is to keep, in bytes
 * @again_ms: when to ask again if nothing happens before; 0: no need
 */
struct balloon_step {
	enum balloon_do what;
	uint64_t keep;
	uint64_t again_ms;
};

extern const char *const balloon_state_names[];

void balloon_init(struct balloon *balloon, uint64_t size, uint64_t actual, bool device,
		  uint64_t now);
void balloon_actual(struct balloon *balloon, uint64_t actual, uint64_t now);
void balloon_stats(struct balloon *balloon, uint64_t last_update, uint64_t now);
void balloon_reboot(struct balloon *balloon, uint64_t now);
void balloon_goal(struct balloon *balloon, uint64_t hold, uint64_t min);
bool balloon_gives(const struct balloon *balloon);
enum balloon_state balloon_state(const struct balloon *balloon, uint64_t now);
uint64_t balloon_wait(struct balloon *balloon, uint64_t now);
struct balloon_step balloon_next(struct balloon *balloon, uint64_t credit, uint64_t now);
uint64_t balloon_floor(uint64_t size);

#endif
