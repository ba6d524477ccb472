/* What is on the wire, for who may look (CAP_NET_RAW, packet(7)): one AF_PACKET socket for all
 * interfaces, with a classic BPF filter that lets through UDP to the groups asked for, to their
 * MAC addresses or to their ports, and IGMP and MLD. What is seen is counted at once; no frame is
 * kept. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/doctor/frame.h"
#include "net/address.h"

struct wire;

#define WIRE_SENDERS_MAX 16
#define WIRE_PORTS_MAX 8
#define WIRE_OTHERS_MAX 32

/* An address that none of the groups has, and to which somebody sends. */
struct wire_other {
	struct address address, sender; /* the first one */
	uint64_t datagrams;
	bool is_broadcast; /* for all hosts of the link */
};

struct wire_sender {
	struct address address;
	uint16_t port;
	uint8_t ttl; /* the least that was seen */
	uint64_t datagrams;
};

/* What was seen of one group on one interface. A frame of a bridge, bond or macvlan is seen twice:
 * on the port or the link below, and on br0. One with a VLAN tag is seen with it on the link below,
 * where it is tagged and not in, and then without it on the VLAN interface. Of a packet that the
 * link's segmentation offload has put together from several, one is counted. */
struct wire_seen {
	uint64_t in; /* datagrams (or first fragments) for its port, without a VLAN tag. Not those
			that this host has sent, even if it receives them itself: the kernel loops
			them without a device. On lo they are both in and from_here. */
	uint64_t from_here; /* sent by this host on the interface, to group and port; with a
			       firewall in OUTPUT, those that passed it */
	uint8_t ttl_out; /* the largest of from_here */
	uint64_t other_port; /* in, to other ports */
	uint16_t other_ports[WIRE_PORTS_MAX]; /* some of them, ascending */
	size_t other_port_count;
	uint64_t other_port_from_here,
		other_port_tagged; /* to other ports, too; not in other_port */
	struct wire_sender *senders; /* of in; the first ones. As there may be 10,000 groups, it has
					room for no more than there are. */
	size_t sender_count; /* at most WIRE_SENDERS_MAX */
	const struct wire_other *others; /* in, to its port, of its family: the first ones; only
					    while frames are captured whole */
	size_t other_count; /* at most WIRE_OTHERS_MAX */
	uint64_t tagged; /* in, with a VLAN tag */
	uint16_t vlan; /* one of these, or of other_port_tagged */
	uint64_t bad_ip_checksums, bad_lengths; /* of in */
	uint64_t bad_udp_checksums; /* of in, where they were checked: of the first 10,000 frames of
				       the look, and then of one in sixteen */
	uint64_t first_fragments, later_fragments; /* in */
	uint64_t incomplete; /* datagrams of which fragments were missing a tenth of a second after
				the last one */
	size_t largest; /* IP packet in, in bytes */
	uint8_t ttl_min, ttl_max; /* of in; 0: nothing came */
	uint64_t collisions; /* in: other groups on the same MAC address */
	struct address collision; /* one of these */
	uint64_t reports_out; /* of the group, by this host; leaves are none */
	bool reports_with_sources; /* one of them names sources */
	uint8_t report_version; /* of the last; 0: none */
	struct address report_source; /* of the last */
	uint64_t queries; /* that ask for this group or all, on the interface */
	uint64_t unanswered; /* of those of others: no report of this host followed in time */
	uint64_t reports_of_others; /* of versions by which one report stands for all hosts */
	struct address querier;
	uint8_t query_version;
	uint64_t duplicates; /* in: the same sender and start of the payload had come in on another
				interface, within the last second; also from a port to its bridge.
				The caller asks for interfaces with memberships. */
	char duplicate_of[IF_NAMESIZE]; /* that interface */
};

/* Opens it for groups and their ports. Returns 0; -EPERM where it may not look; or another negative
 * errno. Closed with wire_close(), which accepts NULL. */
struct wire_group {
	struct address address;
	uint16_t port;
};
int wire_open(const struct wire_group *groups, size_t count, struct wire **ret);
void wire_close(struct wire *wire);

/* To be polled for POLLIN; then wire_read() takes and counts what is there, for at most some
 * milliseconds. Returns whether there is more. */
int wire_fd(const struct wire *wire);
bool wire_read(struct wire *wire);

/* Counts from zero again: a second look. */
void wire_restart(struct wire *wire);

/* What was seen of a group (by its position in groups) on an interface. All is 0 where nothing was
 * seen. Borrowed until the next call of wire_. */
const struct wire_seen *wire_seen(struct wire *wire, size_t group, unsigned ifindex);

/* The interface, other than this one and lo, on which most came in for the group and its port; 0:
 * none. */
unsigned wire_elsewhere(struct wire *wire, size_t group, unsigned ifindex);

/* Frames that the kernel dropped before they could be counted: what was not seen may have been
 * there. */
uint64_t wire_missed(struct wire *wire);
