// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pin.h"

static int umem = -1;

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
