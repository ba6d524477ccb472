#include "engines/mqtt/goodbye.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define GOODBYE_NS (2 * NS_PER_S) /* for the broker to read the end and close */

/* Reads to the end without looking: closing a socket with something unread would reset the
 * connection, and with it what the broker has not read yet. */
static void drain(int fd, uint64_t until_ns)
{
	char buffer[16384];

	shutdown(fd, SHUT_WR);
	while (wait_until_ready(fd, POLLIN, until_ns)) {
		ssize_t n = read(fd, buffer, sizeof(buffer));

		/* A broker may go on writing for ever. */
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR) ||
			clock_ns(CLOCK_MONOTONIC) >= until_ns)
			return;
	}
}

void goodbye(struct mosquitto *client, uint64_t until_ns)
{
	/* The library closes its socket as soon as it has written the last message. */
	AUTO_CLOSE int fd = dup(mosquitto_socket(client));

	mosquitto_disconnect_v5(client, 0, NULL);
	while (mosquitto_socket(client) >= 0 && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		wait_until_ready(mosquitto_socket(client), POLLOUT, until_ns);
		if (mosquitto_loop_write(client, 1))
			break;
	}
	if (fd >= 0)
		drain(fd, earlier_ns(until_ns, clock_ns(CLOCK_MONOTONIC) + GOODBYE_NS));
}
