// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "vmtable.h"

static struct mrm_vm vms[3];
static struct vm_row rows[3];

static void make_rows(void)
{
	static const char *const names[] = { "web", "db", "web" };
	int i;

	memset(vms, 0, sizeof(vms));
	memset(rows, 0, sizeof(rows));
	for (i = 0; i < 3; i++) {
		vms[i].pid = 100 + i;
		strcpy(vms[i].text[MRM_VM_NAME], names[i]);
		strcpy(vms[i].text[MRM_VM_STATE], "on");
		vms[i].have = MRM_WANT_ALL;
		vms[i].value[MRM_VM_SAVED_PAGES] = 256 * (i + 1);
		vms[i].value[MRM_VM_ADOPTED_BYTES] = 1 << 20;
		rows[i].vm = &vms[i];
		rows[i].rated = i != 1 ? ~0ull : 0;
		rows[i].rate[VM_KEY_SCAN_RATE] = 10 * i;
	}
	vms[2].have &= ~MRM_WANT(MRM_VM_SAVED_PAGES);
	strcpy(vms[1].text[MRM_VM_REASON], "hugetlb");
}

static void check_order(enum vm_key key, bool reverse, const char *wanted)
{
	char got[16];

	make_rows();
	vm_sort(rows, 3, key, reverse);
	snprintf(got, sizeof(got), "%d %d %d", rows[0].vm->pid, rows[1].vm->pid, rows[2].vm->pid);
	tap_text(got, wanted, reverse ? "order turned round" : "order");
}

static void check_table(enum vm_table_kind kind, const char *wanted, const char *what)
{
	struct mrm_table table;
	struct vm_view view;
	char *text = NULL;
	size_t size;
	FILE *file;

	vm_view_init(&view, kind, 0);
	mrm_table_init(&table, view.column, view.count);
	vm_table_fill(&table, &view, rows, 3);
	file = open_memstream(&text, &size);
	tap_ok(!mrm_table_print(&table, file), "%s", what);
	fclose(file);
	mrm_table_free(&table);
	tap_text(text, wanted, "has what is known, and a mark for the rest");
	free(text);
}

static void test_print(void)
{
	make_rows();
	vms[0].text[MRM_VM_NAME][0] = '\0';
	check_table(VM_TABLE_LIST,
		    "NAME  PID  ADOPTED  NOT-ADOPTED  RESIDENT  SHARED  ZERO  SAVED  STATE\n"
		    "-     100      1.0          0.0       0.0     0.0   0.0    1.0  on\n"
		    "db    101      1.0          0.0       0.0     0.0   0.0    2.0"
		    "  on; not adopted: hugetlb\n"
		    "web   102      1.0          0.0       0.0     0.0   0.0      -  on\n",
		    "the list of VMs");
	vms[0].value[MRM_VM_SIZE_BYTES] = 512 << 20;
	vms[0].value[MRM_VM_GRANTED_BYTES] = 300 << 20;
	vms[0].value[MRM_VM_TARGET_BYTES] = 200 << 20;
	vms[0].value[MRM_VM_ACTIVE_BYTES] = 100 << 20;
	vms[0].value[MRM_VM_BALLOON_BYTES] = 50 << 20;
	vms[0].value[MRM_VM_BALLOON_TARGET_BYTES] = 312 << 20;
	vms[0].value[MRM_VM_ZIPPED_PAGES] = 3 * 256;
	vms[0].value[MRM_VM_ZIPPED_BYTES] = 1 << 20;
	vms[2].value[MRM_VM_SWAPPED_PAGES] = 7 * 256;
	vms[1].value[MRM_VM_LARGE_PAGES] = 2;
	vms[1].value[MRM_VM_LARGE_HELD] = 3 << 19;
	vms[1].value[MRM_VM_LARGE_UNTOUCHED] = 5 << 18;
	vms[2].have &= ~MRM_WANT(MRM_VM_LARGE_PAGES);
	vms[2].value[MRM_VM_BLOCKED_VCPUS] = 1;
	vms[2].value[MRM_VM_SWAP_BAD_PAGES] = 128;
	vms[2].value[MRM_VM_READ_ERRORS] = 3;
	vms[2].value[MRM_VM_SWAP_CACHED_PAGES] = 384;
	vms[2].value[MRM_VM_SWAP_FREE_PAGES] = 640;
	rows[2].rate[VM_KEY_OWN_RATE] = 5;
	rows[2].rate[VM_KEY_MISFIT_RATE] = 11;
	rows[2].rate[VM_KEY_SWAP_KEPT_RATE] = 12;
	rows[2].rate[VM_KEY_SWAP_AHEAD_RATE] = 13;
	rows[2].rate[VM_KEY_RECLAIM_RATE] = 14 << 19;
	vms[0].value[MRM_VM_CONSUMED_BYTES] = 250 << 20;
	vms[0].value[MRM_VM_SHARES] = 1000;
	vms[2].have &= ~MRM_WANT(MRM_VM_TARGET_BYTES);
	check_table(VM_TABLE_TOP,
		    "NAME  PID   SIZE  GRANTED  CONSUMED  TARGET  ACTIVE  BALLOON  BTARGET"
		    "  SHARED  SAVED  LARGE  HELD  UNTCHD  ZIPPED  ZUSED  SWAPPED  SWCACHED"
		    "  SWFREE  SCAN/S  BREAK/S  OWN/S  ZIP/S  UNZIP/S  MISFIT/S  SWOUT/S  SWKEPT/S"
		    "  SWIN/S  AHEAD/S  TAKEN/S  BLOCK/S  BAD  LOST  OVERHEAD  ASLOW  AFAST"
		    "  SHARES  MIN  MAX  STATE\n"
		    "-     100  512.0    300.0     250.0   200.0   100.0     50.0    312.0"
		    "     0.0    1.0    0.0   0.0     0.0     3.0    1.0      0.0       0.0"
		    "     0.0       0        0      0      0        0         0        0         0"
		    "       0        0      0.0        0  0.0     0       0.0    0.0    0.0"
		    "    1000  0.0  0.0  on\n"
		    "db    101    0.0      0.0       0.0     0.0     0.0      0.0      0.0"
		    "     0.0    2.0    4.0   1.5     1.3     0.0    0.0      0.0       0.0"
		    "     0.0       -        -      -      -        -         -        -         -"
		    "       -        -        -        -  0.0     0       0.0    0.0    0.0"
		    "       0  0.0  0.0  on; not adopted: hugetlb\n"
		    "web   102    0.0      0.0       0.0       -     0.0      0.0      0.0"
		    "     0.0      -      -   0.0     0.0     0.0    0.0      7.0       1.5"
		    "     2.5      20        0      5      0        0        11        0        12"
		    "       0       13      7.0        0  0.5     3       0.0    0.0    0.0"
		    "       0  0.0  0.0  blocked; on\n",
		    "the VMs in top");
}

/**
 * test_vmtable() - the table of VMs and its order
 */
void test_vmtable(void)
{
	enum vm_key key, i;
	bool all = true;

	for (i = 0; i < VM_KEY_NR; i++)
		all &= vm_key_parse(vm_key_name(i), &key) && key == i;
	tap_ok(all, "columns are known by their names");
	tap_ok(vm_key_parse("swap-cached", &key) && key == VM_KEY_SWAP_CACHED &&
		       vm_key_parse("swap-kept", &key) && key == VM_KEY_SWAP_KEPT_RATE &&
		       vm_key_parse("swap-ahead", &key) && key == VM_KEY_SWAP_AHEAD_RATE &&
		       vm_key_parse("misfit", &key) && key == VM_KEY_MISFIT_RATE,
	       "those of swap, too");
	tap_ok(vm_key_parse("SCAN/S", &key) && key == VM_KEY_SCAN_RATE, "and by their headings");
	tap_ok(vm_key_parse("mctlsz", &key) && key == VM_KEY_BALLOON &&
		       vm_key_parse("SWR/s", &key) && key == VM_KEY_SWAP_IN_RATE &&
		       vm_key_parse("SHRDSVD", &key) && key == VM_KEY_SAVED &&
		       vm_key_parse("CACHEUSD", &key) && key == VM_KEY_ZIP_USED &&
		       vm_key_parse("TCHD", &key) && key == VM_KEY_ACTIVE &&
		       vm_key_parse("CNSM", &key) && key == VM_KEY_CONSUMED &&
		       vm_key_parse("AMIN", &key) && key == VM_KEY_MIN,
	       "and by what esxtop calls them");
	tap_ok(!vm_key_parse("", &key) && !vm_key_parse("sav", &key), "and by nothing else");

	check_order(VM_KEY_PID, false, "100 101 102");
	check_order(VM_KEY_PID, true, "102 101 100");
	check_order(VM_KEY_NAME, false, "101 100 102");
	check_order(VM_KEY_NAME, true, "100 102 101");
	check_order(VM_KEY_SAVED, false, "101 100 102");
	check_order(VM_KEY_SAVED, true, "100 101 102");
	check_order(VM_KEY_SCAN_RATE, false, "102 100 101");
	check_order(VM_KEY_SCAN_RATE, true, "100 102 101");
	check_order(VM_KEY_ADOPTED, true, "100 101 102");
	tap_ok(vm_key_parse("large", &key) && key == VM_KEY_LARGE && vm_key_parse("held", &key) &&
		       key == VM_KEY_LARGE_HELD && vm_key_parse("untouched", &key) &&
		       key == VM_KEY_LARGE_UNTOUCHED,
	       "columns of large pages");
	vm_sort(NULL, 0, VM_KEY_PID, false);
	test_print();
}
