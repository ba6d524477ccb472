/* Whether a sender's address belongs to the network that its datagrams came from: the kernel's
 * route to it must lead out of the interface that they came in on, as for the strict check of
 * rp_filter (RFC 3704, section 2.2). Of several next hops (ECMP) one must be there.
 *
 * The route is that of the main lookup: rules by mark, source or incoming interface do not count,
 * and addresses behind an interface in a VRF have no route there, so that they are refused. Answers
 * of the kernel are valid for a second, or until reverse_path_forget(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

struct reverse_path;

struct reverse_path *reverse_path_new(void); /* NULL without memory */
void reverse_path_free(struct reverse_path *paths); /* accepts NULL */

/* Whether the source may have sent what came in on the interface. False for addresses of this host
 * and those that are loopback, multicast, broadcast, link-local or unspecified; and where the
 * kernel cannot be asked. Takes one request to the kernel for each source and second. now_ns is
 * CLOCK_MONOTONIC. */
bool reverse_path_leads_to(struct reverse_path *paths, const struct address *source,
	unsigned ifindex, uint64_t now_ns);

/* To be called when links, addresses or routes have changed. */
void reverse_path_forget(struct reverse_path *paths);
