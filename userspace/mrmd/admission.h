/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMD_ADMISSION_H
#define MRMD_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "domain_xml.h"
#include "swap.h"

/* A start that was admitted and never showed up is forgotten after so long. */
#define ADMISSION_MS 600000

/**
 * struct admitted - a guest that may start, and whose min the kernel does not know yet
 * @next: one admitted before, or NULL
 * @name: of the guest
 * @bytes: what it takes of the unreserved memory
 * @swap: what its swap file takes, in bytes
 * @until_ms: when it is forgotten
 */
struct admitted {
	struct admitted *next;
	char *name;
	uint64_t bytes;
	uint64_t swap;
	uint64_t until_ms;
};

/**
 * struct admission_reach - what can be taken from a VM, unless nothing can
 * @swap: all, as there are swap files
 * @balloon_max: what a balloon may hold at the most, per cent of its size
 * @zip_max: memory of the compression at the most, likewise
 */
struct admission_reach {
	bool swap;
	uint64_t balloon_max;
	uint64_t zip_max;
};

/**
 * struct admission_host - what there is for a guest that is to start
 * @unreserved: what the mins of VMs that run leave, in bytes, or NULL when the
 *              module does not say
 * @swap: what the files of VMs that run leave, or NULL when there is no swap
 * @reach: what can be taken from guests, or NULL when the module does not say
 * @kept: what VMs that run keep beyond their mins, in bytes
 */
struct admission_host {
	const uint64_t *unreserved;
	const struct swap_room *swap;
	const struct admission_reach *reach;
	uint64_t kept;
};

uint64_t admission_overhead(uint64_t size);
uint64_t admission_kept(uint64_t size, bool balloon, const struct admission_reach *reach);
int admission_ask(struct admitted **list, const struct mrm_domain *domain,
		  const struct admission_host *host, uint64_t now, char why[MRM_WHY_MAX]);
uint64_t admission_promised(struct admitted **list, uint64_t now);
bool admission_done(struct admitted **list, const char *name);

int admission_save(const struct admitted *list, const char *path);
int admission_load(struct admitted **list, const char *path);

#endif
