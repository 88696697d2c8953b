// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "tap.h"

static struct mrm_vm make_vm(pid_t pid, uint64_t node, uint64_t scanned)
{
	struct mrm_vm vm = { .pid = pid, .node = node, .have = MRM_WANT_ALL };

	vm.value[MRM_VM_SCANNED_PAGES] = scanned;
	return vm;
}

/**
 * test_sample() - rates, and VMs that come and go
 */
void test_sample(void)
{
	struct mrm_vm old[] = { make_vm(1, 1, 100), make_vm(2, 2, 100), make_vm(4, 4, 100) };
	struct mrm_vm new[] = { make_vm(2, 2, 300), make_vm(3, 3, 50), make_vm(4, 5, 200) };
	struct sample before = { .ns = 1000000000, .vms = { old, 3 } };
	struct sample now = { .ns = 3000000000, .vms = { new, 3 } };
	struct sample none = { 0 };
	struct vm_row *rows;
	double rate;

	tap_ok(sample_rate(300, 100, 2000000000) == 100, "a rate");
	tap_ok(sample_rate(100, 300, 1) == 0, "a counter that was reset has no rate");
	rows = sample_rows(&now, &before);
	tap_ok(rows[0].rated && rows[0].rate[VM_KEY_SCAN_RATE] == 100, "a VM that stays has rates");
	tap_ok(!rows[1].rated, "a new VM has none");
	tap_ok(!rows[2].rated, "nor has one with the pid of another");
	free(rows);
	rows = sample_rows(&now, &none);
	tap_ok(!rows[0].rated && rows[2].vm->pid == 4, "the first sample has none");
	free(rows);
	rows = sample_rows(&now, &now);
	tap_ok(!rows[0].rated, "nor has a sample against itself");
	free(rows);

	now.host.have[MRM_HOST_SCAN_CPU_NS] = before.host.have[MRM_HOST_SCAN_CPU_NS] = true;
	now.host.value[MRM_HOST_SCAN_CPU_NS] = 500000000;
	tap_ok(sample_host_rate(&now, &before, MRM_HOST_SCAN_CPU_NS, &rate) && rate == 250000000,
	       "a rate of the host");
	tap_ok(!sample_host_rate(&now, &none, MRM_HOST_SCAN_CPU_NS, &rate) && rate == 0,
	       "which needs two samples");
	tap_ok(!sample_host_rate(&now, &before, MRM_HOST_BROKEN_PAGES, &rate),
	       "and a counter that is there");
}
