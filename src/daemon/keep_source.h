/* The sockets of relays with keep_source (net/spoof.h): who opens them and when, and what is said
 * where they are missing. */
#pragma once

#include "config/config.h"
#include "daemon/options.h"
#include "net/spoof.h"

/* Opens the sockets if the configuration needs them, and then drops CAP_NET_RAW for good. Must come
 * before there are threads, programs of handlers, or datagrams. Where they cannot be had, *ret is
 * NULL and the configuration has a warning more. Returns 0; or a negative errno with the reason in
 * why when the capability cannot be dropped: the daemon must not continue. */
int keep_source_open(struct config *config, char why[static WHY_MAX], struct spoof **ret);

/* Adds a warning for each handler with keep_source to a configuration that a daemon reloads which
 * has no such sockets. */
void keep_source_warn_reload(struct config *config);

/* The same for a configuration that is only checked, if the service would not have the capability
 * either: for a file in the directory of mcastd.conf its unit's drop-ins tell, else the checking
 * process. */
void keep_source_warn_check(struct config *config, const char *path);
