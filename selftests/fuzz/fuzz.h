/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: The fuzzer
 *
 * Random operations, legal and illegal, on the RAM of some VMs: what a hostile
 * VMM's process can do to its memory, its memory slots and itself, and what others
 * can do to it from outside.  A model (model.c) says after each what every page
 * must hold.
 *
 * RAM is at the same address in every VM, low, so that nothing else is ever
 * mapped into its holes.  Its end is not fuzzed as the rest is: vCPU 1 churns it
 * in a thread of its own, see guest.h.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "vm.h"

#define FUZZ_BASE	((uint8_t *)0x100000000000UL)
#define FUZZ_PAGES	2048U
#define FUZZ_OPEN	1536U	/* of these, to which anything may be done */
#define FUZZ_CHUNK	512U	/* pages; RAM is in slots of this size, as a rule */
#define FUZZ_KEYS	48	/* different contents; so, pages become equal */
#define FUZZ_SLOTS	8U
#define FUZZ_CHILDREN	8U
#define FUZZ_WRONG	(-10000L)	/* what an operation returns that found a fault */
#define FUZZ_VM_EXIT	7	/* exit status of a VM that found one in a signal handler */
#define FUZZ_SWAP	"/dev/ram%u"	/* from 1 */

/**
 * struct fuzz_page - what a page of RAM must hold
 * @state: this, see pattern.h
 * @alt: or this, if @has_alt
 * @lazy: which of the two it is may still change, from @state to @alt
 * @unknown: anything
 */
struct fuzz_page {
	uint64_t state, alt;
	bool has_alt, lazy, unknown;
};

/**
 * struct fuzz_map - how a page of RAM is mapped, by /proc/PID/maps
 * @mapped: at all
 * @ours: by the module
 * @anon: private anonymous memory
 * @shared: MAP_SHARED, and not ours
 * @prot: PROT_*
 */
struct fuzz_map {
	bool mapped, ours, anon, shared;
	uint8_t prot;
};

/**
 * struct fuzz_slot - a memory slot
 * @present: there is one
 * @flags: KVM_MEM_*
 * @gpa: where the guest sees it, in pages from GUEST_RAM
 * @first: its first page of RAM
 * @pages: how many
 * @dirty: those the guest has written to since the log was read last
 */
struct fuzz_slot {
	bool present;
	uint32_t flags;
	uint64_t gpa;
	uint32_t first, pages;
	bool dirty[FUZZ_PAGES];
};

/**
 * struct fuzz_vm - the model of a VM, which its process and the test share
 * @page: what RAM must hold
 * @writes: how often that was changed
 * @map: how it was mapped after the last operation
 * @slot: memory slots
 * @disk: what was written to its part of the disk
 * @disk_known: whether that is known
 * @no_kvm: the process has closed its VM
 * @sealed: part of RAM is sealed, mseal()
 * @future: the process has called mlockall(MCL_FUTURE)
 * @churn: vCPU 1 churns
 * @churn_error: what it came back with
 * @vcpu_stopped: a vCPU stopped with what KVM does not know how to go on from
 * @child: children and others that live on
 * @wrong_page: where something was found wrong
 * @wrong: what
 * @detail: of the last operation, for people
 * @also_first: another range that it was done to
 * @also_count: pages of it
 */
struct fuzz_vm {
	struct fuzz_page page[FUZZ_PAGES];
	unsigned int writes[FUZZ_PAGES];
	struct fuzz_map map[FUZZ_PAGES];
	struct fuzz_slot slot[FUZZ_SLOTS];
	uint64_t disk[FUZZ_PAGES];
	bool disk_known[FUZZ_PAGES];
	bool no_kvm, sealed, future, vcpu_stopped;
	volatile bool churn;
	volatile long churn_error;
	pid_t child[FUZZ_CHILDREN];
	long wrong_page;
	char wrong[160], detail[48];
	size_t also_first, also_count;
};

/**
 * struct fuzz - an operation on a VM
 * @v: the model
 * @vm: the VM, if the operation runs in its process
 * @pid: that process
 * @index: number of the VM in the test
 * @seed: all that is random comes from it
 * @first: first page
 * @count: how many
 */
struct fuzz {
	struct fuzz_vm *v;
	struct vm *vm;
	pid_t pid;
	unsigned int index;
	uint64_t seed;
	size_t first, count;
};

/**
 * enum fuzz_traits - of an operation
 * @FUZZ_OUTSIDE: it runs in the test's process, not in the VM's
 * @FUZZ_REMAPS: how RAM is mapped may change
 * @FUZZ_ANYWHERE: contents stay, so it may be done to pages that are churned
 * @FUZZ_MUST: it must succeed now and then
 */
enum fuzz_traits {
	FUZZ_OUTSIDE = 1,
	FUZZ_REMAPS = 2,
	FUZZ_ANYWHERE = 4,
	FUZZ_MUST = 8,
};

/**
 * struct fuzz_op - a kind of operation
 * @name: for people
 * @weight: how often, relative to others
 * @traits: enum fuzz_traits
 * @run: does it, and tells the model; returns 0 or more, a negative errno, or
 *	FUZZ_WRONG
 */
struct fuzz_op {
	const char *name;
	unsigned int weight, traits;
	long (*run)(struct fuzz *f);
};

extern const struct fuzz_op fuzz_memory_ops[], fuzz_advice_ops[], fuzz_guest_ops[];
extern const struct fuzz_op fuzz_io_ops[], fuzz_process_ops[], fuzz_outside_ops[];

/* model.c */
uint64_t fuzz_state(struct fuzz *f);
uint64_t fuzz_state_next(uint64_t state, size_t i);
void fuzz_set(struct fuzz *f, size_t page, uint64_t state);
void fuzz_move(struct fuzz *f, size_t page, const struct fuzz_page *from);
void fuzz_or(struct fuzz *f, size_t page, uint64_t alt, bool lazy);
long fuzz_verify(struct fuzz *f, size_t first, size_t count);
long fuzz_check(struct fuzz *f, size_t page, const uint64_t *contents, const char *who);
long fuzz_wrong(struct fuzz *f, size_t page, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void fuzz_detail(struct fuzz *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int fuzz_read_map(pid_t pid, struct fuzz_map *map);
bool fuzz_all(struct fuzz *f, bool (*is)(const struct fuzz_map *map));
bool fuzz_is_mapped(const struct fuzz_map *map);
bool fuzz_is_ours(const struct fuzz_map *map);
long fuzz_must_fail(struct fuzz *f, long result);
long fuzz_must_work(struct fuzz *f, long result);

/* guest_ops.c */
long fuzz_start_vm(struct vm *vm, struct fuzz *f);
long fuzz_guest_verify(struct fuzz *f);
long fuzz_stop_churn(struct fuzz *f);
int fuzz_set_slot(struct fuzz *f, unsigned int id, const struct fuzz_slot *slot);

/* process_ops.c */
void fuzz_on_signals(struct fuzz_vm *v);
int fuzz_signal_of(void (*touch)(void *), void *arg);

static inline uint32_t fuzz_random(struct fuzz *f, uint32_t n)
{
	return pattern_random(&f->seed, n);
}

static inline uint8_t *fuzz_address(size_t page)
{
	return FUZZ_BASE + page * PAGE_SIZE;
}

static inline long fuzz_result(long result)
{
	return result < 0 ? -errno : result;
}

#endif
