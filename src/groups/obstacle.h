/* Why a group cannot be joined on an interface now. */
#pragma once

#include "base/errors.h"
#include "config/config.h"
#include "net/interface.h"

/* wanted is what the configuration calls the interface; interface is NULL while there is none of
 * that name. Returns NULL when it can be joined, else the reason: a constant, or why. */
const char *obstacle_find(const struct config_group *config, const char *wanted,
	const struct interface_list *interfaces, const struct interface *interface,
	char why[static WHY_MAX]);

/* Why the configuration no longer means the interface of this name, that it meant before the links
 * changed. Returns a constant, or why. */
const char *obstacle_explain_left(const struct config_group *config, const char *name,
	const struct interface_list *interfaces, char why[static WHY_MAX]);
