/* Who holds a UDP port, as /proc/net/udp and /proc/net/udp6 tell it. */
#pragma once

#include "base/errors.h"
#include "net/address.h"

/* Says why an address cannot be bound to. ss(8) is named only where it can show the program:
 * sockets of the kernel itself, such as VXLAN's, have none. Returns -EADDRINUSE. */
int holder_explain(const struct address *address, unsigned port, char why[static WHY_MAX]);
