/* setsockopt(2) with a number: these return 0 or a negative errno. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static inline int socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* The option that IPv4 or IPv6 has for it. */
static inline int socket_set_ip(int fd, sa_family_t family, int v4, int v6, int value)
{
	return family == AF_INET ? socket_set(fd, IPPROTO_IP, v4, value)
				 : socket_set(fd, IPPROTO_IPV6, v6, value);
}
