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
