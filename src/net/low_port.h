/* Ports below net.ipv4.ip_unprivileged_port_start (usually 1024), which take CAP_NET_BIND_SERVICE
 * (ip(7)). */
#pragma once

#include <stdint.h>

#include "base/errors.h"

/* Writes how this process may use the port: what to give the unit, or where it runs otherwise,
 * which sysctl to set. Returns fix. */
const char *low_port_fix(uint16_t port, char fix[static WHY_MAX]);
