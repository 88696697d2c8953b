// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "vm.h"

#define CONTROL_SLOT	31
#define MAX_FAILURES	1000	/* of KVM_RUN in one command, for want of memory */

/**
 * vm_alloc_control() - memory for a control slot
 *
 * Shared with children: made before the VM's process, it is seen from both.
 *
 * Return: the memory, or NULL.
 */
void *vm_alloc_control(void)
{
	void *control = mmap(NULL, GUEST_CONTROL, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return control == MAP_FAILED ? NULL : control;
}

static int arm_userfault(void *ram, size_t bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)ram, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	/* Stays open: closing it would disarm. */
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

static int bind_numa(void *ram, size_t bytes)
{
	unsigned long nodes = 1;

	return syscall(SYS_mbind, ram, bytes, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0) ?
	       -errno : 0;
}

/**
 * vm_map_ram() - memory, as a VMM would make it
 * @bytes: how much, any multiple of the page size
 * @backing: what of
 * Return: the memory, 2 MiB aligned; NULL and errno.
 */
void *vm_map_ram(size_t bytes, enum vm_backing backing)
{
	int flags = MAP_FIXED, fd = -1, err = 0;
	uint8_t *ram;

	/*
	 * As QEMU does: with inaccessible memory around it, so that it does not
	 * join another mapping, to which something may have been written.
	 */
	ram = mmap(NULL, bytes + 3 * HUGE_SIZE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		return NULL;
	ram += 2 * HUGE_SIZE - (unsigned long)ram % HUGE_SIZE;
	switch (backing) {
	case VM_HUGETLB:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
		break;
	case VM_MEMFD:
	case VM_MEMFD_PRIVATE:
		flags |= backing == VM_MEMFD ? MAP_SHARED : MAP_PRIVATE;
		fd = memfd_create("ram", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, bytes))
			return NULL;
		break;
	default:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	}
	ram = mmap(ram, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	if (ram == MAP_FAILED)
		return NULL;
	switch (backing) {
	case VM_LOCKED:
		err = mlock(ram, bytes) ? -errno : 0;
		break;
	case VM_POPULATED:
		*(volatile uint64_t *)(ram + bytes / 2) = 0;
		break;
	case VM_USERFAULT:
		err = arm_userfault(ram, bytes);
		break;
	case VM_NUMA:
		err = bind_numa(ram, bytes);
		break;
	case VM_READ_ONLY:
		err = mprotect(ram, bytes, PROT_READ) ? -errno : 0;
		break;
	default:
		break;
	}
	if (!err)
		return ram;
	munmap(ram, bytes);
	errno = -err;
	return NULL;
}

static int set_slot(struct vm *vm, unsigned int slot, uint64_t gpa, void *start, size_t bytes,
		    uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (unsigned long)start,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/**
 * vm_set_slot() - give memory to KVM
 * @vm: the VM
 * @slot: number of the slot
 * @gpa: guest physical address
 * @start: the memory
 * @bytes: how much; 0 deletes the slot
 * Return: 0 or a negative errno.
 */
int vm_set_slot(struct vm *vm, unsigned int slot, uint64_t gpa, void *start, size_t bytes)
{
	return set_slot(vm, slot, gpa, start, bytes, 0);
}

/**
 * vm_set_ram_slots() - give RAM to KVM, in as many slots as configured
 * @vm: the VM
 * Return: 0 or a negative errno.
 */
int vm_set_ram_slots(struct vm *vm)
{
	unsigned int i, n = vm->config.slots ?: 1;
	size_t bytes = vm->config.pages / n * PAGE_SIZE;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = vm_set_slot(vm, i, GUEST_RAM + i * bytes, vm->view.ram + i * bytes, bytes);
	return err;
}

/* The first 4 GiB one to one, in pages of 2 MiB, which every processor has. */
static void write_page_tables(uint8_t *control)
{
	uint64_t *pml4 = (uint64_t *)(control + GUEST_TABLES);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512;
	uint64_t address;
	int i;

	pml4[0] = (GUEST_TABLES + PAGE_SIZE) | 7;
	for (i = 0; i < 4; i++)
		pdpt[i] = (GUEST_TABLES + (2 + i) * PAGE_SIZE) | 7;
	for (address = 0; address < 4096 * MiB; address += HUGE_SIZE)
		pd[address / HUGE_SIZE] = address | 0x87;
}

/**
 * vm_control_intact() - are the guest's code and page tables what they were?
 * @control: the control slot
 *
 * They are in memory that is never adopted.
 *
 * Return: true if they are.
 */
bool vm_control_intact(const uint8_t *control)
{
	const size_t tables = GUEST_AREAS - GUEST_TABLES;
	uint8_t *fresh = calloc(1, GUEST_AREAS);
	bool intact;

	if (!fresh)
		return false;
	write_page_tables(fresh);
	/* The processor sets accessed and dirty bits. */
	for (size_t i = 0; i < tables / 8; i++) {
		uint64_t *was = (uint64_t *)(fresh + GUEST_TABLES) + i;

		*was |= ((const uint64_t *)(control + GUEST_TABLES))[i] & 0x60;
	}
	intact = !memcmp(control + GUEST_CODE, guest_blob, guest_blob_end - guest_blob) &&
		 !memcmp(control + GUEST_TABLES, fresh + GUEST_TABLES, tables);
	free(fresh);
	return intact;
}

/**
 * vm_emulated() - is the host's processor an emulated one?
 * Return: true if it is.
 */
bool vm_emulated(void)
{
	char line[256];
	bool tcg = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && !tcg && fgets(line, sizeof(line), f))
		tcg = strstr(line, "QEMU TCG");
	if (f)
		fclose(f);
	return tcg;
}

static void code_segment(struct kvm_segment *s)
{
	*s = (struct kvm_segment){
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1,
		.g = 1,
	};
}

static void data_segment(struct kvm_segment *s)
{
	*s = (struct kvm_segment){
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1,
		.g = 1,
	};
}

static int set_cpuid(struct vm *vm, int fd)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = { .head.nent = 256 };

	if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) ||
	    ioctl(fd, KVM_SET_CPUID2, &cpuid))
		return -errno;
	return 0;
}

static int set_registers(int fd, unsigned long area)
{
	struct kvm_regs regs = {
		.rip = GUEST_CODE,
		/* Interrupts are on; there is nothing to send one. */
		.rflags = 0x202,
		.rdi = area,
		/* As after a call. */
		.rsp = area + GUEST_AREA_SIZE - 8,
	};
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cr3 = GUEST_TABLES;
	sregs.cr4 = 0x20;		/* PAE */
	sregs.cr0 = 0x80010033;		/* PG, WP, NE, ET, MP, PE */
	sregs.efer = 0x500;		/* LMA, LME */
	code_segment(&sregs.cs);
	data_segment(&sregs.ds);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) || ioctl(fd, KVM_SET_REGS, &regs))
		return -errno;
	return 0;
}

/* With allocations failing on purpose (selftests/run --faults) it is worth another try. */
static bool try_again(unsigned int *failures)
{
	if (errno == EINTR || errno == EAGAIN)
		return true;
	return getenv("MRM_FAULTS") && (errno == EFAULT || errno == ENOMEM) &&
	       ++*failures < MAX_FAILURES;
}

/* Run until the guest asks for a command. */
static int run(struct vm_vcpu *vcpu)
{
	unsigned int failures = 0;

	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (try_again(&failures))
				continue;
			return -errno;
		}
		if (vcpu->run->exit_reason == KVM_EXIT_INTR)
			continue;
		if (vcpu->run->exit_reason == KVM_EXIT_IO &&
		    vcpu->run->io.port == GUEST_PORT)
			return 0;
		tap_note("a vCPU stopped: exit reason %u, internal error %u",
			 vcpu->run->exit_reason, vcpu->run->internal.suberror);
		return -EIO;
	}
}

static int create_vcpu(struct vm *vm, unsigned int i)
{
	struct vm_vcpu *vcpu = &vm->vcpu[i];
	unsigned long area = GUEST_AREAS + i * GUEST_AREA_SIZE;
	int err;

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, i);
	if (vcpu->fd < 0)
		return -errno;
	vcpu->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return -errno;
	vcpu->area = (struct guest_area *)(vm->control + area);
	err = set_cpuid(vm, vcpu->fd) ?: set_registers(vcpu->fd, area);
	/* Up to its first request. */
	return err ?: run(vcpu);
}

/**
 * vm_reset_vcpu() - have a vCPU begin anew, after a command that it cannot end
 * @vm: the VM
 * @i: which vCPU
 * Return: 0 or a negative errno.
 */
int vm_reset_vcpu(struct vm *vm, unsigned int i)
{
	struct vm_vcpu *vcpu = &vm->vcpu[i];
	int err = set_registers(vcpu->fd, GUEST_AREAS + i * GUEST_AREA_SIZE) ?: run(vcpu);

	vcpu->pending = err;
	return err;
}

/**
 * vm_create() - make a VM in this process
 * @vm: what to fill in
 * @config: how it is to be
 * @control: from vm_alloc_control()
 * Return: 0 or a negative errno.
 */
int vm_create(struct vm *vm, const struct vm_config *config, void *control)
{
	uint64_t identity_map = 0xfffbc000;
	unsigned int i;
	int err;

	memset(vm, 0, sizeof(*vm));
	vm->config = *config;
	vm->control = control;
	vm->view = vm_control_view(control);
	vm->view.ram = vm_map_ram(config->pages * PAGE_SIZE, config->backing);
	if (!vm->view.ram)
		return -errno;
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return -errno;
	vm->run_bytes = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0 || vm->run_bytes < 0)
		return -errno;
	/* Intel's need these before the first vCPU; others do not mind. */
	ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	ioctl(vm->fd, KVM_SET_TSS_ADDR, identity_map + PAGE_SIZE);

	if (config->irqchip && ioctl(vm->fd, KVM_CREATE_IRQCHIP))
		return -errno;
	memcpy(vm->control + GUEST_CODE, guest_blob, guest_blob_end - guest_blob);
	write_page_tables(vm->control);
	err = vm_set_slot(vm, CONTROL_SLOT, 0, vm->control, GUEST_CONTROL);
	if (!err && !config->no_slots)
		err = vm_set_ram_slots(vm);
	for (i = 0; i < (config->vcpus ?: 1) && !err; i++)
		err = create_vcpu(vm, i);
	return err;
}

/**
 * vm_create_twin() - make a second VM with the same RAM, at the same place in the guest
 * @twin: what to fill in; it knows what the RAM holds now
 * @vm: a VM of this process
 *
 * With KVM's own local APIC, for which it has a slot of its own on Intel; that goes while the
 * struct kvm is being destroyed.
 *
 * Return: 0 or a negative errno.
 */
int vm_create_twin(struct vm *twin, const struct vm *vm)
{
	const struct vm_config config = {
		.pages = vm->config.pages, .no_slots = true, .irqchip = true,
	};
	void *control = vm_alloc_control();
	size_t i;
	int err;

	if (!control)
		return -ENOMEM;
	err = vm_create(twin, &config, control);
	if (err)
		return err;
	twin->view.ram = vm->view.ram;
	for (i = 0; i < config.pages; i++) {
		twin->view.states[i] = vm->view.states[i];
		twin->view.owners[i] = vm->view.owners[i];
	}
	return vm_set_ram_slots(twin);
}

/**
 * vm_end() - let KVM destroy the VM; its RAM stays in the process
 * @vm: the VM
 * Return: 0 or a negative errno.
 */
int vm_end(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < (vm->config.vcpus ?: 1); i++)
		if (munmap(vm->vcpu[i].run, vm->run_bytes) || close(vm->vcpu[i].fd))
			return -errno;
	return close(vm->fd) || close(vm->kvm) ? -errno : 0;
}

static void report(const char *who, const struct guest_wrong *wrong)
{
	struct pattern p = pattern_of(wrong->state);

	tap_note("%s: page %lu word %lu is %#lx, not %#lx (state %#lx)", who, wrong->page,
		 wrong->word, wrong->got, pattern_word(&p, wrong->word), wrong->state);
}

/**
 * vm_guest() - have the guest do something
 * @vm: the VM
 * @vcpu: which of its vCPUs; each may be used by one thread at a time
 * @work: what
 *
 * If the vCPU stopped with an error in its last command it does that first.
 *
 * Return: 0; 1 if a page was wrong; a negative errno if the vCPU did not run.
 */
int vm_guest(struct vm *vm, unsigned int vcpu, const struct guest_work *work)
{
	struct vm_vcpu *v = &vm->vcpu[vcpu];
	int err;

	if (v->pending) {
		err = run(v);
		if (err)
			return err;
	}
	v->area->work = *work;
	err = run(v);
	v->pending = err;
	if (err)
		return err;
	if (v->area->failed)
		report("guest", &v->area->wrong);
	return v->area->failed;
}

static void woken(int signal)
{
	(void)signal;
}

/**
 * vm_nap() - have a vCPU halt inside KVM_RUN
 * @vm: the VM, with .irqchip
 * @vcpu: which of its vCPUs
 * @ms: for how long
 * Return: 0 or a negative errno.
 */
int vm_nap(struct vm *vm, unsigned int vcpu, unsigned int ms)
{
	const struct guest_work halt = { .command = GUEST_HALT };
	struct kvm_mp_state awake = { .mp_state = KVM_MP_STATE_RUNNABLE };
	/* Again and again: the first may come before the guest halts. */
	const struct itimerspec every = {
		.it_value = { ms / 1000, ms % 1000 * 1000000L },
		.it_interval = { ms / 1000, ms % 1000 * 1000000L },
	};
	struct sigaction action = { .sa_handler = woken };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
		._sigev_un._tid = gettid(),
	};
	struct vm_vcpu *v = &vm->vcpu[vcpu];
	timer_t timer;
	int err = 0;

	v->area->work = halt;
	if (sigaction(SIGUSR1, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		return -errno;
	/* Until it asks for a command. */
	while (ioctl(v->fd, KVM_RUN, 0)) {
		if (errno != EINTR || ioctl(v->fd, KVM_SET_MP_STATE, &awake)) {
			err = -errno;
			break;
		}
	}
	timer_delete(timer);
	return err;
}

/**
 * vm_user() - do the same from user space, as QEMU would
 * @vm: the VM
 * @work: what
 * Return: 0; 1 if a page was wrong.
 */
int vm_user(struct vm *vm, const struct guest_work *work)
{
	struct guest_work copy = *work;

	if (!guest_do(&vm->view, &copy, &vm->wrong))
		return 0;
	report("user space", &vm->wrong);
	return 1;
}

/**
 * vm_log_dirty() - have the slot of all of RAM keep a log of what is written, or not any more
 * @vm: the VM, with one slot
 * @on: a bool
 *
 * For process_call().
 *
 * Return: 0 or a negative errno.
 */
long vm_log_dirty(struct vm *vm, void *on)
{
	return set_slot(vm, 0, GUEST_RAM, vm->view.ram, vm->config.pages * PAGE_SIZE,
			*(bool *)on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

/**
 * vm_discard() - give pages back, as the balloon does
 * @vm: the VM
 * @first: first page
 * @count: how many, in one call
 *
 * Sets their states to that of the zero page.
 *
 * Return: 0 or a negative errno.
 */
int vm_discard(struct vm *vm, size_t first, size_t count)
{
	size_t i;

	for (i = first; i < first + count; i++)
		vm->view.states[i] = 0;
	return madvise(vm_page(vm, first), count * PAGE_SIZE, MADV_DONTNEED) ? -errno : 0;
}
