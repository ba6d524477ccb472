/* Which groups are joined on which interfaces, by any program, as /proc/net/igmp and
 * /proc/net/igmp6 list it. The kernel does not tell a socket that its membership was removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

struct joined_group {
	struct address group;
	unsigned ifindex;
	unsigned users; /* sockets that have joined, and the kernel itself for some groups */
	bool is_reported_alone; /* in a message of its own, as MLDv1 does */
};

struct joined_protocol {
	sa_family_t family;
	unsigned ifindex;
	bool is_forced; /* by a sysctl, whoever asks */
};

/* What the kernel reports there by itself. */
enum joined_reports {
	JOINED_REPORTS_CHANGES, /* also of sources: IGMPv3, MLDv2; or MLDv1, where its querier asks
				 */
	JOINED_REPORTS_ANSWERS, /* to a querier of IGMPv1 or IGMPv2, which was heard */
	JOINED_REPORTS_JOINS, /* a sysctl demands an older protocol: nothing but joins, and answers
				 where somebody asks */
};

struct joined {
	struct joined_group *items;
	size_t count;
	uint32_t *slots; /* a hash table of indexes of items, plus 1; 0: free */
	size_t slot_count; /* a power of two */
	struct {
		struct joined_protocol *items;
		size_t count;
	} older; /* interfaces that do IGMPv1, IGMPv2 or MLDv1 */
};

/* Fills in a zeroed list. Returns 0 or a negative errno; the list is empty then. */
int joined_read(struct joined *joined);
void joined_clear(struct joined *joined);

/* The version that sysctls force on an interface; 0: none. Of IGMP the older one that is forced on
 * it or on all, of MLD the one of all interfaces first. */
int joined_forced_igmp(const char *interface);
int joined_forced_mld(const char *interface);

/* Whether the group is reported by IGMPv1, IGMPv2 or MLDv1 there: a querier of that version was
 * heard, or a sysctl demands it. Of queriers of MLDv1 the kernel only shows that it has answered,
 * which may be over. */
bool joined_is_older(const struct joined *joined, const struct address *group, unsigned ifindex);

enum joined_reports joined_reports(
	const struct joined *joined, const struct address *group, unsigned ifindex);

/* How many sockets of this host have joined; 0: it is not joined. */
unsigned joined_users(const struct joined *joined, const struct address *group, unsigned ifindex);

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex);
