/* The sockets of relays with keep_source (net/spoof.h): who opens them and when, and what is said
 * where they are missing. */
#pragma once

#include "config/config.h"
#include "daemon/options.h"
#include "net/spoof.h"

/* Opens the sockets if the configuration needs them, and then drops CAP_NET_RAW for good. Must come
 * before there are threads, programs of handlers, or datagrams. Where they cannot be had, logs why
 * and leaves *ret as it is: handlers say what becomes of their datagrams. Returns 0; or a negative
 * errno with the reason in why when the capability cannot be dropped: the daemon must not continue.
 */
int keep_source_open(const struct config *config, char why[static WHY_MAX], struct spoof **ret);

/* Adds a warning for each handler with keep_source, where the sockets could not be had. */
void keep_source_warn(struct config *config);
