// SPDX-License-Identifier: GPL-2.0
/* What libvirt's XML says about a domain's memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "domain_xml.h"
#include "text.h"

/* Nothing outside of the text is read, whatever it refers to; errors are ours to say. */
#define PARSE_FLAGS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static xmlDocPtr parse(const char *xml)
{
	return xmlReadMemory(xml, strlen(xml), "domain.xml", NULL, PARSE_FLAGS);
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

static bool is_ours(const xmlNode *node)
{
	return is(node, MRM_XML_ELEMENT) && node->ns && node->ns->href &&
	       !strcmp((const char *)node->ns->href, MRM_XMLNS);
}

static xmlNode *child(const xmlNode *parent, const char *name)
{
	xmlNode *node = parent ? parent->children : NULL;

	while (node && !is(node, name))
		node = node->next;
	return node;
}

/* A size as libvirt has it: <memory unit='KiB'>1024</memory>; KiB by default. */
static uint64_t read_size(const xmlNode *node)
{
	xmlChar *number = node ? xmlNodeGetContent(node) : NULL;
	xmlChar *unit = node ? xmlGetProp(node, BAD_CAST "unit") : NULL;
	uint64_t bytes = 0;
	char text[64];

	snprintf(text, sizeof(text), "%s%s", number ? (char *)number : "",
		 unit ? (char *)unit : "KiB");
	mrm_parse_size(text, &bytes);
	xmlFree(number);
	xmlFree(unit);
	return bytes;
}

/* An attribute that nobody knows is a mistake in one that somebody meant. */
static int read_element(const xmlNode *element, struct mrm_settings *settings,
			char why[MRM_WHY_MAX])
{
	const xmlAttr *attribute;
	int which, error = 0;
	xmlChar *value;

	for (attribute = element->properties; attribute && !error; attribute = attribute->next) {
		const char *name = (const char *)attribute->name;

		which = mrm_setting_find(name, strlen(name));
		if (which < 0) {
			snprintf(why, MRM_WHY_MAX,
				 "there is no attribute \"%.60s\"; there are " MRM_SETTING_WORDS,
				 name);
			return -EINVAL;
		}
		value = xmlNodeListGetString(element->doc, attribute->children, 1);
		error = mrm_settings_put(settings, which, value ? (char *)value : "", why);
		xmlFree(value);
	}
	return error ? error : mrm_settings_check(settings, why);
}

/**
 * mrm_element_parse() - read our element by itself
 * @xml: as from virDomainGetMetadata()
 * @settings: receives what it says
 * @why: receives a sentence on error
 *
 * Return: 0, or -EINVAL.
 */
int mrm_element_parse(const char *xml, struct mrm_settings *settings, char why[MRM_WHY_MAX])
{
	xmlDocPtr doc = parse(xml);
	xmlNode *element = doc ? xmlDocGetRootElement(doc) : NULL;
	int error = -EINVAL;

	memset(settings, 0, sizeof(*settings));
	if (element && is(element, MRM_XML_ELEMENT))
		error = read_element(element, settings, why);
	else
		snprintf(why, MRM_WHY_MAX, "there is something else in the place of <%s:%s>",
			 MRM_XML_PREFIX, MRM_XML_ELEMENT);
	xmlFreeDoc(doc);
	return error;
}

/**
 * mrm_element_format() - write our element
 * @settings: what it shall say; defaults are left out
 *
 * Return: XML for virDomainSetMetadata(), to be freed, or NULL when all is
 * default, or without memory.
 */
char *mrm_element_format(const struct mrm_settings *settings)
{
	xmlNodePtr node = xmlNewNode(NULL, BAD_CAST MRM_XML_ELEMENT);
	xmlBufferPtr buffer = xmlBufferCreate();
	char *xml = NULL;
	int i;

	for (i = 0; node && i < MRM_SETTINGS; i++)
		if (*settings->text[i])
			xmlNewProp(node, BAD_CAST mrm_setting_names[i], BAD_CAST settings->text[i]);
	if (node && buffer && node->properties && xmlNodeDump(buffer, NULL, node, 0, 0) > 0)
		xml = strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	xmlFreeNode(node);
	return xml;
}

static void read_metadata(const xmlNode *metadata, struct mrm_domain *domain)
{
	xmlNode *node;

	for (node = metadata ? metadata->children : NULL; node; node = node->next) {
		if (!is_ours(node))
			continue;
		domain->element = true;
		read_element(node, &domain->settings, domain->wrong);
		return;
	}
}

static bool has(const xmlNode *node, const char *key, const char *value)
{
	xmlChar *text = node ? xmlGetProp((xmlNode *)node, BAD_CAST key) : NULL;
	bool same = text && !strcmp((const char *)text, value);

	xmlFree(text);
	return same;
}

/*
 * In QEMU a balloon's target and what it says are of the memory that the VM began with and of
 * DIMMs.  What libvirt makes of that for other models depends on its version, so a target of
 * ours might be another one for the guest.
 */
static void read_balloon(const xmlNode *devices, struct mrm_domain *domain)
{
	const xmlNode *node = child(devices, "memballoon");
	xmlChar *model;

	if (!node || has(node, "model", "none"))
		return;
	domain->balloon = true;
	for (node = devices->children; node; node = node->next) {
		if (!is(node, "memory") || has(node, "model", "dimm"))
			continue;
		model = xmlGetProp((xmlNode *)node, BAD_CAST "model");
		snprintf(domain->other, sizeof(domain->other), "%s",
			 model ? (char *)model : "unknown");
		domain->balloon = false;
		xmlFree(model);
	}
}

/* All of it; huge pages for a part of its nodes are for a part of its memory. */
static bool is_foreign(const xmlNode *backing)
{
	const xmlNode *huge = child(backing, "hugepages"), *source = child(backing, "source");
	const xmlNode *page = child(huge, "page");

	if (has(source, "type", "file") || has(source, "type", "memfd"))
		return true;
	return huge && !(page && xmlHasProp((xmlNode *)page, BAD_CAST "nodeset"));
}

/* A device that is assigned may reach all of it at any time. */
static bool has_device(const xmlNode *devices)
{
	const xmlNode *node = devices ? devices->children : NULL;

	for (; node; node = node->next)
		if ((is(node, "hostdev") &&
		     (has(node, "type", "pci") || has(node, "type", "mdev"))) ||
		    (is(node, "interface") &&
		     (has(node, "type", "hostdev") || has(node, "type", "vdpa"))) ||
		    (is(node, "disk") && has(node, "type", "nvme")))
			return true;
	return false;
}

/**
 * mrm_domain_parse() - read what is of interest in a domain's XML
 * @xml: of a domain, as libvirt hands it to hooks and from virDomainGetXMLDesc()
 * @domain: filled in, to be freed with mrm_domain_free(), on error too
 *
 * Return: 0, or -EINVAL when it is no domain with a name and memory.
 */
int mrm_domain_parse(const char *xml, struct mrm_domain *domain)
{
	xmlDocPtr doc = parse(xml);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL, *node;
	xmlChar *name = NULL;

	memset(domain, 0, sizeof(*domain));
	if (root && is(root, "domain")) {
		node = child(root, "name");
		name = node ? xmlNodeGetContent(node) : NULL;
		domain->name = name ? strdup((const char *)name) : NULL;
		domain->size = read_size(child(root, "memory"));
		node = child(root, "currentMemory");
		domain->current = node ? read_size(node) : domain->size;
		read_balloon(child(root, "devices"), domain);
		domain->emulated = has(root, "type", "qemu");
		domain->foreign = is_foreign(child(root, "memoryBacking"));
		domain->pinned = child(child(root, "memoryBacking"), "locked") ||
				 has_device(child(root, "devices"));
		read_metadata(child(root, "metadata"), domain);
	}
	xmlFree(name);
	xmlFreeDoc(doc);
	return domain->name && domain->size ? 0 : -EINVAL;
}

/**
 * mrm_domain_free() - free what mrm_domain_parse() filled in
 * @domain: what it says about settings stays
 */
void mrm_domain_free(struct mrm_domain *domain)
{
	free(domain->name);
	domain->name = NULL;
}
