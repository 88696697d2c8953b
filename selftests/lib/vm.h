/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: A tiny VM
 *
 * A VM with RAM and some vCPUs, driven through /dev/kvm, in the process that
 * calls.  The module takes a process for a VM, so tests run each in a process
 * of its own: vm_process.h.
 */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"

#define MiB		0x100000UL
#define HUGE_SIZE	(2 * MiB)

/**
 * enum vm_backing - what RAM is made of
 * @VM_ANON: private anonymous memory, 2 MiB aligned, as QEMU's
 * @VM_HUGETLB: MAP_HUGETLB
 * @VM_MEMFD: shared mapping of a memfd
 * @VM_MEMFD_PRIVATE: private mapping of a memfd
 * @VM_LOCKED: anonymous, mlock()ed
 * @VM_POPULATED: anonymous, one word of it written
 * @VM_USERFAULT: anonymous, armed with userfaultfd
 * @VM_NUMA: anonymous, with a NUMA policy
 * @VM_READ_ONLY: anonymous, not writable
 */
enum vm_backing {
	VM_ANON,
	VM_HUGETLB,
	VM_MEMFD,
	VM_MEMFD_PRIVATE,
	VM_LOCKED,
	VM_POPULATED,
	VM_USERFAULT,
	VM_NUMA,
	VM_READ_ONLY,
};

/**
 * struct vm_config - how a VM is to be
 * @pages: of RAM
 * @vcpus: how many, 0 = 1
 * @backing: what RAM is made of
 * @slots: memory slots that RAM is divided into, equally; 0 = 1
 * @no_slots: RAM is not given to KVM yet; see vm_set_slot()
 * @irqchip: KVM emulates interrupt controllers, and halts inside KVM_RUN
 */
struct vm_config {
	size_t pages;
	unsigned int vcpus;
	enum vm_backing backing;
	unsigned int slots;
	bool no_slots;
	bool irqchip;
};

struct kvm_run;

/**
 * struct vm - a VM
 * @config: how it was to be
 * @kvm: file descriptor of /dev/kvm
 * @fd: file descriptor of the VM
 * @control: the control slot, see guest.h
 * @view: RAM and its tables, in this process
 * @run_bytes: size of a struct kvm_run
 * @vcpu: its vCPUs; @pending: one that stopped in the middle of a command
 * @wrong: what the last vm_user() found wrong
 */
struct vm {
	struct vm_config config;
	int kvm, fd;
	uint8_t *control;
	struct guest_view view;
	int run_bytes;
	struct vm_vcpu {
		int fd;
		struct kvm_run *run;
		struct guest_area *area;
		bool pending;
	} vcpu[GUEST_VCPUS];
	struct guest_wrong wrong;
};

void *vm_alloc_control(void);
bool vm_control_intact(const uint8_t *control);
bool vm_emulated(void);
int vm_create(struct vm *vm, const struct vm_config *config, void *control);
int vm_create_twin(struct vm *twin, const struct vm *vm);
int vm_set_slot(struct vm *vm, unsigned int slot, uint64_t gpa, void *start, size_t bytes);
int vm_set_ram_slots(struct vm *vm);
void *vm_map_ram(size_t bytes, enum vm_backing backing);
int vm_reset_vcpu(struct vm *vm, unsigned int i);
int vm_end(struct vm *vm);
int vm_guest(struct vm *vm, unsigned int vcpu, const struct guest_work *work);
int vm_nap(struct vm *vm, unsigned int vcpu, unsigned int ms);
int vm_user(struct vm *vm, const struct guest_work *work);
long vm_log_dirty(struct vm *vm, void *on);
int vm_discard(struct vm *vm, size_t first, size_t count);

static inline uint8_t *vm_page(const struct vm *vm, size_t page)
{
	return vm->view.ram + page * PAGE_SIZE;
}

static inline struct guest_view vm_control_view(uint8_t *control)
{
	return (struct guest_view){
		.states = (uint64_t *)(control + GUEST_STATES),
		.owners = control + GUEST_OWNERS,
	};
}

#endif
