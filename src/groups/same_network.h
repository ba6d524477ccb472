/* Noticing that two interfaces of a group are on the same network, such as the cable and the Wi-Fi
 * of one LAN, so that each datagram arrives twice; and dropping the second copy where the group
 * wants that.
 *
 * A group on one interface pays nothing, one on several is watched for a second after it was joined
 * and then for a second each minute, beginning with a datagram; one that drops duplicates,
 * always. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct arena_received;
struct group;
struct membership;
struct twins;

/* Of a group that was on several interfaces when something came. */
struct same_network {
	struct twins *own; /* of a group that drops duplicates; NULL: none yet */
	uint32_t next_s, until_s; /* of the watching, CLOCK_MONOTONIC_COARSE */
	unsigned seen, matched; /* datagrams, and copies among them, in this second */
	unsigned matches; /* copies, since there was a second without any */
	bool is_found;
	char interfaces[2][IF_NAMESIZE]; /* when is_found */
};

/* Accepts NULL. */
void same_network_free(struct same_network *same);

/* Moves what was found to the group that replaces this one. */
void same_network_move(struct group *group, struct group *from);

/* A membership was joined: watch now. */
void same_network_expect(struct group *group);

/* Memberships may have been left: what was found of one of them is over. */
void same_network_update(struct group *group);

/* Whether same_network_examine() wants what is read next, with payload and sender. For a group on
 * several interfaces. Without memory it never does. */
bool same_network_is_watched(struct group *group);

/* Looks at what was read from the membership's socket, and takes duplicates out of the arena where
 * the group drops them. */
void same_network_examine(struct membership *membership, struct arena_received *received);
