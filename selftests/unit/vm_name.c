// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"
#include "vm_name.h"

/* In memory of exactly that size, so that ASan sees a step beyond its end. */
static bool find(const char *args, size_t len, char *name, size_t size)
{
	char *copy = malloc(len ? len : 1), *out = malloc(size);
	bool found;

	memcpy(copy, args, len);
	memset(out, 'X', size);
	found = mrm_vm_name_from_args(copy, len, out, size);
	memcpy(name, out, size);
	free(out);
	free(copy);
	return found;
}

/* Without the last NUL. */
#define CASE(text, name) { text, sizeof(text) - 1, name }

static void test_names(void)
{
	static const struct {
		const char *args;
		size_t len;
		const char *name;
	} cases[] = {
		CASE("qemu\0-name\0vm1\0-m\0128\0", "vm1"),
		CASE("qemu\0--name\0vm1\0", "vm1"),
		CASE("qemu\0-name\0guest=vm1,debug-threads=on\0-S\0", "vm1"),
		CASE("qemu\0-name\0vm1,debug-threads=on\0", "vm1"),
		CASE("qemu\0-name\0vm1,process=p\0", "vm1"),
		CASE("qemu\0-name\0debug-threads=on,guest=vm1\0", "vm1"),
		CASE("qemu\0-name\0debug-threads=on\0", ""),
		CASE("qemu\0-name\0guest=a,,b\0", "a,b"),
		CASE("qemu\0-name\0guest=,,\0", ","),
		CASE("qemu\0-name\0guest=a,,,b\0", "a,"),
		CASE("qemu\0-name\0guest=a,,,,b\0", "a,,b"),
		CASE("qemu\0-name\0guest=a,\0", "a"),
		CASE("qemu\0-name\0guest=a,", "a"),
		CASE("qemu\0-name\0guest=a,,", "a,"),
		CASE("qemu\0-name\0guest=a", "a"),
		CASE("qemu\0-name\0a", "a"),
		CASE("qemu\0-name\0guest=a=b\0", "a=b"),
		CASE("qemu\0-name\0guest=\303\274mlaut\0", "\303\274mlaut"),
		CASE("qemu\0-name\0with space\0", "with space"),
		/* No name. */
		CASE("", ""),
		CASE("\0\0\0", ""),
		CASE("qemu", ""),
		CASE("qemu\0-m\0128\0", ""),
		CASE("qemu\0-name", ""),
		CASE("qemu\0-name\0", ""),
		CASE("qemu\0-name\0\0", ""),
		CASE("qemu\0-name\0guest=", ""),
		CASE("qemu\0-name\0guest=\0vm1\0", ""),
		CASE("qemu\0-name\0guest=,x=y\0", ""),
		CASE("qemu\0-name\0gues", "gues"),
		/* Not that option. */
		CASE("qemu\0-names\0vm1\0", ""),
		CASE("qemu\0name\0vm1\0", ""),
		CASE("qemu\0---name\0vm1\0", ""),
		CASE("qemu\0-nam\0e\0vm1\0", ""),
		CASE("-name\0vm1\0", "vm1"),
	};
	char name[64];
	unsigned int i;
	bool found;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		found = find(cases[i].args, cases[i].len, name, sizeof(name));
		tap_text(name, cases[i].name, "vm_name: case %u: \"%s\"", i, cases[i].name);
		tap_equal(found, *cases[i].name != '\0', "vm_name: case %u: the answer", i);
	}
}

static void test_cut(void)
{
	static const char args[] = "qemu\0-name\0guest=ab,,cdefgh";
	static const char * const cut[] = { NULL, "", "a", "ab", "ab,", "ab,c", "ab,cd" };
	char name[16];
	size_t size;

	for (size = 1; size < sizeof(cut) / sizeof(cut[0]); size++) {
		find(args, sizeof(args), name, size);
		tap_text(name, cut[size], "vm_name: cut to %zu characters", size - 1);
	}
}

/* Wherever it is cut off, as when only the first 4096 bytes were read. */
static void test_prefixes(void)
{
	static const char args[] = "qemu\0-m\0128\0-name\0guest=a,,b,debug-threads=on\0-S";
	unsigned int bad = 0;
	char name[64];
	size_t len;

	for (len = 0; len <= sizeof(args); len++) {
		find(args, len, name, sizeof(name));
		bad += strlen(name) > 3 && strncmp(name, "gues", 4);
	}
	tap_equal(bad, 0, "vm_name: cut off anywhere, nothing else is found");
}

/* Bytes at random, with what the parser looks for strewn in. */
static void test_hostile(void)
{
	static const char * const parts[] = { "-name", "guest=", ",", ",,", "", "--name", "=" };
	char args[256], name[32];
	unsigned int bad = 0, round, i;
	size_t len, n;

	srandom(1);
	for (round = 0; round < 200000; round++) {
		for (len = 0; len < 200;) {
			if (random() % 2) {
				const char *part = parts[random() % 7];

				n = strlen(part) + random() % 2;
				memcpy(args + len, part, n);
				len += n;
			} else {
				args[len++] = random();
			}
			if (random() % 32 == 0)
				break;
		}
		n = 1 + random() % sizeof(name);
		if (find(args, len, name, n) != !!*name)
			bad++;
		if (!memchr(name, '\0', n))
			bad++;
		/* It goes into the kernel's log and a file of one line. */
		for (i = 0; i < n && name[i]; i++)
			bad += (unsigned char)name[i] < ' ' || name[i] == 127;
	}
	tap_equal(bad, 0, "vm_name: hostile input gives a name of one line, or none");
}

/**
 * test_vm_name() - what a VM is called
 */
void test_vm_name(void)
{
	test_names();
	test_cut();
	test_prefixes();
	test_hostile();
}
