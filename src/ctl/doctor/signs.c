#include "ctl/doctor/signs.h"

#include <inttypes.h>
#include <string.h>

bool is_missed(const struct evidence *evidence)
{
	return is_silent(evidence) && !evidence->sibling && !evidence->is_elsewhere;
}

bool is_blind(const struct evidence *evidence)
{
	return is_missed(evidence) && !evidence->wire;
}

bool is_wire_silent(const struct evidence *evidence)
{
	return evidence->wire && !evidence->wire->in;
}

bool has_older_querier(const struct evidence *evidence)
{
	const struct wire_seen *wire = evidence->wire;

	return evidence->has_old_querier ||
	       (wire && wire->queries && wire->query_version < (is_v4(evidence) ? 3 : 2));
}

bool has_prefix(const struct evidence *evidence, const char *string)
{
	struct prefix prefix;

	return prefix_parse(string, &prefix) == 0 &&
	       prefix_contains(&prefix, &evidence->group->address);
}

/* RFC 4291, 2.7. */
static bool has_scope(const struct evidence *evidence, uint8_t scope)
{
	const struct address *address = &evidence->group->address;

	return address->family == AF_INET6 && address->v6.s6_addr[0] == 0xff &&
	       (address->v6.s6_addr[1] & 0xf) == scope;
}

bool is_interface_local(const struct evidence *evidence)
{
	return has_scope(evidence, 1);
}

bool has_reserved_scope(const struct evidence *evidence)
{
	return has_scope(evidence, 0);
}

bool is_in_local_block(const struct evidence *evidence)
{
	return has_prefix(evidence, "224.0.0.0/24") || is_interface_local(evidence) ||
	       has_reserved_scope(evidence);
}

bool is_relayed(const struct evidence *evidence)
{
	const struct subject_group *group = evidence->group;
	size_t length = strlen(group->name);

	for (size_t i = 0; i < group->handlers.count; i++)
		if (!strncmp(group->handlers.items[i], group->name, length) &&
			!strcmp(group->handlers.items[i] + length, ".relay"))
			return true;
	return false;
}

bool is_never_reported(const struct evidence *evidence)
{
	return is_unicast(evidence) || is_in_local_block(evidence) ||
	       evidence->link.flags & IFF_LOOPBACK;
}

bool is_pausing(const struct evidence *evidence)
{
	return evidence->quiet_ns && evidence->quiet_ns < evidence->pause_ns &&
	       !evidence->received && (!evidence->wire || !evidence->wire->in) &&
	       !evidence->dropped;
}

bool is_unanswered(const struct evidence *evidence)
{
	const struct wire_seen *wire = evidence->wire;

	return wire && wire->unanswered && !wire->reports_of_others && evidence->is_joined &&
	       !evidence->is_elsewhere && !is_never_reported(evidence);
}

bool is_many(uint64_t number, uint64_t of)
{
	return number >= SPARSE && number > of / 20;
}

/* Datagrams on the wire of senders that are not wanted or that the kernel refuses. */
static uint64_t count_refused(const struct evidence *evidence)
{
	uint64_t refused = 0;

	for (size_t i = 0; i < evidence->sender_count; i++) {
		const struct evidence_sender *sender = &evidence->senders[i];

		if (!sender->is_wanted || sender->is_martian ||
			(!sender->is_local && sender->verdict == VERDICT_REFUSES))
			refused += sender->datagrams;
	}
	return refused;
}

uint64_t missing(const struct evidence *evidence)
{
	const struct wire_seen *wire = evidence->wire;
	uint64_t explained, lost;

	/* Frames that were not seen (wire_missed) make it less than it is, never more. */
	if (!wire || evidence->subject->state != SUBJECT_JOINED)
		return 0;
	/* Beyond those senders nobody knows whose it is. */
	if (wire->sender_count == WIRE_SENDERS_MAX && evidence->group->sources.count)
		return 0;
	explained = evidence->received + evidence->dropped + evidence->others +
		    count_refused(evidence) + wire->bad_ip_checksums + wire->bad_udp_checksums +
		    wire->bad_lengths + wire->incomplete;
	lost = wire->in > explained ? wire->in - explained : 0;
	return !evidence->received || is_many(lost, wire->in) ? lost : 0;
}

uint64_t blocked_by_ipsec(const struct evidence *evidence)
{
	uint64_t sum = 0;

	for (enum counter i = COUNTER_IPSEC_FIRST; i <= COUNTER_IPSEC_LAST; i++)
		sum += evidence->growth[i];
	return sum;
}

uint64_t dropped_for_room(const struct evidence *evidence)
{
	uint64_t full = evidence->growth[COUNTER_BUFFER_FULL] + evidence->growth[COUNTER_MEMORY];
	uint64_t own = full > evidence->other_drops ? full - evidence->other_drops : 0;

	return own < evidence->dropped ? own : evidence->dropped;
}

static bool is_refused_by_way_back(
	const struct evidence *evidence, const struct evidence_sender *sender)
{
	const struct link *link = &evidence->link;

	if (sender->is_local || !sender->is_wanted || sender->verdict != VERDICT_REFUSES)
		return false;
	if (link->sysctl.rp_filter == 1)
		return !sender->back.exists || strcmp(sender->back.interface, link->name);
	return link->sysctl.rp_filter == 2 && !sender->back.exists;
}

const struct evidence_sender *find_refused(const struct evidence *evidence)
{
	if (!is_v4(evidence) || !evidence->is_joined || evidence->is_elsewhere)
		return NULL;
	for (size_t i = 0; i < evidence->sender_count; i++)
		if (is_refused_by_way_back(evidence, &evidence->senders[i]))
			return &evidence->senders[i];
	return NULL;
}

const struct evidence_sender *find_martian(const struct evidence *evidence)
{
	for (size_t i = 0; i < evidence->sender_count && evidence->wire; i++)
		if (evidence->senders[i].is_martian)
			return &evidence->senders[i];
	return NULL;
}

/* What goes to an interface has passed the one below it, such as a port of the bridge. */
static bool has_device_on_way(const struct evidence *evidence, const struct firewall_chain *chain)
{
	return firewall_has_device(chain, evidence->subject->interface) ||
	       (*evidence->link.lower && firewall_has_device(chain, evidence->link.lower)) ||
	       (*evidence->below && firewall_has_device(chain, evidence->below));
}

/* Whether packets of the group's family on the interface run through a chain. */
static bool is_on_way(const struct evidence *evidence, const struct firewall_chain *chain)
{
	if (!has_device_on_way(evidence, chain))
		return false;
	if (!strcmp(chain->family, "bridge"))
		return !strcmp(evidence->link.kind, "bridge");
	return !strcmp(chain->family, "netdev") || !strcmp(chain->family, "inet") ||
	       !strcmp(chain->family, is_v4(evidence) ? "ip" : "ip6");
}

static bool is_hook(enum firewall_hook hook, bool out)
{
	return out ? hook == HOOK_OUTPUT || hook == HOOK_POSTROUTING || hook == HOOK_EGRESS
		   : hook == HOOK_INGRESS || hook == HOOK_PREROUTING || hook == HOOK_INPUT;
}

bool chain_may_drop(const struct evidence *evidence, const struct firewall_chain *chain, bool out)
{
	return is_hook(chain->hook, out) && is_on_way(evidence, chain) &&
	       (chain->drops_by_policy || chain->dropping_rules);
}

const struct firewall_chain *find_chain(const struct evidence *evidence, bool out)
{
	const struct firewall *firewall = evidence->firewall;

	for (size_t i = 0; firewall && i < firewall->chain_count; i++)
		if (chain_may_drop(evidence, &firewall->chains[i], out))
			return &firewall->chains[i];
	return NULL;
}

static void tell_rule(struct finding *finding, const struct firewall_chain *chain,
	const struct firewall_rule *rule, uint64_t packets)
{
	finding_say(finding,
		": the rule with handle %" PRIu64 " in the chain %s of the table %s %s",
		rule->handle, rule->table_chain, chain->family, chain->table);
	finding_number(finding, "packets that the rule dropped", packets);
}

const struct firewall_translation *find_translation(const struct evidence *evidence)
{
	const struct firewall *firewall = evidence->firewall;

	for (size_t i = 0; firewall && i < firewall->translation_count; i++) {
		const char *family = firewall->translations[i].family;

		if (strcmp(family, is_v4(evidence) ? "ip6" : "ip") != 0 &&
			strcmp(family, "bridge") != 0)
			return &firewall->translations[i];
	}
	return NULL;
}

void tell_chain(const struct evidence *evidence, struct finding *finding, bool out)
{
	const struct firewall_chain *chain = find_chain(evidence, out);

	if (out ? evidence->grown_out_rule != NULL : evidence->grown_rule != NULL)
		tell_rule(finding, out ? evidence->grown_out_chain : evidence->grown_chain,
			out ? evidence->grown_out_rule : evidence->grown_rule,
			out ? evidence->grown_out_packets : evidence->grown_packets);
	else if (chain)
		finding_say(finding, ": the chain %s of the table %s %s may drop it", chain->name,
			chain->family, chain->table);
	else if (evidence->firewall && evidence->firewall->has_legacy)
		finding_say(finding, ": there are rules of iptables-legacy");
	else if (evidence->firewall && (out || !find_translation(evidence)))
		finding_say(
			finding, ", but no rule of nftables drops: maybe a filter of tc(8) or XDP");
}

void tell_counts(const struct evidence *evidence, struct finding *finding)
{
	if (evidence->wire)
		finding_number(finding, "on the wire", evidence->wire->in);
	finding_number(finding, "received", evidence->received);
	if (evidence->dropped)
		finding_number(finding, "dropped at the socket", evidence->dropped);
}

const char *show_address(const struct address *address, char buffer[static INET6_ADDRSTRLEN])
{
	return address->family == AF_UNSPEC ? "-" : address_format(address, buffer);
}

const char *show_group(const struct evidence *evidence, char buffer[static ENDPOINT_STRING_MAX])
{
	char address[INET6_ADDRSTRLEN];

	return format_address_port(
		show_address(&evidence->group->address, address), evidence->group->port, buffer);
}
