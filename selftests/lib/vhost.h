/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: vhost
 *
 * A thread of the kernel's that reads guest pages, as it does to send what a guest has to say to
 * the network: by the addresses of the VM's process, and not in any of its threads.
 */
#ifndef VHOST_H
#define VHOST_H

#include <stdbool.h>

#include "guest.h"
#include "vm.h"

#define VHOST_MOST	64	/* guest pages at once */

bool vhost_here(void);
long vhost_send(struct vm *vm, void *work);

#endif
