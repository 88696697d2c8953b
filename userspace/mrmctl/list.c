// SPDX-License-Identifier: GPL-2.0
/* mrmctl list - all VMs in a table. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_out.h"
#include "mrmctl.h"
#include "vmtable.h"

static int print_json(const struct vm_row *rows, size_t count)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_object_array_add(array, json_from_vm(rows[i].vm, VM_LIST_WANT));
	return json_finish(array, true);
}

static int print_table(const struct vm_view *view, const struct vm_row *rows, size_t count)
{
	struct mrm_table table;
	int error;

	mrm_table_init(&table, view->column, view->count);
	vm_table_fill(&table, view, rows, count);
	error = mrm_table_print(&table, stdout);
	mrm_table_free(&table);
	if (error)
		return complain_read("list of VMs", error);
	printf("%zu VM%s, sizes in MiB\n", count, count == 1 ? "" : "s");
	return STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
	enum vm_key key = VM_KEY_NAME;
	struct mrm_root root;
	struct vm_row *rows;
	struct vm_view view;
	struct mrm_vms vms;
	int error, status;
	size_t i;

	(void)argc;
	(void)argv;
	vm_view_init(&view, VM_TABLE_LIST, 0);
	status = vm_sort_option(&view, options->sort, &key);
	if (status)
		return status;
	status = open_root(options, &root);
	if (status)
		return status;
	error = mrm_vms_read(&root, &vms, VM_LIST_WANT);
	mrm_close(&root);
	rows = error ? NULL : calloc(vms.count + 1, sizeof(*rows));
	if (!rows) {
		mrm_vms_free(&vms);
		return complain_read("list of VMs", error ? error : -ENOMEM);
	}
	for (i = 0; i < vms.count; i++)
		rows[i].vm = &vms.vm[i];
	vm_sort(rows, vms.count, key, options->reverse);
	status = options->json ? print_json(rows, vms.count) : print_table(&view, rows, vms.count);
	free(rows);
	mrm_vms_free(&vms);
	return status;
}

const struct command command_list = {
	.name = "list",
	.arguments = "[-o COLUMN] [-r]",
	.summary = "show all VMs in a table",
	.help = "Shows a line for every VM that runs on this host: name, pid of its QEMU process,\n"
		"memory that kvm_mrm has adopted and has not, memory in use, the shared and the\n"
		"zero pages of that, what sharing saves (the VM's fair part), and how sharing\n"
		"stands; and if some memory was not adopted, why not.  Sizes are in MiB.\n"
		"\n"
		"  -o, --sort COLUMN   sort by a column: name (default), pid, adopted, not-adopted,\n"
		"                      resident, shared, zero, saved, state\n"
		"  -r, --reverse       turn the order round\n",
	.options = "or",
	.run = run,
};
