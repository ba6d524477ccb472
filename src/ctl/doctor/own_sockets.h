/* Sockets of our own, as the daemon's memberships have them: one for a TARGET on each interface. */
#pragma once

#include "ctl/doctor/subject.h"
#include "ctl/session.h"
#include "net/interface.h"
#include "net/joined.h"
#include "net/target.h"

struct own_socket {
	int fd;
	size_t subject; /* in subjects.items */
	uint64_t inode;
	uint64_t twice; /* datagrams that another of these sockets had, too */
	size_t twin; /* the last of these, in subjects.items */
};

struct arena;
struct twins;

struct own_sockets {
	struct own_socket *items;
	size_t count;
	struct arena *arena;
	struct twins *twins;
	bool heard_doctor; /* what a doctor has sent was received */
	uint8_t doctor_ttl; /* with this TTL */
};

/* Adds a group for the target to subjects, with a membership for each interface that it means;
 * those that can be joined get a socket, the others say why not. joined is what all programs had
 * joined before. Returns 0 or a negative errno. */
int own_sockets_join(struct own_sockets *sockets, const struct target *target,
	const struct interface_list *interfaces, const struct joined *joined,
	struct subjects *subjects);
void own_sockets_clear(struct own_sockets *sockets);

/* Receives what is queued at one of them, and counts it. */
void own_sockets_read(struct own_sockets *sockets, size_t i, struct subjects *subjects);

/* Reads what is left, and the drops. */
void own_sockets_finish(struct own_sockets *sockets, struct subjects *subjects);

/* Reports their memberships to the network again. */
void own_sockets_refresh(struct own_sockets *sockets, struct subjects *subjects);
