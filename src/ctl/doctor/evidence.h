/* All that is known of one membership, in one plain struct: what the look has seen (look.h), made
 * of what the sources of evidence tell. Whatever is judged is judged by this alone. */
#pragma once

#include "ctl/doctor/firewall.h"
#include "ctl/doctor/link.h"
#include "ctl/doctor/route.h"
#include "ctl/doctor/sending.h"
#include "ctl/doctor/subject.h"
#include "ctl/doctor/udp_sockets.h"
#include "ctl/doctor/wire.h"

/* The counters of the whole host that say something here. */
enum counter {
	COUNTER_REVERSE_PATH, /* dropped by the check of the way back */
	COUNTER_MULTICAST, /* multicast packets that passed the first hooks of the firewall */
	COUNTER_UDP_RECEIVED,
	COUNTER_UDP_ERRORS,
	COUNTER_BUFFER_FULL,
	COUNTER_MEMORY,
	COUNTER_UDP_CHECKSUM,
	COUNTER_IGNORED, /* multicast datagrams that no socket here wanted */
	COUNTER_IP_CHECKSUM,
	COUNTER_IP_HEADER,
	COUNTER_TRUNCATED,
	COUNTER_FRAGMENTS,
	COUNTER_REASSEMBLED,
	COUNTER_REASSEMBLY_FAILED,
	COUNTER_OUT_REQUESTS,
	COUNTER_OUT_SENT,
	COUNTER_OUT_DROPPED,
	COUNTER_OUT_NO_ROUTE,
	COUNTER_SEND_BUFFER,
	COUNTER_QUERIES, /* of MLD */
	COUNTER_IPSEC_FIRST, /* what policies and states of ip-xfrm(8) drop of what comes in */
	COUNTER_IPSEC_LAST = COUNTER_IPSEC_FIRST + 14,
	COUNTER_COUNT
};

/* Its name for the family; NULL: the family has none. */
const char *counter_name(enum counter counter, sa_family_t family);

struct evidence_sender {
	struct address address;
	uint64_t datagrams; /* on the wire, or at a socket of ours; 0 where only the daemon or the
			     * configuration knows it
			     */
	uint8_t ttl; /* the least that was seen; 0: not known */
	bool is_wanted; /* the group's sources do not leave it out */
	bool is_local; /* an address of this host: the kernel's verdict says nothing */
	bool is_martian; /* the kernel takes no such sender from the network: an address of this
			    host, or of no host */
	enum route_verdict verdict;
	struct route back; /* the way to it */
};

#define EVIDENCE_SENDERS_MAX 16

#define EVIDENCE_HANDLERS_MAX 8

/* Handlers, and why. */
struct evidence_handler_list {
	struct evidence_handler {
		const char *name, *why;
		uint64_t dropped;
	} items[EVIDENCE_HANDLERS_MAX]; /* those that dropped most, most first */
	size_t count;
	size_t left_out;
};

/* What became of what the handlers of the group got, while we listened. */
struct evidence_handlers {
	size_t count;
	uint64_t received, filtered, delivered;
	bool is_shared; /* one of them has other groups, too */
	const char *name; /* one that filters, or any */
	struct evidence_handler_list failing; /* that deliver nothing now, with their errors */
	/* By the reasons of what was dropped, one item for each: what was lost by those that do not
	 * fail, and what is dropped as the configuration wants it. */
	struct evidence_handler_list losing, limiting;
};

struct evidence {
	const struct subject *subject;
	const struct subject_group *group;
	bool is_daemon; /* the daemon has it, and not we */
	bool is_elsewhere; /* the daemon is in another network namespace: nothing but what it says
			      itself is of its host */
	unsigned daemon_pid;
	const char *configuration; /* the daemon's file; NULL: it has none, or it is not known */
	const char *socket; /* the daemon's, where it is not the usual one; NULL: it is */
	bool sends; /* the user asks what becomes of what is sent */
	uint64_t listened_ns;

	/* At the socket. */
	uint64_t received, dropped;
	uint64_t other_drops; /* at all other sockets of the host */
	uint64_t quiet_ns, pause_ns; /* for how long nothing has come, and how long that may be; 0:
					not known */
	uint64_t others; /* received by the group, and counted otherwise */
	bool is_joined; /* the kernel lists the group on the interface */

	/* On the wire. */
	const struct wire_seen *wire; /* NULL: we may not look */
	uint64_t wire_missed;
	uint8_t ttl_here; /* the largest of what programs here send to group and port; 0: none */
	uint64_t sent_here; /* by this host to group and port, on whatever interface */
	char elsewhere[IF_NAMESIZE]; /* another interface on which it comes in; empty: none */
	uint64_t elsewhere_count; /* datagrams there; 0: not known */
	char below[IF_NAMESIZE]; /* a port of our bridge, or the link below ours, on which it comes
				    in, and goes no further; empty: none */
	uint64_t below_count;

	uint64_t probed; /* received on the interface by a socket of ours that takes any sender */

	/* Between them. */
	uint64_t growth[COUNTER_COUNT];
	struct link link;
	int rp_filter_all; /* the sysctl of "all" */
	struct link_statistics statistics; /* by how much they grew */
	char vlan_interface[IF_NAMESIZE]; /* of the VLAN that was seen; empty: there is none */
	struct evidence_sender senders[EVIDENCE_SENDERS_MAX];
	size_t sender_count;

	bool other_port_is_used; /* a socket here wants what comes to the other port */
	const struct wire_other *other; /* most of what comes to the port at other addresses is for
					   this one, which nobody here has joined; NULL: none */

	/* Other sockets on the port. */
	size_t rivals; /* that are bound to the same address and port and are not the group's */
	bool rival_takes; /* one of them, or of ours, has taken datagrams without reading them */
	size_t holders; /* all others that are bound to the port, where it could not be had */
	char rival[96]; /* one of them, as udp_socket_owner() tells it */

	/* Other memberships and handlers. */
	const char *sibling; /* another interface on which the group receives; NULL: none */
	bool is_copy; /* what comes in here is received on another interface */
	const char *twin; /* another interface that brings the same; NULL: none known */
	const char *same_mac; /* another group of the daemon on the same MAC address; NULL: none */
	struct evidence_handlers handlers;

	/* A refresh. */
	bool was_refreshed;
	const char *refresh_impossible; /* why; NULL: it was possible, or not tried */
	uint64_t after_refresh; /* received after it, when nothing had come before */
	bool was_joined_now; /* our own join was reported at the start of the look */
	bool has_old_querier; /* one of IGMPv1, IGMPv2 or MLDv1 was heard */

	/* The firewall. */
	const struct firewall *firewall; /* NULL: it may not be read */
	const struct firewall_chain *grown_chain; /* with a rule whose counter grew most; NULL:
						     none did */
	const struct firewall_rule *grown_rule;
	uint64_t grown_packets;
	const struct firewall_chain *grown_out_chain; /* the same where packets leave */
	const struct firewall_rule *grown_out_rule;
	uint64_t grown_out_packets;

	struct sending sending;
	bool was_sent; /* by --send, and it has left this host as far as that can be seen */
};
