/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdint.h>

#include "host.h"
#include "vm.h"
#include "vmtable.h"

/**
 * struct sample - all counters at one moment
 * @ns: the moment, in nanoseconds of a clock that only runs forward; 0 for none
 * @host: counters of the host
 * @vms: all VMs
 */
struct sample {
	uint64_t ns;
	struct mrm_host host;
	struct mrm_vms vms;
};

int sample_read(const struct mrm_root *root, struct sample *sample);
void sample_free(struct sample *sample);
void sample_replace(struct sample *before, struct sample *now);
double sample_rate(uint64_t now, uint64_t before, uint64_t ns);
struct vm_row *sample_rows(const struct sample *now, const struct sample *before);
bool sample_host_rate(const struct sample *now, const struct sample *before,
		      enum mrm_host_counter counter, double *rate);

#endif
