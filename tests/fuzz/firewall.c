/* Answers of a kernel of whatever release about nf_tables: nothing is read beyond a message, and
 * what is told fits together. The input is netlink messages; their type says which of the two
 * dumps. */
#include <linux/netfilter/nf_tables.h>

#include "ctl/doctor/firewall.h"
#include "fuzz.h"
#include "net/rtnetlink.h"

static void take_messages(struct firewall *firewall, const uint8_t *data, size_t size)
{
	const struct nlmsghdr *message;
	const void *at = data;

	while ((message = rtnetlink_next(&at, &size))) {
		AUTO_FREE struct nlmsghdr *copy = malloc(message->nlmsg_len);

		CHECK(copy);
		memcpy(copy, message, message->nlmsg_len);
		if ((copy->nlmsg_type & 0xff) == NFT_MSG_NEWCHAIN)
			CHECK(firewall_take_chain(firewall, copy) == 0);
		else
			CHECK(firewall_take_rule(firewall, copy) == 0);
	}
}

/* What is pasted into a shell has no other characters, whatever tables and chains are called. */
#define COMMAND_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:- "

static void check_chain(const struct firewall_chain *chain)
{
	char command[FIREWALL_COMMAND_MAX];
	struct address group = {.family = AF_INET6};

	CHECK(memchr(chain->table, '\0', sizeof(chain->table)) &&
		memchr(chain->name, '\0', sizeof(chain->name)) &&
		chain->device_count <= FIREWALL_DEVICES_MAX);
	for (size_t i = 0; i < chain->device_count; i++)
		CHECK(memchr(chain->devices[i], '\0', sizeof(chain->devices[i])));
	firewall_accept_command(chain, &group, 5004, command, sizeof(command));
	CHECK(strspn(command, COMMAND_CHARACTERS) == strlen(command));
	firewall_accept_reports_command(chain, AF_INET, true, command, sizeof(command));
	CHECK(strspn(command, COMMAND_CHARACTERS) == strlen(command));
}

static bool is_at(const void *argument, const struct firewall_chain *chain)
{
	return (int)chain->hook == *(const int *)argument;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct firewall firewall = {0}, none = {0};
	uint64_t packets, growth = 0;

	take_messages(&firewall, data, size);
	CHECK(firewall_resolve(&firewall) == 0);
	for (size_t i = 0; i < firewall.chain_count; i++)
		check_chain(&firewall.chains[i]);
	for (size_t i = 0; i < firewall.rule_count; i++)
		CHECK(firewall.rules[i].chain < firewall.chain_count);
	for (int hook = HOOK_INGRESS; hook <= HOOK_FORWARD; hook++) {
		const struct firewall_rule *rule = firewall_grown(
			&none, &firewall, is_at, &hook, &packets);

		CHECK(!rule || packets == rule->packets);
		growth += rule != NULL;
		CHECK(!firewall_grown(&firewall, &firewall, is_at, &hook, &packets) ||
			firewall.rule_count > 1);
	}
	CHECK(growth <= firewall.rule_count);
	firewall_clear(&firewall);
	return 0;
}
