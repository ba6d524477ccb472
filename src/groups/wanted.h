/* The interfaces that a group is to be joined on, or receives at. */
#pragma once

#include "config/config.h"
#include "net/interface.h"

/* name: of an interface; or what the configuration names, or "*", where that is none now. Returns 0
 * or a negative errno, which ends it. */
typedef int want_interface(void *argument, const char *name);

/* Calls want() for each interface that the group wants, of those that there are now; maybe more
 * than once. Where the configuration only leaves some out, all others are wanted. Returns 0 or
 * more, or what has ended it. */
int wanted_interfaces(const struct config_group *config, const struct interface_list *interfaces,
	want_interface *want, void *argument);
