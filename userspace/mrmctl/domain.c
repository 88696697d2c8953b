// SPDX-License-Identifier: GPL-2.0
/* A guest's settings where its owner keeps them: in its XML, by libvirt. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "domain.h"
#include "domain_xml.h"
#include "libvirt_pid.h"

static void silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

/**
 * domain_find() - look a domain up
 * @domain: filled in, to be closed with domain_close()
 * @name: its name
 *
 * Return: STATUS_OK, also when there is no such domain, or STATUS_FAILED after a
 * complaint: libvirt cannot be asked.
 */
int domain_find(struct domain *domain, const char *name)
{
	memset(domain, 0, sizeof(*domain));
	virSetErrorFunc(NULL, silent);
	domain->connection = virConnectOpen(MRM_LIBVIRT_URI);
	if (!domain->connection) {
		complain("libvirt cannot be asked about \"%s\": %s", name,
			 virGetLastErrorMessage());
		return STATUS_FAILED;
	}
	domain->handle = virDomainLookupByName(domain->connection, name);
	if (domain->handle || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return STATUS_OK;
	complain("libvirt: %s", virGetLastErrorMessage());
	return STATUS_FAILED;
}

/**
 * domain_close() - leave libvirt
 * @domain: as domain_find() left it
 */
void domain_close(struct domain *domain)
{
	if (domain->handle)
		virDomainFree(domain->handle);
	if (domain->connection)
		virConnectClose(domain->connection);
	memset(domain, 0, sizeof(*domain));
}

/* More than its memory, @kib, is refused; 0: libvirt does not say. */
static bool is_above(const char *name, const char *which, const struct mrm_settings *settings,
		     enum mrm_setting setting, unsigned long long kib)
{
	if (!kib || mrm_settings_bytes(settings, setting) >> 10 <= kib)
		return false;
	complain("%s: its %s, %s, is more than its memory, %llu MiB", name, which,
		 settings->text[setting], kib >> 10);
	return true;
}

/* What its XML will say, with what is new. */
static int merge(const struct domain *domain, unsigned int scope, const struct mrm_settings *more,
		 struct mrm_settings *settings)
{
	const char *name = virDomainGetName(domain->handle);
	unsigned long long kib = virDomainGetMaxMemory(domain->handle);
	char why[MRM_WHY_MAX], *xml;
	int error = 0;

	memset(settings, 0, sizeof(*settings));
	xml = virDomainGetMetadata(domain->handle, VIR_DOMAIN_METADATA_ELEMENT, MRM_XMLNS, scope);
	if (xml) {
		error = mrm_element_parse(xml, settings, why);
	} else if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA) {
		error = -EIO;
		snprintf(why, sizeof(why), "%s", virGetLastErrorMessage());
	}
	free(xml);
	if (error) {
		complain("%s: what its XML says in <metadata> about its memory: %s", name, why);
		return STATUS_FAILED;
	}
	mrm_settings_merge(settings, more);
	if (mrm_settings_check(settings, why)) {
		complain("%s: %s", name, why);
		return STATUS_FAILED;
	}
	if (is_above(name, "min", settings, MRM_MIN, kib) ||
	    (more->given[MRM_MAX] && is_above(name, "max", settings, MRM_MAX, kib)))
		return STATUS_FAILED;
	return STATUS_OK;
}

/* Where to write: a bit for each, as libvirt has them. */
static unsigned int scopes(const struct domain *domain, const struct options *options)
{
	bool active = virDomainIsActive(domain->handle) == 1;
	bool persistent = virDomainIsPersistent(domain->handle) == 1;

	return (active && !options->config ? VIR_DOMAIN_AFFECT_LIVE : 0) |
	       (persistent && !options->live ? VIR_DOMAIN_AFFECT_CONFIG : 0);
}

static int visit(const struct domain *domain, const struct options *options,
		 const struct mrm_settings *more, bool write)
{
	static const unsigned int all[] = { VIR_DOMAIN_AFFECT_LIVE, VIR_DOMAIN_AFFECT_CONFIG };
	unsigned int wanted = scopes(domain, options);
	const char *name = virDomainGetName(domain->handle);
	struct mrm_settings settings;
	int status = STATUS_OK;
	size_t i;

	if (!wanted) {
		complain("%s: %s", name,
			 options->live ? "it does not run"
				       : "it is transient: it has no XML for a next start");
		return STATUS_FAILED;
	}
	for (i = 0; i < 2 && !status; i++) {
		char *xml;

		if (!(wanted & all[i]))
			continue;
		status = merge(domain, all[i], more, &settings);
		if (status || !write)
			continue;
		xml = mrm_element_format(&settings);
		if (virDomainSetMetadata(domain->handle, VIR_DOMAIN_METADATA_ELEMENT, xml,
					 MRM_XML_PREFIX, MRM_XMLNS, all[i]) < 0) {
			complain("%s: libvirt does not keep it: %s", name,
				 virGetLastErrorMessage());
			status = STATUS_FAILED;
		}
		free(xml);
	}
	return status;
}

/**
 * domain_check() - whether domain_write() will have anything against it
 * @domain: the domain
 * @options: from the command line
 * @settings: to be set
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint.
 */
int domain_check(const struct domain *domain, const struct options *options,
		 const struct mrm_settings *settings)
{
	return visit(domain, options, settings, false);
}

/**
 * domain_write() - set settings in a domain's XML
 * @domain: the domain
 * @options: from the command line
 * @settings: to be set; the others stay
 *
 * Return: STATUS_OK, or STATUS_FAILED after a complaint.
 */
int domain_write(const struct domain *domain, const struct options *options,
		 const struct mrm_settings *settings)
{
	return visit(domain, options, settings, true);
}
