/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRMCTL_DOMAIN_H
#define MRMCTL_DOMAIN_H

#include <libvirt/libvirt.h>

#include "mrmctl.h"
#include "settings.h"

/**
 * struct domain - a guest of libvirt
 * @connection: to libvirt
 * @handle: the domain, or NULL when there is none of that name
 */
struct domain {
	virConnectPtr connection;
	virDomainPtr handle;
};

int domain_find(struct domain *domain, const char *name);
void domain_close(struct domain *domain);
int domain_check(const struct domain *domain, const struct options *options,
		 const struct mrm_settings *settings);
int domain_write(const struct domain *domain, const struct options *options,
		 const struct mrm_settings *settings);

#endif
