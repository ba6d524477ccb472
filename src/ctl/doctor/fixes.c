#include "ctl/doctor/fixes.h"

#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/doctor/signs.h"

/* ---- mcastctl and its configuration ---- */

void begin_mcastctl(const struct evidence *evidence, struct finding *finding)
{
	finding_begin(finding, "mcastctl");
	if (evidence->is_daemon && evidence->socket)
		finding_begin(finding, " -s %s", evidence->socket);
}

void fix_key(const struct evidence *evidence, struct finding *finding, const char *format, ...)
{
	AUTO_FREE char *key = NULL;
	AUTO_TEXT struct text line = {0};
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&key, format, arguments);
	va_end(arguments);
	if (length < 0) {
		finding->fixes.failed = true;
		return;
	}
	if (evidence->is_daemon)
		text_printf(&line, "# in the group %s of %s: %s", evidence->group->name,
			evidence->configuration ? evidence->configuration : "the configuration",
			key);
	else
		text_printf(&line, "# in the program that receives: %s", key);
	finding_line(finding, text_string(&line));
	fix_reload(evidence, finding);
}

void fix_reload(const struct evidence *evidence, struct finding *finding)
{
	if (!evidence->is_daemon)
		return;
	begin_mcastctl(evidence, finding);
	finding_fix(finding, " reload");
}

void fix_refresh(const struct evidence *evidence, struct finding *finding)
{
	if (!evidence->is_daemon)
		return;
	begin_mcastctl(evidence, finding);
	finding_fix(finding, " refresh %s", evidence->group->name);
}

void fix_regularly(const struct evidence *evidence, struct finding *finding)
{
	fix_key(evidence, finding,
		evidence->is_daemon ? "refresh = \"60s\";" : "leave and join each minute");
}

/* The group's other interfaces stay as they are. */
void fix_interface(const struct evidence *evidence, struct finding *finding, const char *interface)
{
	if (evidence->is_daemon && evidence->group->count > 1)
		fix_key(evidence, finding, "interfaces with \"%s\" in place of \"%s\"", interface,
			evidence->subject->interface);
	else if (evidence->is_daemon)
		fix_key(evidence, finding, "interfaces = [\"%s\"];", interface);
	else
		finding_hint(finding, "in the program that receives: join on %s", interface);
}

void fix_by_root(const struct evidence *evidence, struct finding *finding)
{
	finding_begin(finding, "sudo ");
	begin_mcastctl(evidence, finding);
	finding_begin(finding, evidence->sends ? " doctor --send" : " doctor");
	finding_fix(finding, " %s", evidence->group->name);
}

/* ---- The interface ---- */

/* sysctl(8) takes a dot of a name as a slash. */
void fix_sysctl(struct finding *finding, const char *family, const char *interface, const char *key,
	int value)
{
	char name[IF_NAMESIZE];

	snprintf(name, sizeof(name), "%s", interface);
	for (char *dot = name; (dot = strchr(dot, '.'));)
		*dot = '/';
	finding_fix(finding, "sysctl -w net.%s.conf.%s.%s=%d", family, name, key, value);
}

void fix_address(const struct evidence *evidence, struct finding *finding, const char *interface)
{
	finding_hint(finding, "with a free address of that network: ip addr add %s dev %s",
		is_v4(evidence) ? "ADDRESS/24" : "ADDRESS/64", interface);
}

/* ---- The firewall ---- */

/* What iptables-legacy has in its tables is not known: each chain that packets pass. */
static void fix_legacy(const struct evidence *evidence, struct finding *finding, bool out)
{
	static const char *const places[][2] = {{"raw", "PREROUTING"}, {"mangle", "PREROUTING"},
		{"mangle", "INPUT"}, {"filter", "INPUT"}, {"raw", "OUTPUT"}, {"mangle", "OUTPUT"},
		{"filter", "OUTPUT"}, {"mangle", "POSTROUTING"}};
	char group[INET6_ADDRSTRLEN];

	show_address(&evidence->group->address, group);
	for (size_t i = out ? 4 : 0; i < (out ? 8 : 4); i++)
		finding_fix(finding, "%s -t %s -I %s -d %s -p udp --dport %u -j ACCEPT",
			is_v4(evidence) ? "iptables-legacy" : "ip6tables-legacy", places[i][0],
			places[i][1], group, evidence->group->port);
}

/* No chain is known that may drop it: something else does. */
static void hint_at_filters(const struct evidence *evidence, struct finding *finding, bool out)
{
	const char *interface = evidence->subject->interface;

	if (!out && *evidence->below)
		finding_see(finding, "tc filter show dev %s ingress", evidence->below);
	finding_see(finding, "tc filter show dev %s %s", interface, out ? "egress" : "ingress");
	finding_see(finding, "bpftool net show dev %s", interface);
	finding_see(finding, "nft list ruleset");
}

/* Its name is none that a command could have. */
static void hint_at_chain(struct finding *finding, const struct firewall_chain *chain)
{
	finding_hint(finding, "accept it in the chain %s of the table %s %s", chain->name,
		chain->family, chain->table);
}

/* Later fragments have no port. Those of IPv4 are put together before the chains of input. */
static bool sees_fragments(const struct evidence *evidence, const struct firewall_chain *chain)
{
	return evidence->wire && evidence->wire->later_fragments &&
	       (chain->hook != HOOK_INPUT || !is_v4(evidence));
}

/* A command for each chain that may drop, of the group's datagrams or of reports. */
static void accept_in_chains(
	const struct evidence *evidence, struct finding *finding, bool out, bool reports)
{
	const struct address *group = &evidence->group->address;
	char command[FIREWALL_COMMAND_MAX];

	for (size_t i = 0; i < evidence->firewall->chain_count; i++) {
		const struct firewall_chain *chain = &evidence->firewall->chains[i];

		if (!chain_may_drop(evidence, chain, out))
			continue;
		if (reports)
			firewall_accept_reports_command(
				chain, group->family, out, command, sizeof(command));
		else
			firewall_accept_command(
				chain, group, evidence->group->port, command, sizeof(command));
		if (*command)
			finding_line(finding, command);
		else
			hint_at_chain(finding, chain);
		if (*command && !out && !reports && sees_fragments(evidence, chain)) {
			firewall_accept_fragments_command(chain, group, command, sizeof(command));
			finding_line(finding, command);
		}
	}
}

/* What is translated already is remembered, until nothing has come for a while. */
static void pass_translation(const struct evidence *evidence, struct finding *finding)
{
	const struct firewall_translation *rule = find_translation(evidence);
	char command[FIREWALL_COMMAND_MAX];

	firewall_pass_command(
		rule, &evidence->group->address, evidence->group->port, command, sizeof(command));
	if (*command)
		finding_line(finding, command);
	else
		finding_hint(finding, "accept it before, in the chain %s of the table %s %s",
			rule->chain, rule->family, rule->table);
	if (strcmp(rule->what, "set") != 0)
		finding_hint(finding,
			"and end what is translated already: conntrack -D -p udp --orig-port-dst "
			"%u",
			evidence->group->port);
}

void fix_firewall(const struct evidence *evidence, struct finding *finding, bool out)
{
	const struct firewall *firewall = evidence->firewall;
	size_t length = finding->fixes.length;

	if (!firewall) {
		fix_by_root(evidence, finding);
		return;
	}
	accept_in_chains(evidence, finding, out, false);
	if (firewall->has_legacy)
		fix_legacy(evidence, finding, out);
	if (!out && !evidence->grown_rule && find_translation(evidence))
		pass_translation(evidence, finding);
	if (finding->fixes.length == length)
		hint_at_filters(evidence, finding, out);
}

void fix_firewall_of_reports(const struct evidence *evidence, struct finding *finding, bool out)
{
	const struct firewall *firewall = evidence->firewall;
	size_t length = finding->fixes.length;

	if (!firewall) {
		fix_by_root(evidence, finding);
		return;
	}
	accept_in_chains(evidence, finding, out, true);
	if (firewall->has_legacy && is_v4(evidence))
		finding_fix(finding, "iptables-legacy -I %s -p igmp -j ACCEPT",
			out ? "OUTPUT" : "INPUT");
	else if (firewall->has_legacy)
		finding_fix(finding, "ip6tables-legacy -I %s -p icmpv6 --icmpv6-type %d -j ACCEPT",
			out ? "OUTPUT" : "INPUT", out ? 143 : 130);
	if (finding->fixes.length == length)
		hint_at_filters(evidence, finding, out);
}
