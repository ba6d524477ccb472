/* Whose a UDP socket is: the program that has it, for root. */
#pragma once

#include "net/udp_sockets.h"

/* Writes the program that has a socket, "chronyd (pid 812)"; without the privilege to see it, its
 * user, "a program of user 104 (_chrony)". */
void udp_socket_owner(const struct udp_socket *socket, char *ret, size_t size);
