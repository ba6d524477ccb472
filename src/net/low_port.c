#include "net/low_port.h"

#include "service/sandbox.h"

const char *low_port_fix(uint16_t port, char fix[static WHY_MAX])
{
	if (systemd_started_this())
		because(fix, 0, "install the drop-in privileged-ports.conf (systemd/examples)");
	else
		because(fix, 0,
			"sysctl -w net.ipv4.ip_unprivileged_port_start=%u, which a container with "
			"a network of its own gets by --sysctl",
			port);
	return fix;
}
