/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_DOMAIN_XML_H
#define MRM_DOMAIN_XML_H

#include "settings.h"

/**
 * struct mrm_domain - what is of interest in a domain's XML
 * @name: of the domain, to be freed
 * @size: its memory, in bytes, with what was plugged in
 * @current: what its balloon leaves it, in bytes
 * @balloon: it has a balloon that can be driven
 * @other: why its balloon cannot: a model of memory that libvirt counts and QEMU's balloon
 *         does not; empty if there is none
 * @emulated: it does without KVM, so the module has nothing to do with it
 * @foreign: its memory is of huge pages or of a file, from which nothing can be taken
 * @pinned: nor from this, as it is locked or a device is assigned
 * @element: it says something about its memory in our namespace
 * @settings: what it says there
 * @wrong: why that cannot be understood; empty when it can
 */
struct mrm_domain {
	char *name;
	uint64_t size;
	uint64_t current;
	bool balloon;
	char other[16];
	bool emulated;
	bool foreign;
	bool pinned;
	bool element;
	struct mrm_settings settings;
	char wrong[MRM_WHY_MAX];
};

int mrm_domain_parse(const char *xml, struct mrm_domain *domain);
void mrm_domain_free(struct mrm_domain *domain);
int mrm_element_parse(const char *xml, struct mrm_settings *settings, char why[MRM_WHY_MAX]);
char *mrm_element_format(const struct mrm_settings *settings);

#endif
