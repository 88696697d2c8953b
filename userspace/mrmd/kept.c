// SPDX-License-Identifier: GPL-2.0
/*
 * What VMs that run keep whatever their mins, as nothing can be taken from them, or there is no
 * swap.  The kernel promises mins only: it cannot know whether a file is about to be handed over.
 */
#include <string.h>

#include "admission.h"
#include "balloon.h"
#include "guest.h"
#include "kept.h"
#include "log.h"
#include "module.h"
#include "swap.h"
#include "vm.h"

/* What is read of each VM. */
#define WANT                                                                        \
	(MRM_WANT(MRM_VM_SIZE_BYTES) | MRM_WANT(MRM_VM_MIN_BYTES) |                 \
	 MRM_WANT(MRM_VM_ADOPTED_BYTES) | MRM_WANT(MRM_VM_CONSUMED_BYTES) |         \
	 MRM_WANT(MRM_VM_SWAPPED_PAGES) | MRM_WANT(MRM_VM_SWAP_FREE_PAGES) |        \
	 MRM_WANT(MRM_VM_SWAP_CACHED_PAGES) | MRM_WANT_TEXT(MRM_VM_BALLOON_STATE) | \
	 MRM_WANT_TEXT(MRM_VM_STATE))

/**
 * kept_reach() - how far the host gets
 * @reach: receives it
 *
 * Return: false when the module does not say.
 */
bool kept_reach(struct admission_reach *reach)
{
	reach->swap = swap_is_used();
	return module_root() &&
	       !mrm_read_u64(module_root()->fd, "balloon_max", &reach->balloon_max) &&
	       !mrm_read_u64(module_root()->fd, "zip_max", &reach->zip_max);
}

static bool is_in(const struct mrm_vm *vm, enum balloon_state state)
{
	return !strcmp(vm->text[MRM_VM_BALLOON_STATE], balloon_state_names[state]);
}

/* It has one that works, that boots, or that may listen again. */
static bool has_balloon(const struct mrm_vm *vm)
{
	return is_in(vm, BALLOON_OK) || is_in(vm, BALLOON_BOOTING) ||
	       is_in(vm, BALLOON_UNRESPONSIVE);
}

/* Nothing that is locked is discarded, zipped or swapped, nor what a device may reach. */
static bool keeps_all(const struct mrm_vm *vm)
{
	static const char *const states[] = { "locked", "pinned", "device assigned" };
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(vm->text[MRM_VM_STATE], states[i]))
			return true;
	return guests_pinned(vm);
}

/**
 * kept_by() - what a VM that runs keeps, whatever its min
 * @vm: the VM
 * @reach: from kept_reach()
 *
 * Return: bytes.
 */
uint64_t kept_by(const struct mrm_vm *vm, const struct admission_reach *reach)
{
	struct admission_reach own = *reach;
	const uint64_t *value = vm->value;
	uint64_t file = (value[MRM_VM_SWAPPED_PAGES] + value[MRM_VM_SWAP_FREE_PAGES] +
			 value[MRM_VM_SWAP_CACHED_PAGES]) *
			MRM_PAGE_SIZE;
	uint64_t kept;

	/* Of huge pages and the like nothing can be taken. */
	if (!value[MRM_VM_ADOPTED_BYTES])
		return value[MRM_VM_CONSUMED_BYTES];
	if (keeps_all(vm))
		return value[MRM_VM_SIZE_BYTES];
	/* A file has room for what it has been made for, until it has been made larger. */
	own.swap &= !file && !swap_is_missing(vm);
	kept = admission_kept(value[MRM_VM_SIZE_BYTES], has_balloon(vm), &own);
	return kept > file ? kept - file : 0;
}

/**
 * kept_beyond_mins() - what VMs that run keep beyond their mins
 * @reach: from kept_reach()
 * @pid: of one whose min is about to change, or 0
 * @min: what it will be, in bytes
 * @covered: receives whether that costs nothing, as it keeps that much anyway
 *
 * A guest that libvirt has not told of yet has what it was promised.
 *
 * Return: bytes.
 */
uint64_t kept_beyond_mins(const struct admission_reach *reach, pid_t pid, uint64_t min,
			  bool *covered)
{
	struct mrm_vms vms = { 0 };
	uint64_t sum = 0;
	int error;
	size_t i;

	*covered = false;
	error = mrm_vms_read(module_root(), &vms, WANT);
	if (error)
		log_error("the list of VMs: %s", strerror(-error));
	for (i = 0; !error && i < vms.count; i++) {
		const struct mrm_vm *vm = &vms.vm[i];
		uint64_t kept = kept_by(vm, reach);
		uint64_t promised = vm->pid == pid ? min : vm->value[MRM_VM_MIN_BYTES];

		*covered |= vm->pid == pid && min <= kept;
		if (guests_settled(vm))
			sum += kept > promised ? kept - promised : 0;
	}
	mrm_vms_free(&vms);
	return sum;
}
