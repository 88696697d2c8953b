// SPDX-License-Identifier: GPL-2.0
/*
 * All counters of the host and its VMs, as OpenMetrics 1.0 has them.  Amounts are
 * in base units: pages become bytes, nanoseconds seconds, per cent a ratio.  Salts
 * are secrets and are not among them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "balloon.h"
#include "host.h"
#include "metrics.h"
#include "text.h"
#include "vm.h"

static const char *const host_states[] = { "high", "clear", "soft", "hard", "low" };

static const char *unit_name(const struct mrm_counter *counter)
{
	switch (counter->unit) {
	case MRM_BYTES:
	case MRM_PAGES:
	case MRM_LARGE_PAGES:
		return "bytes";
	case MRM_NS:
		return "seconds";
	case MRM_PERCENT:
		return "ratio";
	case MRM_COUNT:
		break;
	}
	return NULL;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	return length > strlen(end) && !strncmp(text + length - strlen(end), end, strlen(end));
}

/* The counter's name with its base unit at the end. */
static void family_name(char *to, size_t size, const char *prefix,
			const struct mrm_counter *counter)
{
	static const char *const ends[] = { "_bytes", "_pages", "_ns", "_percent" };
	const char *unit = unit_name(counter);
	size_t length = strlen(counter->name), i;

	for (i = 0; unit && i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (ends_with(counter->name, length, ends[i])) {
			length -= strlen(ends[i]);
			break;
		}
	}
	snprintf(to, size, "%s%.*s%s%s", prefix, (int)length, counter->name, unit ? "_" : "",
		 unit ? unit : "");
}

static void begin_family(FILE *file, const char *name, const struct mrm_counter *counter)
{
	const char *unit = unit_name(counter);

	fprintf(file, "# TYPE %s %s\n", name, counter->grows ? "counter" : "gauge");
	if (unit)
		fprintf(file, "# UNIT %s %s\n", name, unit);
	fprintf(file, "# HELP %s %s.\n", name, counter->words);
}

static void put_value(FILE *file, const struct mrm_counter *counter, uint64_t value)
{
	if (counter->unit == MRM_NS)
		fprintf(file, " %" PRIu64 ".%09" PRIu64 "\n", value / 1000000000,
			value % 1000000000);
	else if (counter->unit == MRM_PERCENT)
		fprintf(file, " %" PRIu64 ".%02" PRIu64 "\n", value / 100, value % 100);
	else
		fprintf(file, " %" PRIu64 "\n", mrm_value_to_bytes(counter->unit, value));
}

/* A VM's name is its owner's choice. */
static void put_escaped(FILE *file, const char *text)
{
	size_t taken;
	uint32_t c;

	for (; *text; text += taken) {
		taken = mrm_utf8_decode(text, &c);
		if (c == '\\' || c == '"')
			fprintf(file, "\\%c", c);
		else if (c == '\n')
			fprintf(file, "\\n");
		else if (c == 0xfffd)
			fprintf(file, "\xef\xbf\xbd");
		else
			fwrite(text, 1, taken, file);
	}
}

static void put_vm(FILE *file, const struct mrm_vm *vm)
{
	fprintf(file, "vm=\"");
	put_escaped(file, vm->text[MRM_VM_NAME]);
	fprintf(file, "\",pid=\"%d\"", (int)vm->pid);
}

static void put_host(FILE *file, const struct mrm_host *host)
{
	char name[80];
	int i;

	for (i = 0; i < MRM_HOST_NR; i++) {
		const struct mrm_counter *counter = &mrm_host_counters[i];

		if (!host->have[i])
			continue;
		family_name(name, sizeof(name), "mrm_", counter);
		begin_family(file, name, counter);
		fprintf(file, "%s%s", name, counter->grows ? "_total" : "");
		put_value(file, counter, host->value[i]);
	}
}

static void put_host_state(FILE *file, const struct mrm_root *root)
{
	char state[16];
	size_t i;

	if (mrm_read_text(root->fd, "state", state, sizeof(state)))
		return;
	fprintf(file, "# TYPE mrm_state stateset\n"
		      "# HELP mrm_state How short of memory the host is.\n");
	for (i = 0; i < sizeof(host_states) / sizeof(host_states[0]); i++)
		fprintf(file, "mrm_state{mrm_state=\"%s\"} %d\n", host_states[i],
			!strcmp(state, host_states[i]));
}

static void put_vms(FILE *file, const struct mrm_vms *vms, int which)
{
	const struct mrm_counter *counter = &mrm_vm_counters[which];
	bool begun = false;
	char name[80];
	size_t i;

	family_name(name, sizeof(name), "mrm_vm_", counter);
	for (i = 0; i < vms->count; i++) {
		if (!(vms->vm[i].have & MRM_WANT(which)))
			continue;
		if (!begun)
			begin_family(file, name, counter);
		begun = true;
		fprintf(file, "%s%s{", name, counter->grows ? "_total" : "");
		put_vm(file, &vms->vm[i]);
		fputc('}', file);
		put_value(file, counter, vms->vm[i].value[which]);
	}
}

static void put_balloon_states(FILE *file, const struct mrm_vms *vms)
{
	bool begun = false;
	size_t i;
	int state;

	for (i = 0; i < vms->count; i++) {
		const struct mrm_vm *vm = &vms->vm[i];

		if (!(vm->have & MRM_WANT_TEXT(MRM_VM_BALLOON_STATE)))
			continue;
		if (!begun)
			fprintf(file,
				"# TYPE mrm_vm_balloon_state stateset\n"
				"# HELP mrm_vm_balloon_state What is known of the balloon.\n");
		begun = true;
		for (state = BALLOON_NONE; state <= BALLOON_OK; state++) {
			const char *word = balloon_state_names[state];

			fprintf(file, "mrm_vm_balloon_state{");
			put_vm(file, vm);
			fprintf(file, ",mrm_vm_balloon_state=\"%s\"} %d\n", word,
				!strcmp(vm->text[MRM_VM_BALLOON_STATE], word));
		}
	}
}

static void put_self(FILE *file, bool loaded, bool libvirt)
{
	fprintf(file,
		"# TYPE mrm_mrmd info\n"
		"# HELP mrm_mrmd The daemon.\n"
		"mrm_mrmd_info{version=\"%s\"} 1\n"
		"# TYPE mrm_loaded gauge\n"
		"# HELP mrm_loaded The module is loaded.\n"
		"mrm_loaded %d\n"
		"# TYPE mrm_libvirt_connected gauge\n"
		"# HELP mrm_libvirt_connected The daemon is connected to libvirt.\n"
		"mrm_libvirt_connected %d\n",
		MRM_VERSION, loaded, libvirt);
}

/**
 * metrics_write() - write all counters
 * @file: where to
 * @root: the open tree, or NULL when the module is not loaded
 * @libvirt: libvirt is connected
 *
 * Return: 0, or a negative error when the VMs cannot be read.
 */
int metrics_write(FILE *file, const struct mrm_root *root, bool libvirt)
{
	mrm_want want = MRM_WANT_ALL & ~MRM_WANT_TEXT(MRM_VM_SALT) &
			~MRM_WANT_TEXT(MRM_VM_SWAP_FILE);
	struct mrm_host host;
	struct mrm_vms vms;
	int error = 0, i;

	put_self(file, root, libvirt);
	if (root) {
		error = mrm_host_read(root, &host);
		if (!error) {
			put_host(file, &host);
			put_host_state(file, root);
			error = mrm_vms_read(root, &vms, want);
			for (i = 0; !error && i < MRM_VM_NR; i++)
				put_vms(file, &vms, i);
			if (!error)
				put_balloon_states(file, &vms);
			mrm_vms_free(&vms);
		}
	}
	fprintf(file, "# EOF\n");
	/* It was unloaded meanwhile. */
	return error == -ENODEV ? 0 : error;
}
