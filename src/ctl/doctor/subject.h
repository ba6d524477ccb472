/* The memberships in question: those of the daemon's groups, or those of a TARGET, which has
 * sockets of our own (own_sockets.h). Compact, as there may be 10,000 groups. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "net/address.h"
#include "net/target.h"

enum subject_state {
	SUBJECT_JOINED,
	SUBJECT_WAITING, /* for its interface */
	SUBJECT_FAILED, /* the kernel refused it */
};

/* A sender that the daemon, or a socket of ours, has seen on a membership. */
struct subject_sender {
	struct address address;
	uint64_t datagrams; /* that a socket of ours has received; 0: the daemon knows it */
	uint8_t ttl; /* 0: not known */
};

#define SUBJECT_SENDERS_MAX 8

/* What was counted at one moment. */
struct subject_count {
	uint64_t received;
	uint64_t dropped; /* by the kernel, at the socket */
};

/* With the NUL: an alternative name (ALTIFNAMSIZ of linux/if.h), a pattern or an address is longer
 * than the name of an interface. */
#define SUBJECT_INTERFACE_MAX 128

struct subject {
	size_t group; /* in subjects.groups */
	char interface[SUBJECT_INTERFACE_MAX];
	unsigned ifindex; /* 0: there is none of that name */
	enum subject_state state;
	int error_number; /* negative errno of our own join; 0: not known */
	char *error; /* why it is not joined; NULL: it is */
	char *sending_error; /* why nothing can be sent on the interface; NULL: not known */
	uint64_t receive_buffer; /* bytes; 0: not known */
	struct subject_count before, after;
	uint64_t quiet_received; /* received when listening was over, before a refresh */
	char *last_received; /* a timestamp; NULL: never, or not known */
	char *refresh_impossible; /* why it could not be refreshed; NULL: it could, or was not tried
				   */
	uint64_t pause_ns; /* how long nothing may come without anything being wrong, as far as the
			      daemon knows it; 0: it does not */
	uint64_t heard_ns; /* when it last received, since 1970; 0: never, or not known */
	bool was_refreshed;
	bool is_counted_again; /* the daemon still had it, and with this address, when it was last
				  asked */
	bool is_ours_alone; /* of a TARGET: nobody else here had joined it, so that the join was
			       reported */
	struct subject_sender *senders;
	size_t sender_count; /* at most SUBJECT_SENDERS_MAX */
};

struct subject_addresses {
	struct address *items;
	size_t count;
};

/* What all memberships of a group have in common. */
struct subject_group {
	char *name; /* of the group, or the TARGET as it was written */
	struct address address;
	uint16_t port;
	struct subject_addresses sources; /* none: any sender is wanted, but for those blocked */
	struct subject_addresses blocked;
	bool hides_sources; /* the user may not know them */
	uint64_t others_before, others; /* received, but not counted as such: duplicates, echoes,
					   and of senders that the daemon does not take */
	uint64_t duplicates_before, duplicates; /* of these, what had come by another interface */
	char *same_network[2]; /* two interfaces that bring the same; NULL: none known */
	struct {
		char **items;
		size_t count;
	} handlers;
	const char *same_mac; /* another group on its MAC address; NULL: none */
	size_t first, count; /* its memberships, in subjects.items */
	char *sending_error; /* of another interface than those of the memberships, or of the
				kernel's route; NULL: none */
	bool sends_where_joined;
	char *sending_interface; /* that it sends on, one of the memberships first; NULL: the
				    kernel's route decides */
};

struct subjects {
	struct subject *items;
	size_t count;
	struct {
		struct subject_group *items;
		size_t count;
	} groups;
	bool is_daemon; /* the groups are the daemon's */
	struct text made_here; /* why the last one without an address is not among them */
};

/* Fills in same_mac of all groups. Without memory it stays as it is. */
void subjects_find_same_mac(struct subjects *subjects);

void subjects_clear(struct subjects *subjects);

/* More of either is no daemon that anybody runs. */
#define SUBJECTS_MAX 200000

/* Appends one. Return 0; -E2BIG beyond SUBJECTS_MAX; or -ENOMEM. A group's memberships follow it at
 * once. */
int subjects_add_group(struct subjects *subjects, const char *name, const struct address *address,
	uint16_t port, struct subject_group **ret);
int subjects_add(struct subjects *subjects, const char *interface, struct subject **ret);

/* Remembers a sender, where there is room. */
void subject_add_sender(
	struct subject *subject, const struct address *address, uint64_t datagrams, uint8_t ttl);

#define AUTO_SUBJECTS CLEANUP(subjects_clear)
