// SPDX-License-Identifier: GPL-2.0
/*
 * What the guests do, and what is done to memory slots, to vCPUs, to the VM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define HOME_SLOTS	(FUZZ_PAGES / FUZZ_CHUNK)	/* the last one has what is churned */
#define WINDOW		4096U	/* where a slot may be if not at home: its number times this */

static pthread_t churner;
static struct vm second;	/* another VM in this process, over the same RAM */
static bool has_second;

static long stop_if_broken(struct fuzz *f, long err, size_t page)
{
	if (err == 1)
		return fuzz_wrong(f, page, "page %zu: a guest sees what it must not", page);
	f->v->vcpu_stopped |= err == -EIO;
	if (err)
		return fuzz_wrong(f, page, "a vCPU does not run: %s", strerror(-err));
	return 0;
}

/* Begins anywhere: two slots may have the same page. */
static struct fuzz_slot *slot_of(struct fuzz *f, size_t page, bool write)
{
	unsigned int i, start = fuzz_random(f, FUZZ_SLOTS);
	struct fuzz_slot *s;

	for (i = 0; i < FUZZ_SLOTS; i++) {
		s = &f->v->slot[(start + i) % FUZZ_SLOTS];
		if (s->present && page >= s->first && page < s->first + s->pages &&
		    !(write && s->flags & KVM_MEM_READONLY))
			return s;
	}
	return NULL;
}

static bool readable(struct fuzz *f, size_t page)
{
	const struct fuzz_page *p = &f->v->page[page];

	return f->v->map[page].mapped && f->v->map[page].prot & PROT_READ && !p->has_alt &&
	       !p->unknown;
}

static bool writable(struct fuzz *f, size_t page)
{
	const int both = PROT_READ | PROT_WRITE;

	return f->v->map[page].mapped && (f->v->map[page].prot & both) == both;
}

/* Runs a command on a page and those after it that the guest sees in one piece. */
static long do_run(struct fuzz *f, struct vm *vm, struct fuzz_slot *s, size_t page, size_t count,
		   enum guest_command command)
{
	uint64_t gpa = s ? s->gpa + page - s->first : page;
	struct guest_work work = { .command = command, .first = gpa, .count = count };
	size_t i;
	int err;

	for (i = 0; i < count; i++) {
		vm->view.states[gpa + i] = f->v->page[page + i].state;
		if (s && command == GUEST_FILL && s->flags & KVM_MEM_LOG_DIRTY_PAGES)
			s->dirty[page - s->first + i] = true;
	}
	err = vm_guest(vm, 0, &work);
	if (err == 1)
		page += vm->vcpu[0].area->wrong.page - gpa;
	return stop_if_broken(f, err, page);
}

/* Whole range, in runs; @slots: the VM has them, otherwise it has RAM in one. */
static long guest_range(struct fuzz *f, struct vm *vm, bool slots, enum guest_command command)
{
	bool (*can)(struct fuzz *, size_t) = command == GUEST_FILL ? writable : readable;
	size_t page, n, end = f->first + f->count;
	uint64_t state = fuzz_state(f);
	struct fuzz_slot *s = NULL;
	long result, pages = 0;

	for (page = f->first; page < end; page += n) {
		n = 1;
		if (slots)
			s = slot_of(f, page, command == GUEST_FILL);
		if (!can(f, page) || (slots && !s))
			continue;
		while (page + n < end && can(f, page + n) &&
		       (!s || page + n < s->first + s->pages))
			n++;
		for (size_t i = page; i < page + n && command == GUEST_FILL; i++)
			fuzz_set(f, i, fuzz_state_next(state, i));
		result = do_run(f, vm, s, page, n, command);
		if (result)
			return result;
		pages += n;
	}
	return pages ?: -ENOENT;
}

static long guest_write(struct fuzz *f)
{
	return f->v->no_kvm ? -ENODEV : guest_range(f, f->vm, true, GUEST_FILL);
}

static long guest_read(struct fuzz *f)
{
	return f->v->no_kvm ? -ENODEV : guest_range(f, f->vm, true, GUEST_VERIFY);
}

/* The guest touches what its process must not. */
static long guest_illegal(struct fuzz *f)
{
	bool write = fuzz_random(f, 2);
	struct guest_work work = { .command = write ? GUEST_TOUCH : GUEST_READ, .count = 1 };
	struct fuzz_slot *s;
	size_t i;
	int err;

	for (i = f->first; i < f->first + f->count && !f->v->no_kvm; i++) {
		s = slot_of(f, i, true);
		/* What may be written or executed the processor lets be read. */
		if (!s || (f->v->map[i].mapped &&
			   (write ? f->v->map[i].prot & PROT_WRITE : f->v->map[i].prot)))
			continue;
		work.first = s->gpa + i - s->first;
		f->vm->view.states[work.first] = 0;
		err = vm_guest(f->vm, 0, &work);
		if (err != -EFAULT)
			return fuzz_wrong(f, i, "page %zu, not accessible: the guest got %d", i,
					  err);
		return stop_if_broken(f, vm_reset_vcpu(f->vm, 0), i);
	}
	return -ENOENT;
}

/**
 * fuzz_set_slot() - make, change, or delete a memory slot
 * @f: the operation
 * @id: its number
 * @slot: as it is to be; deleted if not present
 * Return: 0, and then the model has it so, or a negative errno.
 */
int fuzz_set_slot(struct fuzz *f, unsigned int id, const struct fuzz_slot *slot)
{
	struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = slot->flags,
		.guest_phys_addr = GUEST_RAM + slot->gpa * PAGE_SIZE,
		.memory_size = slot->present ? slot->pages * PAGE_SIZE : 0,
		.userspace_addr = (unsigned long)fuzz_address(slot->first),
	};

	if (ioctl(f->vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	f->v->slot[id] = *slot;
	memset(f->v->slot[id].dirty, 0, sizeof(slot->dirty));
	return 0;
}

static struct fuzz_slot home(unsigned int id)
{
	return (struct fuzz_slot){
		.present = true, .gpa = id * FUZZ_CHUNK, .first = id * FUZZ_CHUNK,
		.pages = FUZZ_CHUNK,
	};
}

/* One that is present goes, moves, or has another flag; one that is not comes. */
static long change_slot(struct fuzz *f)
{
	static const uint32_t flags[] = { 0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY };
	unsigned int id = fuzz_random(f, FUZZ_SLOTS);
	struct fuzz_slot s = f->v->slot[id];

	if (f->v->no_kvm)
		return -ENODEV;
	if (id == HOME_SLOTS - 1) {
		s.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	} else if (!s.present && id < HOME_SLOTS && fuzz_random(f, 2)) {
		s = home(id);
	} else if (!s.present) {
		s = (struct fuzz_slot){
			.present = true, .flags = flags[fuzz_random(f, 4)],
			.gpa = WINDOW * (1 + id) + fuzz_random(f, WINDOW - FUZZ_OPEN),
			.first = f->first, .pages = f->count,
		};
	} else if (fuzz_random(f, 3) == 0) {
		s.present = false;
	} else if (fuzz_random(f, 2)) {
		s.gpa = WINDOW * (1 + id) + fuzz_random(f, WINDOW - FUZZ_OPEN);
	} else {
		s.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	}
	fuzz_detail(f, "%u: flags %u gpa %#lx first %u pages %u present %d", id, s.flags, s.gpa,
		    s.first, s.pages, s.present);
	return fuzz_must_work(f, fuzz_set_slot(f, id, &s));
}

/* What KVM must refuse; nothing changes, and the module has seen it nonetheless. */
static long illegal_slot(struct fuzz *f)
{
	struct kvm_userspace_memory_region r = {
		.slot = 20, .guest_phys_addr = 1UL << 31, .memory_size = HUGE_SIZE,
		.userspace_addr = (unsigned long)FUZZ_BASE,
	};
	unsigned int how = fuzz_random(f, 12);
	struct fuzz_slot *s = &f->v->slot[HOME_SLOTS - 1];

	if (f->v->no_kvm)
		return -ENODEV;
	switch (how) {
	case 0:
		r.guest_phys_addr += 1 + fuzz_random(f, 4095);
		break;
	case 1:
		r.userspace_addr += 1 + fuzz_random(f, 4095);
		break;
	case 2:
		r.memory_size += 1 + fuzz_random(f, 4095);
		break;
	case 3:
		r.userspace_addr = 0xffff800000000000UL;
		break;
	case 4:
		r.memory_size = -PAGE_SIZE;
		break;
	case 5:
		r.guest_phys_addr = -HUGE_SIZE / 2;
		break;
	case 6:
		r.flags = 0xff00;
		break;
	case 7:
		r.slot = 0x7fff;
		break;
	case 8:
		r.slot = 0x10020;	/* of an address space that there is not */
		r.slot |= fuzz_random(f, 2) << 20;
		break;
	case 9:
		/* Where another one is. */
		r.guest_phys_addr = GUEST_RAM + s->gpa * PAGE_SIZE;
		break;
	case 10:
		/* One there is, with another size. */
		r.slot = HOME_SLOTS - 1;
		r.guest_phys_addr = GUEST_RAM + s->gpa * PAGE_SIZE;
		r.userspace_addr = (unsigned long)fuzz_address(s->first);
		r.memory_size /= 2;
		break;
	default:
		/* One there is not is deleted. */
		r.memory_size = 0;
	}
	if (how == 8 && r.slot == 0x10020)
		r.memory_size = 0;
	fuzz_detail(f, "how %u", how);
	return fuzz_must_fail(f, fuzz_result(ioctl(f->vm->fd, KVM_SET_USER_MEMORY_REGION, &r)));
}

/* All that the guest has written to must be in the log. */
static long dirty_log(struct fuzz *f)
{
	static uint64_t bits[FUZZ_PAGES / 64];
	unsigned int id = fuzz_random(f, FUZZ_SLOTS - 1);
	struct kvm_dirty_log log = { .slot = id, .dirty_bitmap = bits };
	struct fuzz_slot *s = &f->v->slot[id];
	unsigned int i;

	if (f->v->no_kvm)
		return -ENODEV;
	memset(bits, 0, sizeof(bits));
	fuzz_detail(f, "slot %u", id);
	if (ioctl(f->vm->fd, KVM_GET_DIRTY_LOG, &log))
		return s->present && s->flags & KVM_MEM_LOG_DIRTY_PAGES ?
		       fuzz_must_work(f, -errno) : -errno;
	for (i = 0; i < s->pages && s->present; i++) {
		if (s->dirty[i] && !(bits[i / 64] & 1ULL << i % 64))
			return fuzz_wrong(f, s->first + i, "page %u of slot %u is not dirty", i,
					  id);
		s->dirty[i] = false;
	}
	return 0;
}

/* As a VMM that gives its guest fresh memory: most often it is adopted anew. */
static long restore(struct fuzz *f)
{
	unsigned int chunk = fuzz_random(f, FUZZ_OPEN / FUZZ_CHUNK), i;
	struct fuzz_slot s = f->v->slot[chunk];
	void *p = mmap(fuzz_address(chunk * FUZZ_CHUNK), FUZZ_CHUNK * PAGE_SIZE,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	fuzz_detail(f, "chunk %u", chunk);
	f->v->also_first = chunk * FUZZ_CHUNK;
	f->v->also_count = FUZZ_CHUNK;
	if (p == MAP_FAILED)
		return -errno;
	for (i = 0; i < FUZZ_CHUNK; i++)
		fuzz_set(f, chunk * FUZZ_CHUNK + i, 0);
	if (f->v->no_kvm)
		return -ENODEV;
	s.present = false;
	if (f->v->slot[chunk].present && fuzz_set_slot(f, chunk, &s))
		return fuzz_wrong(f, chunk * FUZZ_CHUNK, "a slot cannot be deleted");
	s = home(chunk);
	return fuzz_must_work(f, fuzz_set_slot(f, chunk, &s));
}

static void *churn_on(void *arg)
{
	struct fuzz *f = arg;
	struct guest_work work;
	long err = 0;

	while (f->v->churn && !err) {
		work = (struct guest_work){
			.command = GUEST_CHURN, .keys = FUZZ_KEYS, .owner = 1, .count = 64,
			.first = FUZZ_OPEN, .pages = FUZZ_PAGES - FUZZ_OPEN, .seed = ++f->seed,
		};
		work.seed = pattern_mix(work.seed);
		err = vm_guest(f->vm, 1, &work);
	}
	f->v->churn_error = err;
	return NULL;
}

/**
 * fuzz_stop_churn() - stop what vCPU 1 does
 * @f: the operation, in the VM's process
 * Return: 0 or FUZZ_WRONG.
 */
long fuzz_stop_churn(struct fuzz *f)
{
	if (!f->v->churn)
		return 0;
	f->v->churn = false;
	pthread_join(churner, NULL);
	return stop_if_broken(f, f->v->churn_error, FUZZ_OPEN);
}

static long churn(struct fuzz *f)
{
	static struct fuzz mine;

	if (f->v->no_kvm)
		return -ENODEV;
	if (f->v->churn)
		return fuzz_stop_churn(f);
	mine = *f;
	f->v->churn = true;
	return -pthread_create(&churner, NULL, churn_on, &mine);
}

static long create(struct fuzz *f, struct vm *vm, void *control, unsigned int vcpus)
{
	const struct vm_config config = { .pages = 1, .vcpus = vcpus, .no_slots = true };
	int err = vm_create(vm, &config, control);

	if (err)
		return fuzz_wrong(f, 0, "no VM can be made: %s", strerror(-err));
	/* It has RAM already. */
	munmap(vm->view.ram, PAGE_SIZE);
	vm->view.ram = FUZZ_BASE;
	return 0;
}

/* Two VMs in one process have the same RAM. */
static long second_vm(struct fuzz *f)
{
	static void *control;
	int what = fuzz_random(f, 6);
	long err;

	if (!has_second) {
		control = vm_alloc_control();
		if (!control)
			return -errno;
		err = create(f, &second, control, 1);
		if (err)
			return err;
		err = vm_set_slot(&second, 0, GUEST_RAM, FUZZ_BASE, FUZZ_OPEN * PAGE_SIZE);
		has_second = !err;
		fuzz_detail(f, "created");
		return fuzz_must_work(f, err);
	}
	if (!what) {
		fuzz_detail(f, "ended");
		has_second = false;
		err = vm_end(&second);
		munmap(control, GUEST_CONTROL);
		return err;
	}
	fuzz_detail(f, what < 4 ? "writes" : "reads");
	return guest_range(f, &second, false, what < 4 ? GUEST_FILL : GUEST_VERIFY);
}

/* Close what there is of the VM, in any order; then there may be a new one. */
static long close_vm(struct fuzz *f)
{
	int fds[] = { f->vm->kvm, f->vm->fd, f->vm->vcpu[0].fd, f->vm->vcpu[1].fd };
	unsigned int i, j;
	long err;

	if (f->v->no_kvm) {
		err = create(f, f->vm, f->vm->control, 2);
		f->v->no_kvm = err;
		for (i = 0; i < HOME_SLOTS && !err; i++) {
			struct fuzz_slot s = home(i);

			err = fuzz_set_slot(f, i, &s);
		}
		fuzz_detail(f, "made anew");
		return err;
	}
	if (fuzz_random(f, 4))
		return -EDOM;
	err = fuzz_stop_churn(f);
	if (err)
		return err;
	fuzz_detail(f, "closed");
	for (i = 4; i; i--) {
		j = fuzz_random(f, i);
		close(fds[j]);
		fds[j] = fds[i - 1];
		if (i == 3)
			munmap(f->vm->vcpu[0].run, f->vm->run_bytes);
	}
	munmap(f->vm->vcpu[1].run, f->vm->run_bytes);
	f->v->no_kvm = true;
	memset(f->v->slot, 0, sizeof(f->v->slot));
	return 0;
}

/**
 * fuzz_start_vm() - give a new VM its RAM
 * @vm: the VM, in this process
 * @f: for its model
 * Return: 0 or a negative errno.
 */
long fuzz_start_vm(struct vm *vm, struct fuzz *f)
{
	unsigned int i;
	int err = 0;
	void *ram = mmap(FUZZ_BASE, FUZZ_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	if (ram != FUZZ_BASE)
		return -errno;
	f->vm = vm;
	fuzz_on_signals(f->v);
	munmap(vm->view.ram, PAGE_SIZE);
	vm->view.ram = FUZZ_BASE;
	for (i = FUZZ_OPEN; i < FUZZ_PAGES; i++)
		vm->view.owners[i] = 1;
	for (i = 0; i < HOME_SLOTS && !err; i++) {
		struct fuzz_slot s = home(i);

		err = fuzz_set_slot(f, i, &s);
	}
	return err ?: fuzz_read_map(getpid(), f->v->map);
}

/**
 * fuzz_guest_verify() - does all RAM hold what it must, for the guests, too?
 * @f: the operation, in the VM's process; what is churned is left out if it is
 *	just being churned
 * Return: 0 or FUZZ_WRONG.
 */
long fuzz_guest_verify(struct fuzz *f)
{
	const struct guest_work churned = {
		.command = GUEST_VERIFY, .first = FUZZ_OPEN, .count = FUZZ_PAGES - FUZZ_OPEN,
	};
	long result = 0;

	f->first = 0;
	f->count = FUZZ_OPEN;
	if (!f->v->no_kvm)
		result = guest_range(f, f->vm, true, GUEST_VERIFY);
	if (has_second && result != FUZZ_WRONG)
		result = guest_range(f, &second, false, GUEST_VERIFY);
	if (result != FUZZ_WRONG && !f->v->churn)
		result = stop_if_broken(f, vm_user(f->vm, &churned), FUZZ_OPEN);
	if (result != FUZZ_WRONG && !f->v->churn && !f->v->no_kvm)
		result = stop_if_broken(f, vm_guest(f->vm, 0, &churned), FUZZ_OPEN);
	return result == FUZZ_WRONG ? result : 0;
}

const struct fuzz_op fuzz_guest_ops[] = {
	{ "guest writes", 40, FUZZ_MUST, guest_write },
	{ "guest reads", 20, FUZZ_MUST, guest_read },
	{ "guest touches illegally", 4, FUZZ_MUST, guest_illegal },
	{ "slot", 16, FUZZ_MUST, change_slot },
	{ "illegal slot", 4, 0, illegal_slot },
	{ "dirty log", 6, FUZZ_MUST, dirty_log },
	{ "fresh memory", 10, FUZZ_REMAPS | FUZZ_MUST, restore },
	{ "churn", 3, FUZZ_MUST, churn },
	{ "second VM", 10, FUZZ_MUST, second_vm },
	{ "close", 2, FUZZ_MUST, close_vm },
	{}
};
