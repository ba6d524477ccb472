/* What the network knows of this host: its reports, and the queries that it is asked by. */
#include <inttypes.h>
#include <string.h>

#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"

/* Reports leave when they are not asked for, so it is the queries that are lost: a switch forgets
 * this host; or knows nothing of it, where it is one for older versions, which the kernel only
 * reports by when it has heard an older querier. The kernel counts the queries of MLD that it
 * takes. */
enum certainty is_queries_blocked(const struct evidence *e)
{
	bool is_taken = e->growth[COUNTER_QUERIES] || e->has_old_querier;
	bool is_unknown = is_missed(e) && is_wire_silent(e) && has_older_querier(e);
	bool was_forgotten = e->was_refreshed && e->after_refresh;

	return is_unanswered(e) && !is_taken && e->wire->reports_out &&
			       (was_forgotten || is_unknown)
		       ? CERTAINTY_LIKELY
		       : CERTAINTY_NO;
}

void tell_queries_blocked(const struct evidence *e, struct finding *f)
{
	char querier[INET6_ADDRSTRLEN];

	finding_say(f,
		"nothing %s: queries come in on the wire and this host's firewall drops them, so "
		"that a snooping switch %s",
		e->after_refresh ? "came until the group was reported again" : "comes",
		e->after_refresh ? "has forgotten it" : "does not know of it");
	tell_chain(e, f, false);
	finding_number(f, "queries heard", e->wire->queries);
	finding_number(f, "not answered", e->wire->unanswered);
	finding_string(f, "querier", show_address(&e->wire->querier, querier));
	finding_number(f, "received after the report", e->after_refresh);
}

void fix_queries_blocked(const struct evidence *e, struct finding *f)
{
	fix_firewall_of_reports(e, f, false);
	fix_refresh(e, f);
}

enum certainty is_switch_forgot(const struct evidence *e)
{
	/* A sender that pauses for longer than we listen looks the same. */
	return e->was_refreshed && e->after_refresh ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_switch_forgot(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"nothing came until the group was reported again: a snooping switch had forgotten "
		"this host%s",
		e->wire && e->wire->queries ? "" : ", as nobody asks for groups");
	if (e->after_refresh < SPARSE)
		finding_say(f, "; or it is sent seldom, which --wait 1m shows");
	finding_number(f, "received after the report", e->after_refresh);
	if (e->wire)
		finding_number(f, "queries heard", e->wire->queries);
}

void fix_switch_forgot(const struct evidence *e, struct finding *f)
{
	fix_refresh(e, f);
	fix_regularly(e, f);
	if (!e->wire || !e->wire->queries)
		finding_hint(f, "better: a querier in the network, such as the switch's own");
}

/* The kernel was asked to send a report, by us or by a query. */
static bool is_report_due(const struct evidence *e)
{
	bool was_asked = e->was_joined_now || e->was_refreshed;

	return !is_never_reported(e) && ((was_asked && !has_older_querier(e)) || is_unanswered(e));
}

/* What holds back more than the reports of a few rounds holds back other datagrams, and the report
 * that did not leave may be late. */
#define REPORTS_HELD_MAX 16

enum certainty is_report_blocked(const struct evidence *e)
{
	uint64_t requests = e->growth[COUNTER_OUT_REQUESTS], sent = e->growth[COUNTER_OUT_SENT];
	bool is_held = requests > sent;

	if (!is_missed(e) || !is_report_due(e))
		return CERTAINTY_NO;
	if (!e->wire)
		return is_held && !sent ? CERTAINTY_LIKELY : CERTAINTY_NO;
	if (!is_wire_silent(e) || e->wire->reports_out)
		return CERTAINTY_NO;
	if (has_older_querier(e) || (is_held && requests - sent > REPORTS_HELD_MAX))
		return CERTAINTY_LIKELY;
	return e->grown_out_rule || (is_held && find_chain(e, true)) ? by_wire(e)
								     : CERTAINTY_LIKELY;
}

void tell_report_blocked(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"our own %s reports do not leave this host, so that no switch and no router "
		"knows of us",
		is_v4(e) ? "IGMP" : "MLD");
	if (e->grown_out_rule)
		finding_say(f,
			": the rule with handle %" PRIu64
			" in the chain %s of the table %s %s drops them",
			e->grown_out_rule->handle, e->grown_out_rule->table_chain,
			e->grown_out_chain->family, e->grown_out_chain->table);
	if (e->wire) {
		finding_number(f, "reports sent", e->wire->reports_out);
		finding_number(f, "queries heard", e->wire->queries);
	}
	finding_growth(f, e, COUNTER_OUT_REQUESTS);
	finding_growth(f, e, COUNTER_OUT_SENT);
}

void fix_report_blocked(const struct evidence *e, struct finding *f)
{
	fix_firewall_of_reports(e, f, true);
	fix_refresh(e, f);
}

/* Of a TARGET: the other program is mcastd, as far as its name tells. */
static bool has_daemon(const struct evidence *e)
{
	return !e->is_daemon && e->rivals == 1 &&
	       !strncmp(e->rival, "mcastd (", strlen("mcastd ("));
}

enum certainty is_refresh_impossible(const struct evidence *e)
{
	/* Of other reasons there are other causes. */
	bool is_shared = e->refresh_impossible && !is_unicast(e) &&
			 strstr(e->refresh_impossible, "joined it there");

	return is_missed(e) && !is_pausing(e) && (is_wire_silent(e) || !e->wire) && is_shared
		       ? CERTAINTY_LIKELY
		       : CERTAINTY_NO;
}

void tell_refresh_impossible(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"nothing comes, and the group cannot be reported again: %s has joined it there, "
		"too",
		has_daemon(e) ? "mcastd" : "another program");
	tell_counts(e, f);
}

void fix_refresh_impossible(const struct evidence *e, struct finding *f)
{
	if (has_daemon(e)) {
		finding_hint(f, "mcastd can report it: mcastctl doctor tells more of its groups");
		finding_fix(f, "mcastctl refresh");
		return;
	}
	finding_hint(f, "end the other programs of the group for a moment, then look again");
	finding_see(f, "ss -lunp sport = :%u", e->group->port);
	finding_see(f, "ip maddr show dev %s", e->subject->interface);
}
