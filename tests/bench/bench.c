#include "bench.h"

#include <arpa/inet.h>
#include <err.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

void stop_on_signals(void)
{
	struct sigaction action = {.sa_handler = stop};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

uint64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end)
		errx(2, "%s is not a number", text);
	return value;
}

static struct sockaddr_in endpoint(const char *address, uint16_t port)
{
	struct sockaddr_in endpoint = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (address && inet_pton(AF_INET, address, &endpoint.sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", address);
	return endpoint;
}

static void join(int fd, struct in_addr group, const char *interface)
{
	struct ip_mreqn request = {
		.imr_multiaddr = group, .imr_ifindex = (int)if_nametoindex(interface)};

	if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		err(1, "joining on %s", interface);
}

int open_receiver(const char *group, uint16_t port, const char *interface)
{
	struct sockaddr_in local = endpoint(group, port);
	const char *wanted = getenv("BENCH_BUFFER");
	int buffer = wanted ? (int)number(wanted) : 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		err(1, "socket");
	if (buffer && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
		err(1, "setting the receive buffer");
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		err(1, "bind");
	if (group)
		join(fd, local.sin_addr, interface);
	return fd;
}

int connect_udp(const char *address, uint16_t port)
{
	struct sockaddr_in to = endpoint(address, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "connect to %s", address);
	return fd;
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s: too long", path);
	strcpy(address.sun_path, path);
	return address;
}

int connect_unix(const char *path, int type)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "connect to %s", path);
	return fd;
}

int listen_unix(const char *path, int type)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		(type != SOCK_DGRAM && listen(fd, 1024) < 0))
		err(1, "listen at %s", path);
	return fd;
}
