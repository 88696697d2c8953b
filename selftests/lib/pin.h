/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DOC: Pins
 *
 * Pages of a VM's RAM that the kernel holds for long, as an AF_XDP area.
 */
#ifndef PIN_H
#define PIN_H

#include "vm.h"

long pin_pages(struct vm *vm, void *pages);
long unpin_pages(struct vm *vm, void *unused);

#endif
