// SPDX-License-Identifier: GPL-2.0
/* Sizes, settings of a VM, and the XML that keeps them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain_xml.h"
#include "settings.h"
#include "sysfs.h"
#include "tap.h"
#include "text.h"
#include "tree.h"

static void test_sizes(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t bytes;
	} cases[] = {
		{ "512MiB", 0, 512ull << 20 },
		{ "2 GiB", 0, 2ull << 30 },
		{ "64M", 0, 64ull << 20 },
		{ "64m", 0, 64ull << 20 },
		{ "1KB", 0, 1000 },
		{ "3kib", 0, 3072 },
		{ "2GB", 0, 2000000000 },
		{ "1T", 0, 1ull << 40 },
		{ "15P", 0, 15ull << 50 },
		{ "7b", 0, 7 },
		{ "7 bytes", 0, 7 },
		{ "0", 0, 0 },
		{ "0 ", 0, 0 },
		{ "0MiB", 0, 0 },
		{ "512", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "MiB", -EINVAL, 0 },
		{ "-1MiB", -EINVAL, 0 },
		{ "1.5GiB", -EINVAL, 0 },
		{ "1 MiBx", -EINVAL, 0 },
		{ "1 XiB", -EINVAL, 0 },
		{ "1MiB ", -EINVAL, 0 },
		{ "1Mi", -EINVAL, 0 },
		{ "20000000TiB", -ERANGE, 0 },
		{ "18446744073709551616b", -ERANGE, 0 },
		{ "18446744073709551615b", 0, UINT64_MAX },
		{ "100000000000000000000000000000b", -ERANGE, 0 },
	};
	uint64_t bytes;
	size_t i;
	int error;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bytes = 42;
		error = mrm_parse_size(cases[i].text, &bytes);
		tap_ok(error == cases[i].error && bytes == (error ? 42 : cases[i].bytes),
		       "size \"%s\"", cases[i].text);
	}
}

static void test_put(void)
{
	struct mrm_settings settings = { 0 }, more = { 0 };
	char why[MRM_WHY_MAX], salt[MRM_SALT_MAX + 2];

	tap_ok(!mrm_settings_put(&settings, MRM_SHARES, "high", why) &&
		       !mrm_settings_put(&settings, MRM_SHARES, "1000000000", why) &&
		       !mrm_settings_put(&settings, MRM_MIN, "512 MiB", why),
	       "settings are taken");
	tap_ok(mrm_settings_bytes(&settings, MRM_MIN) == 512ull << 20 &&
		       !mrm_settings_bytes(&settings, MRM_MAX),
	       "min is a size, and max at its default");
	tap_ok(mrm_settings_put(&settings, MRM_SHARES, "0", why) == -EINVAL &&
		       mrm_settings_put(&settings, MRM_SHARES, "1000000001", why) == -EINVAL &&
		       mrm_settings_put(&settings, MRM_SHARES, "High", why) == -EINVAL,
	       "shares that are none");
	tap_has(why, "not \"High\"", "and why");
	tap_text(settings.text[MRM_SHARES], "1000000000", "leave what was there");
	memset(salt, 's', sizeof(salt) - 1);
	salt[sizeof(salt) - 1] = '\0';
	tap_ok(mrm_settings_put(&settings, MRM_SALT, salt, why) == -EINVAL, "a salt too long");
	tap_ok(!strstr(why, "sss"), "is not repeated");
	tap_ok(!mrm_settings_put(&more, MRM_MAX, "1MiB", why) &&
		       !mrm_settings_put(&more, MRM_SHARES, "", why),
	       "more settings");
	tap_ok(mrm_settings_put(&more, MRM_SHARE, "maybe", why) == -EINVAL,
	       "a switch that is none");
	tap_has(why, "share is \"on\" or \"off\", not \"maybe\"", "and why");
	mrm_settings_merge(&settings, &more);
	tap_text(settings.text[MRM_SHARES], "", "override");
	tap_text(settings.text[MRM_MIN], "512 MiB", "or leave alone");
	tap_ok(mrm_settings_check(&settings, why) == -EINVAL, "a min above its max");
	tap_has(why, "its min, 512 MiB, is more than its max, 1MiB", "and why");
}

/**
 * struct refusals - what was refused
 * @count: how often
 * @error: the last
 */
struct refusals {
	unsigned int count;
	int error;
};

static void count_refused(void *data, const char *file, const char *value, int error)
{
	struct refusals *refusals = data;

	(void)file;
	(void)value;
	refusals->count++;
	refusals->error = error;
}

/* Both default to on, and a VM whose salt cannot be changed does not begin to share. */
static void test_switches(struct mrm_root *root, const struct mrm_vm *vm, const struct tree *tree)
{
	struct refusals refusals = { 0 };
	struct mrm_settings settings = { 0 };
	char why[MRM_WHY_MAX], text[64], path[256];

	mrm_settings_put(&settings, MRM_SHARE, "off", why);
	mrm_settings_put(&settings, MRM_LARGE, "0", why);
	tap_ok(!mrm_settings_apply(root, vm, &settings, 0, count_refused, &refusals),
	       "switches are applied");
	tree_read(tree, "vm/20/share", text, sizeof(text));
	tap_text(text, "0\n", "no sharing");
	tree_read(tree, "vm/20/alloc_guest_large_page", text, sizeof(text));
	tap_text(text, "0\n", "no large pages");

	mrm_settings_put(&settings, MRM_SHARE, "on", why);
	mrm_settings_put(&settings, MRM_LARGE, "", why);
	mrm_settings_put(&settings, MRM_SALT, "new", why);
	snprintf(path, sizeof(path), "%s/vm/20/salt", tree->path);
	if (remove(path) || mkdir(path, 0700))
		exit(2);
	tap_ok(mrm_settings_apply(root, vm, &settings, 0, count_refused, &refusals) &&
		       refusals.count == 1,
	       "a salt is not taken");
	tree_read(tree, "vm/20/share", text, sizeof(text));
	tap_text(text, "0\n", "so nothing is shared under the old one");
	tree_read(tree, "vm/20/alloc_guest_large_page", text, sizeof(text));
	tap_text(text, "1\n", "the rest is applied");
	if (rmdir(path))
		exit(2);
	tree_write(tree, "vm/20/salt", "");
	tap_ok(!mrm_settings_apply(root, vm, &settings, 0, count_refused, &refusals),
	       "with the salt");
	tree_read(tree, "vm/20/share", text, sizeof(text));
	tap_text(text, "1\n", "it shares");
}

static void test_apply(void)
{
	struct mrm_vm vm = { .pid = 20 };
	struct mrm_settings settings = { 0 };
	struct refusals refusals = { 0 };
	char why[MRM_WHY_MAX], text[64];
	struct mrm_root root;
	struct mrm_vms vms;
	struct tree tree;

	tree_make(&tree);
	tree_add_vm(&tree, 20, "web", 1);
	mrm_open(&root, tree.path);
	mrm_vms_read(&root, &vms, 0);
	vm = vms.vm[0];
	mrm_vms_free(&vms);

	mrm_settings_put(&settings, MRM_MIN, "1GiB", why);
	mrm_settings_put(&settings, MRM_SALT, "pepper", why);
	tap_ok(!mrm_settings_apply(&root, &vm, &settings, 0, count_refused, &refusals) &&
		       !refusals.count,
	       "settings are applied");
	tree_read(&tree, "vm/20/min_bytes", text, sizeof(text));
	tap_text(text, "1073741824\n", "min in bytes");
	tree_read(&tree, "vm/20/salt", text, sizeof(text));
	tap_text(text, "pepper\n", "a salt as it is");
	tree_read(&tree, "vm/20/max_bytes", text, sizeof(text));
	tap_text(text, "0\n", "and what was not given left alone");

	test_switches(&root, &vm, &tree);
	tree_write(&tree, "unreserved_bytes", "2147483648");
	mrm_settings_put(&settings, MRM_MIN, "3GiB", why);
	tap_ok(!mrm_settings_apply(&root, &vm, &settings, 0, count_refused, &refusals) &&
		       !refusals.count,
	       "what is more is not asked for");
	mrm_settings_put(&settings, MRM_MIN, "4GiB", why);
	tap_ok(!mrm_settings_apply(&root, &vm, &settings, 1ull << 30, count_refused, &refusals) &&
		       !refusals.count,
	       "nor what was not promised to guests that are starting");
	mrm_settings_put(&settings, MRM_MIN, "6GiB", why);
	tap_ok(mrm_settings_apply(&root, &vm, &settings, 1ull << 30, count_refused, &refusals) ==
			       -ENOSPC &&
		       refusals.count == 1 && refusals.error == -ENOSPC,
	       "what was, is refused");
	tree_read(&tree, "vm/20/min_bytes", text, sizeof(text));
	tap_text(text, "4294967296\n", "and min stays what it was");
	mrm_settings_put(&settings, MRM_MIN, "1GiB", why);
	tap_ok(!mrm_settings_apply(&root, &vm, &settings, 9ull << 30, count_refused, &refusals),
	       "less can be had always");
	refusals.count = 0;
	vm.node++;
	tap_ok(mrm_settings_apply(&root, &vm, &settings, 0, count_refused, &refusals) == -ENODEV &&
		       refusals.count == 2 && refusals.error == -ENODEV,
	       "a VM that has ended is not told");
	mrm_close(&root);
	tree_remove(&tree);
}

/**
 * test_settings() - sizes and settings
 */
void test_settings(void)
{
	test_sizes();
	test_put();
	test_apply();
}

#define ELEMENT(attributes) "<memory xmlns='" MRM_XMLNS "' " attributes "/>"
#define DOMAIN(inside) \
	"<domain type='kvm'><name>web</name><memory unit='MiB'>512</memory>" inside "</domain>"
#define METADATA(attributes)                                                            \
	"<metadata><other:x xmlns:other='urn:other'/><mrm:memory xmlns:mrm='" MRM_XMLNS \
	"' " attributes "/></metadata>"

static void test_element(void)
{
	struct mrm_settings settings;
	char why[MRM_WHY_MAX];
	char *xml;

	tap_ok(!mrm_element_parse(ELEMENT("shares='low' min='1 MiB' max='1GiB' salt='a&lt;b'"),
				  &settings, why),
	       "the element is read");
	tap_ok(settings.given[MRM_MIN] && mrm_settings_bytes(&settings, MRM_MAX) == 1ull << 30,
	       "all of it");
	tap_text(settings.text[MRM_SALT], "a<b", "without its escapes");
	xml = mrm_element_format(&settings);
	tap_text(xml, "<memory shares=\"low\" min=\"1 MiB\" max=\"1GiB\" salt=\"a&lt;b\"/>",
		 "and written again");
	free(xml);
	tap_ok(!mrm_element_parse(ELEMENT("share='off' large='off'"), &settings, why),
	       "switches are read");
	xml = mrm_element_format(&settings);
	tap_text(xml, "<memory share=\"off\" large=\"off\"/>", "and written again");
	free(xml);
	tap_ok(mrm_element_parse(ELEMENT("mni='1MiB'"), &settings, why) == -EINVAL,
	       "an attribute that there is not");
	tap_has(why, "no attribute \"mni\"", "is named");
	tap_ok(mrm_element_parse(ELEMENT("min='2MiB' max='1MiB'"), &settings, why) == -EINVAL,
	       "settings that do not agree");
	tap_ok(mrm_element_parse("<memory", &settings, why) == -EINVAL &&
		       mrm_element_parse("", &settings, why) == -EINVAL &&
		       mrm_element_parse("<cpu/>", &settings, why) == -EINVAL,
	       "something else");
	memset(&settings, 0, sizeof(settings));
	xml = mrm_element_format(&settings);
	tap_ok(!xml, "all at its default is no element");
	free(xml);
}

static bool is_foreign(const char *backing)
{
	struct mrm_domain domain;
	char xml[512];
	bool foreign;

	snprintf(xml, sizeof(xml),
		 "<domain type='kvm'><name>a</name><memory>1024</memory>"
		 "<memoryBacking>%s</memoryBacking></domain>",
		 backing);
	if (mrm_domain_parse(xml, &domain))
		exit(2);
	foreign = domain.foreign;
	mrm_domain_free(&domain);
	return foreign;
}

static bool is_pinned(const char *inside)
{
	struct mrm_domain domain;
	char xml[512];
	bool pinned;

	snprintf(xml, sizeof(xml),
		 "<domain type='kvm'><name>a</name><memory>1024</memory>%s</domain>", inside);
	if (mrm_domain_parse(xml, &domain))
		exit(2);
	pinned = domain.pinned;
	mrm_domain_free(&domain);
	return pinned;
}

static void test_kinds(void)
{
	struct mrm_domain domain;

	tap_ok(is_foreign("<hugepages/>") &&
		       is_foreign("<hugepages><page size='1' unit='G'/></hugepages>") &&
		       is_foreign("<source type='memfd'/>") && is_foreign("<source type='file'/>"),
	       "from huge pages, and from files, nothing can be taken");
	tap_ok(!is_foreign("") && !is_foreign("<source type='anonymous'/><locked/>") &&
		       !is_foreign("<hugepages><page size='2' unit='M' nodeset='1'/></hugepages>"),
	       "from others it can, or from a part of it");
	tap_ok(is_pinned("<memoryBacking><locked/></memoryBacking>") &&
		       is_pinned("<devices><hostdev mode='subsystem' type='pci'/></devices>") &&
		       is_pinned(
			       "<devices><disk/><hostdev mode='subsystem' type='mdev'/></devices>") &&
		       is_pinned("<devices><interface type='hostdev'/></devices>") &&
		       is_pinned("<devices><interface type='vdpa'/></devices>") &&
		       is_pinned("<devices><disk type='nvme'/></devices>"),
	       "from one that is locked, or has a device assigned, nothing can be taken");
	tap_ok(!is_pinned("") &&
		       !is_pinned("<devices><hostdev mode='subsystem' type='usb'/></devices>"),
	       "a USB device reaches no memory");
	tap_ok(!mrm_domain_parse("<domain type='qemu'><name>a</name><memory>1024</memory></domain>",
				 &domain) &&
		       domain.emulated,
	       "one without KVM is told");
	mrm_domain_free(&domain);
}

#define BALLOON_AND(devices) DOMAIN("<devices><memballoon model='virtio'/>" devices "</devices>")

/* libvirt counts in <memory> what QEMU's balloon does not know of. */
static void test_other_memory(void)
{
	struct mrm_domain domain;

	tap_ok(!mrm_domain_parse(BALLOON_AND("<memory model='dimm'/>"), &domain) &&
		       domain.balloon && !*domain.other,
	       "a DIMM that was plugged in is the balloon's");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(BALLOON_AND("<memory model='dimm'/><memory model='virtio-mem'/>"),
				 &domain) &&
		       !domain.balloon,
	       "with other memory a balloon is left alone");
	tap_text(domain.other, "virtio-mem", "and it is said for which");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(BALLOON_AND("<memory model='nvdimm'/>"), &domain) &&
		       !domain.balloon && !strcmp(domain.other, "nvdimm"),
	       "for an NVDIMM, too");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(DOMAIN("<devices><memory model='nvdimm'/></devices>"), &domain) &&
		       !domain.balloon && !*domain.other,
	       "nothing is said where there is no balloon");
	mrm_domain_free(&domain);
}

static void test_domain(void)
{
	struct mrm_domain domain;

	tap_ok(!mrm_domain_parse(
		       DOMAIN(METADATA("min='256 MiB'") "<currentMemory unit='KiB'>"
							"262144</currentMemory>"
							"<devices><memballoon model='virtio'/>"
							"</devices>"),
		       &domain) &&
		       domain.size == 512ull << 20 && domain.current == 256ull << 20 &&
		       domain.balloon && domain.element && !*domain.wrong &&
		       mrm_settings_bytes(&domain.settings, MRM_MIN) == 256ull << 20,
	       "a domain is read");
	tap_text(domain.name, "web", "with its name");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(DOMAIN("<devices><memballoon model='none'/></devices>"),
				 &domain) &&
		       !domain.balloon && !domain.element && domain.current == domain.size,
	       "one without a balloon");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(DOMAIN(METADATA("min='lots'")), &domain) && domain.element,
	       "one that is wrong");
	tap_has(domain.wrong, "not \"lots\"", "says how");
	mrm_domain_free(&domain);
	tap_ok(!mrm_domain_parse(DOMAIN("<metadata><memory xmlns='urn:other' min='x'/></metadata>"),
				 &domain) &&
		       !domain.element,
	       "what others call memory is theirs");
	mrm_domain_free(&domain);
	tap_ok(mrm_domain_parse("<domain><memory>1</memory></domain>", &domain) == -EINVAL,
	       "a domain without a name");
	mrm_domain_free(&domain);
	tap_ok(mrm_domain_parse("<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
				"<domain><name>&e;</name><memory>1</memory></domain>",
				&domain) == -EINVAL ||
		       !strstr(domain.name, "root"),
	       "an entity reads no file");
	mrm_domain_free(&domain);
}

/**
 * test_domain_xml() - XML of domains
 */
void test_domain_xml(void)
{
	test_element();
	test_domain();
	test_other_memory();
	test_kinds();
}
