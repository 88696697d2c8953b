// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pin.h"

static int umem = -1;
static int ends[2];

/**
 * pin_pages() - pin pages of this process's VM, for process_call()
 * @vm: the VM
 * @pages: a size_t: how many, from the beginning of RAM
 * Return: 0; -EPROTONOSUPPORT where there is no AF_XDP; or why it is refused.
 */
long pin_pages(struct vm *vm, void *pages)
{
	struct xdp_umem_reg reg = {
		.addr = (unsigned long)vm->view.ram,
		.len = *(size_t *)pages * PAGE_SIZE,
		.chunk_size = PAGE_SIZE,
	};

	umem = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (umem < 0)
		return -EPROTONOSUPPORT;
	return setsockopt(umem, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ? -errno : 0;
}

/**
 * unpin_pages() - pin them no more
 * @vm: the VM
 * @unused: NULL
 * Return: 0 or a negative errno.
 */
long unpin_pages(struct vm *vm, void *unused)
{
	(void)vm;
	(void)unused;
	return close(umem) ? -errno : 0;
}

/**
 * lend_pages() - have a pipe refer to pages of this process's VM, for process_call()
 * @vm: the VM
 * @lent: a struct lent_pages: which
 * Return: 0 or a negative errno.
 */
long lend_pages(struct vm *vm, void *lent)
{
	const struct lent_pages *l = lent;
	struct iovec iov = { vm_page(vm, l->first), l->count * PAGE_SIZE };

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	return vmsplice(ends[1], &iov, 1, 0) == (ssize_t)iov.iov_len ? 0 : -EIO;
}

/**
 * take_back_pages() - read them from the pipe, which is closed
 * @vm: the VM
 * @lent: a struct lent_pages: what they are to hold
 * Return: how many hold something else.
 */
long take_back_pages(struct vm *vm, void *lent)
{
	static uint64_t page[PAGE_WORDS];
	const struct lent_pages *l = lent;
	long wrong = 0;
	size_t i;

	(void)vm;
	for (i = 0; i < l->count; i++)
		wrong += read(ends[0], page, PAGE_SIZE) != (ssize_t)PAGE_SIZE ||
			 pattern_check(page, l->states[i]) != PAGE_WORDS;
	close(ends[0]);
	close(ends[1]);
	return wrong;
}
