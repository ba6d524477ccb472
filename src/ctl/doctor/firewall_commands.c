/* What lets a group through a chain: nft(8), iptables(8). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/firewall.h"

/* nft(8) reads its words together as one text: any other name, which programs may well give, could
 * be something else there. */
static bool is_identifier(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum((unsigned char)*name) && !strchr("_./-", *name)))
			return false;
	return true;
}

/* Whether packets of the family pass the chain. */
static bool sees(const struct firewall_chain *chain, sa_family_t family)
{
	if (!strcmp(chain->family, "ip"))
		return family == AF_INET;
	return strcmp(chain->family, "ip6") || family == AF_INET6;
}

/* A rule at the front of a chain of nft(8), or one of iptables(8) that does the same. */
static void write_command(const struct firewall_chain *chain, sa_family_t family, const char *nft,
	const char *iptables, char *ret, size_t size)
{
	bool other_table = strcmp(chain->table, "filter");
	int length;

	*ret = '\0';
	if (!sees(chain, family) || !is_identifier(chain->table) || !is_identifier(chain->name))
		return;
	if (chain->is_iptables)
		length = snprintf(ret, size, "%s%s%s -I %s %s -j ACCEPT",
			family == AF_INET ? "iptables" : "ip6tables", other_table ? " -t " : "",
			other_table ? chain->table : "", chain->name, iptables);
	else
		length = snprintf(ret, size, "nft insert rule %s %s %s %s accept", chain->family,
			chain->table, chain->name, nft);
	if (length < 0 || (size_t)length >= size)
		*ret = '\0';
}

void firewall_accept_command(const struct firewall_chain *chain, const struct address *group,
	uint16_t port, char *ret, size_t size)
{
	char address[INET6_ADDRSTRLEN], nft[128], iptables[128];

	address_format(group, address);
	snprintf(nft, sizeof(nft), "%s daddr %s udp dport %u",
		group->family == AF_INET ? "ip" : "ip6", address, port);
	snprintf(iptables, sizeof(iptables), "-d %s -p udp --dport %u", address, port);
	write_command(chain, group->family, nft, iptables, ret, size);
}

void firewall_pass_command(const struct firewall_translation *rule, const struct address *group,
	uint16_t port, char *ret, size_t size)
{
	struct firewall_chain chain = {0};

	strcpy(chain.family, rule->family);
	strcpy(chain.table, rule->table);
	strcpy(chain.name, rule->chain);
	firewall_accept_command(&chain, group, port, ret, size);
}

void firewall_accept_fragments_command(
	const struct firewall_chain *chain, const struct address *group, char *ret, size_t size)
{
	char address[INET6_ADDRSTRLEN], nft[128], iptables[128];
	bool is_v4 = group->family == AF_INET;

	address_format(group, address);
	snprintf(nft, sizeof(nft), "%s daddr %s %s", is_v4 ? "ip" : "ip6", address,
		is_v4 ? "ip frag-off '&' 0x1fff != 0" : "exthdr frag exists");
	snprintf(iptables, sizeof(iptables), "-d %s %s", address,
		is_v4 ? "-f" : "-m frag --fragid 0:4294967295");
	write_command(chain, group->family, nft, iptables, ret, size);
}

void firewall_accept_reports_command(
	const struct firewall_chain *chain, sa_family_t family, bool out, char *ret, size_t size)
{
	if (family == AF_INET)
		write_command(chain, family, "ip protocol igmp", "-p igmp", ret, size);
	else if (!out)
		write_command(chain, family, "icmpv6 type mld-listener-query",
			"-p ipv6-icmp --icmpv6-type 130", ret, size);
	else
		write_command(chain, family, "meta l4proto ipv6-icmp", "-p ipv6-icmp", ret, size);
}
