/* What several causes read from the evidence. */
#pragma once

#include "ctl/doctor/finding.h"

/* Fewer datagrams than this may be chance: a flow that just begins or ends. */
#define SPARSE 3

static inline bool is_v4(const struct evidence *evidence)
{
	return evidence->group->address.family == AF_INET;
}

/* An address of this host, or all of them: nobody joins or reports that. */
static inline bool is_unicast(const struct evidence *evidence)
{
	return !address_is_multicast(&evidence->group->address);
}

/* It is joined, and nothing came to its socket, neither to be read nor to be dropped. */
static inline bool is_silent(const struct evidence *evidence)
{
	return evidence->subject->state == SUBJECT_JOINED && !evidence->received &&
	       !evidence->dropped;
}

/* The same, and another interface does not bring the group either: nothing is what it gets. */
bool is_missed(const struct evidence *evidence);

/* Counters of the whole host are all that there is to go by: the wire cannot be seen. */
bool is_blind(const struct evidence *evidence);

/* The wire was seen, and brought nothing for the membership. */
bool is_wire_silent(const struct evidence *evidence);

/* What the wire shows, where all of it that matters here was seen. */
static inline enum certainty by_wire(const struct evidence *evidence)
{
	return evidence->wire_missed ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
}

/* A querier of IGMPv1, IGMPv2 or MLDv1 was heard: then a report is only known to be sent where a
 * query was not answered. */
bool has_older_querier(const struct evidence *evidence);

/* The group's address is within "ADDRESS/LENGTH"; has a scope that never leaves a host; has the
 * scope 0, of which hosts drop all; is of the local control block, or has one of these scopes. */
bool has_prefix(const struct evidence *evidence, const char *string);
bool is_interface_local(const struct evidence *evidence);
bool has_reserved_scope(const struct evidence *evidence);
bool is_in_local_block(const struct evidence *evidence);

/* No host reports the group, or not on this interface. */
bool is_never_reported(const struct evidence *evidence);

/* It came a moment ago, and its sender pauses for longer than that: nothing is missing yet. */
bool is_pausing(const struct evidence *evidence);

/* Others asked for groups, and this host did not answer. */
bool is_unanswered(const struct evidence *evidence);

/* A number, or 1 where it would be smaller than what chance explains in a flow of this size. */
bool is_many(uint64_t number, uint64_t of);

/* Datagrams that came in on the wire as they should, and that the socket neither got nor dropped; 0
 * too where that is within what chance explains, or where the wire was not seen as a whole. */
uint64_t missing(const struct evidence *evidence);

/* What policies of IPsec have dropped; that counts as drops at the socket, too. */
uint64_t blocked_by_ipsec(const struct evidence *evidence);

/* What of the drops at the socket its full buffer explains, as far as the counters tell. */
uint64_t dropped_for_room(const struct evidence *evidence);

/* The first sender that the kernel refuses because of the way back; NULL: there is none. */
const struct evidence_sender *find_refused(const struct evidence *evidence);

/* One whose address the kernel takes from no network; NULL: there is none. */
const struct evidence_sender *find_martian(const struct evidence *evidence);

/* Whether the group of the daemon has the block relay. */
bool is_relayed(const struct evidence *evidence);

/* Whether a base chain may drop what comes in, or with out what leaves. */
bool chain_may_drop(const struct evidence *evidence, const struct firewall_chain *chain, bool out);

/* A rule that sends what comes in to another address or port; NULL: none is known. */
const struct firewall_translation *find_translation(const struct evidence *evidence);

/* A base chain that may drop what comes in, or with out what leaves; NULL: none is known. */
const struct firewall_chain *find_chain(const struct evidence *evidence, bool out);

/* Says which rule dropped it, or which chain may, of what comes in, or with out what leaves. */
void tell_chain(const struct evidence *evidence, struct finding *finding, bool out);

/* How many came in on the wire, where that was seen, and at the socket. */
void tell_counts(const struct evidence *evidence, struct finding *finding);

/* The group's address and "ADDRESS:PORT", in buffer. */
const char *show_address(const struct address *address, char buffer[static INET6_ADDRSTRLEN]);
const char *show_group(const struct evidence *evidence, char buffer[static ENDPOINT_STRING_MAX]);
