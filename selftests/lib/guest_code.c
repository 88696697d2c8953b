// SPDX-License-Identifier: GPL-2.0
/* What runs in the tiny guest; see guest.h. */
#include "guest.h"

static void done(void)
{
	__asm__ volatile("outb %%al, %0" : : "i"(GUEST_PORT), "a"(0) : "memory");
}

/**
 * guest_main() - the whole guest
 * @area: of this vCPU; the argument is in a register that the host sets
 */
__attribute__((section(".text.start"), noreturn))
void guest_main(struct guest_area *area)
{
	struct guest_view view = {
		.ram = (uint8_t *)GUEST_RAM,
		.states = (uint64_t *)GUEST_STATES,
		.owners = (uint8_t *)GUEST_OWNERS,
	};

	for (;;) {
		done();
		if (area->work.command == GUEST_HALT)
			__asm__ volatile("hlt");
		else
			area->failed = guest_do(&view, &area->work, &area->wrong);
	}
}
