/* What lets a group through a chain: nft(8), iptables(8). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/firewall.h"

#define QUOTED_MAX (64 * 4 + 3)

static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_./-", *name))
			return false;
	return true;
}

/* A name as one word for a shell. Returns ret. */
static const char *quote(const char *name, char ret[static QUOTED_MAX])
{
	size_t length = 0;

	if (is_plain(name) && *name && *name != '-')
		return strcpy(ret, name);
	ret[length++] = '\'';
	for (; *name; name++) {
		if (*name == '\'') {
			memcpy(ret + length, "'\\''", 4);
			length += 4;
		} else {
			ret[length++] = *name;
		}
	}
	strcpy(ret + length, "'");
	return ret;
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
	char table[QUOTED_MAX], name[QUOTED_MAX];
	bool other_table = strcmp(chain->table, "filter");
	int length;

	*ret = '\0';
	if (!sees(chain, family))
		return;
	if (chain->is_iptables)
		length = snprintf(ret, size, "%s%s%s -I %s %s -j ACCEPT",
			family == AF_INET ? "iptables" : "ip6tables", other_table ? " -t " : "",
			other_table ? chain->table : "", chain->name, iptables);
	else
		length = snprintf(ret, size, "nft insert rule %s %s %s %s accept", chain->family,
			quote(chain->table, table), quote(chain->name, name), nft);
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

void firewall_accept_reports_command(
	const struct firewall_chain *chain, sa_family_t family, char *ret, size_t size)
{
	if (family == AF_INET)
		write_command(chain, family, "ip protocol igmp", "-p igmp", ret, size);
	else
		write_command(chain, family, "meta l4proto ipv6-icmp", "-p ipv6-icmp", ret, size);
}
