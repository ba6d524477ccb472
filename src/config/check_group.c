/* Checks of groups, each alone. config_check_group() is in config.h. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "config/checking.h"
#include "config/numbering.h"

/* Keys of sending. */
static const char *const send_keys[] = {"ttl", "loop", "dscp", "send_interface", "source_address",
	"source_port", "replies", "allow_send", "inputs"};

/* An address that may be one of this host, or the broadcast address of a network, at some time:
 * what it is, only the host knows. Only a broadcast address can be sent to. */
static void check_no_multicast(struct check *check)
{
	const struct address *address = &check->group->address;
	char string[INET6_ADDRSTRLEN];

	address_format(address, string);
	if (address->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6))
		complain(check, "address", "\"%s\" is an IPv4 address, write %s", string,
			strrchr(string, ':') + 1);
	else if (address->family == AF_INET && !(ntohl(address->v4.s_addr) >> 24) &&
		 !address_is_any(address))
		complain(check, "address",
			"\"%s\" is no address of a host, use 0.0.0.0 for all of this host", string);
	if (address->family == AF_INET && !address_is_any(address))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(send_keys); i++)
		if (mark_of(check, send_keys[i]).line)
			complain(check, send_keys[i], "has no effect, nothing can be sent to %s",
				string);
}

/* The kernel keeps these to the link or to the host (RFC 3376, 5; RFC 3810, 6). */
static bool is_never_reported(const struct address *address)
{
	struct address all_nodes;

	if (address->family == AF_INET)
		return address->v4.s_addr == htonl(INADDR_ALLHOSTS_GROUP);
	address_parse("ff02::1", &all_nodes);
	return (address->v6.s6_addr[1] & 0xf) < 2 || address_equal(address, &all_nodes);
}

static void check_refresh(struct check *check)
{
	const struct address *address = &check->group->address;
	char string[INET6_ADDRSTRLEN];

	if (!check->group->refresh || address->family == AF_UNSPEC)
		return;
	address_format(address, string);
	if (!address_is_multicast(address))
		complain(check, "refresh",
			"has no effect, %s is no multicast address and is never reported; remove "
			"the key",
			string);
	else if (is_never_reported(address))
		complain(check, "refresh",
			"has no effect, %s is never reported and switches do not filter it; remove "
			"the key",
			string);
}

/* A file without an address, or with one that is none, has been reported on reading. */
static void check_address(struct check *check)
{
	const struct config_group *group = check->group;

	if (group->address.family == AF_UNSPEC && !group->marks)
		complain(check, "address", "is missing");
	else if (group->address.family != AF_UNSPEC && !address_is_multicast(&group->address))
		check_no_multicast(check);
	check_refresh(check);
	if (!group->port && !group->marks)
		complain(check, "port", "is missing");
}

/* Whether a datagram can come from the address. */
static bool is_sender(const struct address *address)
{
	static const struct address none4 = {.family = AF_INET}, none6 = {.family = AF_INET6};

	return !address_is_multicast(address) && !address_equal(address, &none4) &&
	       !address_equal(address, &none6) &&
	       !(address->family == AF_INET && address->v4.s_addr == INADDR_BROADCAST);
}

static void check_sources(struct check *check, const char *key, const struct address_list *sources)
{
	sa_family_t family = check->group->address.family;
	char string[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < sources->count; i++) {
		const struct address *source = &sources->items[i];

		address_format(source, string);
		if (!is_sender(source))
			complain(check, key,
				"\"%s\" is not the address of a sender, use a unicast address",
				string);
		else if (family != AF_UNSPEC && source->family != family)
			complain(check, key,
				"\"%s\" is not of the group's family, use an IPv%d address", string,
				family == AF_INET ? 4 : 6);
	}
}

static void check_source_lists(struct check *check)
{
	const struct config_group *group = check->group;

	check_sources(check, "sources", &group->sources);
	check_sources(check, "block_sources", &group->block_sources);
	if (group->sources.count && group->block_sources.count)
		complain(check, "block_sources",
			"cannot be used together with sources, remove one of the two");
}

static void check_sequence(struct check *check)
{
	const struct config_group *group = check->group;
	struct numbering numbering = {0};
	char why[WHY_MAX];

	if (group->sequence && numbering_parse(group->sequence, &numbering, why) < 0)
		complain(check, "sequence", "%s", why);
	else if (group->step > 1 && numbering.kind != NUMBERING_INTEGER)
		complain(check, "step",
			"has no effect, only integers like sequence = \"u32@4\" count in steps; "
			"remove the key");
	else if (group->step > 1 && group->step >= 1ll << (numbering.bits / 2))
		complain(check, "step",
			"%" PRId64 " is too much for the %u bits of %s: use less than %lld",
			group->step, numbering.bits, group->sequence, 1ll << (numbering.bits / 2));
}

static void check_expected_senders(struct check *check)
{
	const struct prefix_list *senders = &check->group->expect_senders;
	sa_family_t family = check->group->address.family;
	char string[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < senders->count && family != AF_UNSPEC; i++)
		if (senders->items[i].address.family != family)
			complain(check, "expect_senders",
				"\"%s/%u\" is not of the group's family, use IPv%d addresses",
				address_format(&senders->items[i].address, string),
				senders->items[i].length, family == AF_INET ? 4 : 6);
}

static void check_expectations(struct check *check)
{
	double least, most;
	char why[WHY_MAX];

	check_expected_senders(check);
	if (config_expected_rate(&check->group->expect_rate, &least, &most, why) < 0)
		complain(check, "expect_rate", "%s", why);
}

/* As people write it elsewhere, and what to write here; NULL: there is nothing wrong. */
static const char *misspelt(const char *name)
{
	if (strchr(name, ','))
		return "is a list in one string, write [\"eth0\", \"eth1\"]";
	if (strchr(name, '@'))
		return "has what \"ip link\" prints behind the name, leave out the @ and what "
		       "follows";
	if (*name == '-')
		return "begins with -, write ! in front of what to leave out";
	if (strchr(name, '/'))
		return "cannot be an interface: write its name or one of its addresses, without /";
	return NULL;
}

/* As the kernel's dev_valid_name() and dev_valid_altname(), and without control characters, as
 * names are shown; an address stands for the interface that has it. */
int config_check_interface(const char *item, bool may_be_pattern, char why[static WHY_MAX])
{
	const char *name = may_be_pattern && *item == '!' ? item + 1 : item, *wrong;
	bool is_glob = strpbrk(name, "*?[");
	struct address address;
	char buffer[SHOWN_MAX];

	shown(item, buffer);
	wrong = misspelt(name);
	if (address_parse(name, &address) == 0) {
		if (!is_sender(&address))
			wrong = may_be_pattern ? "is no interface's address: write a name, or "
						 "\"*\" for all that can do multicast"
					       : "is no interface's address: write a name";
		else if (!address_needs_scope(&address))
			return 0;
		else
			wrong = "is link-local: more than one interface may have it, write the "
				"name of one";
	}
	for (const char *at = name; *at && !wrong; at++)
		if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at) || *at == ':')
			wrong = "cannot be an interface: no name has a space, a control character "
				"or :";
	if (wrong)
		return because(why, -EINVAL, "\"%s\" %s", buffer, wrong);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return because(why, -EINVAL, "\"%s\" cannot be an interface", buffer);
	if (*item == '!' && !may_be_pattern)
		return because(why, -EINVAL, "\"%s\" leaves one out, name those to use", buffer);
	if (is_glob && !may_be_pattern)
		return because(
			why, -EINVAL, "\"%s\" is a pattern, use the names of interfaces", buffer);
	if (!is_glob && strlen(name) >= INTERFACE_NAME_MAX)
		return because(why, -EINVAL,
			"\"%s\" is longer than an interface's name can be, use at most %d bytes",
			buffer, INTERFACE_NAME_MAX - 1);
	return 0;
}

static void check_interface(
	struct check *check, const char *key, const char *item, bool may_be_pattern)
{
	char why[WHY_MAX];

	if (config_check_interface(item, may_be_pattern, why) < 0)
		complain(check, key, "%s", why);
}

static void check_interfaces(struct check *check)
{
	const struct config_group *group = check->group;

	for (size_t i = 0; i < group->interfaces.count; i++)
		check_interface(check, "interfaces", group->interfaces.items[i], true);
	for (size_t i = 0; i < group->send_interface.count; i++)
		check_interface(check, "send_interface", group->send_interface.items[i], false);
}

/* What a group sends from. */
static void check_sending(struct check *check)
{
	const struct config_group *group = check->group;
	char string[INET6_ADDRSTRLEN];

	if (group->source_address.family == AF_UNSPEC)
		return;
	address_format(&group->source_address, string);
	if (!is_sender(&group->source_address))
		complain(check, "source_address",
			"\"%s\" cannot be sent from, use an address of this host", string);
	else if (group->address.family != AF_UNSPEC &&
		 group->source_address.family != group->address.family)
		complain(check, "source_address",
			"\"%s\" is not of the group's family, use an IPv%d address", string,
			group->address.family == AF_INET ? 4 : 6);
}

static void check_socket(struct check *check)
{
	const struct config_group *group = check->group;
	size_t length;

	if (!group->socket) {
		if (mark_of(check, "socket_empty").line)
			complain(check, "socket_empty", "has no effect without socket = true");
		return;
	}
	length = strlen(check->config->run_directory) + strlen("/groups/") + strlen(group->name);
	if (length > SOCKET_PATH_MAX)
		complain(check, "socket",
			"the socket's path would have %zu bytes, use at most %d: shorten the name "
			"or run_directory",
			length, SOCKET_PATH_MAX);
}

static void begin_group(
	struct check *check, const struct config_group *group, const struct schema *schema)
{
	check->group = group;
	check->subject = group_subject(group);
	check->parts[0] = (struct config_part){schema, (void *)group, group->marks};
	check->part_count = 1;
}

void check_events(struct check *check, const struct config_group *group)
{
	begin_group(check, group, &events_schema);
	check_handlers(check);
	check_handlers_of_events(check);
	check_socket(check);
}

/* ---- Groups that are made of others ---- */

/* What a group that is made of others may have. */
static const char *const merge_keys[] = {"merge", "handlers", "expect_within", "expect_rate",
	"sequence", "step", "socket", "socket_mode", "socket_group", "socket_empty",
	"allow_receive"};

static bool may_be_merged(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(merge_keys); i++)
		if (!strcmp(key, merge_keys[i]))
			return true;
	return false;
}

static void check_leg(struct check *check, const char *name)
{
	const struct config_group *leg = config_find_group(check->config, name);
	char buffer[SHOWN_MAX];

	if (!strcmp(name, check->group->name))
		complain(check, "merge", "\"%s\" is this group itself, remove it", name);
	else if (!leg && !check->is_partial)
		complain(check, "merge", "there is no group \"%s\", add it to groups",
			shown(name, buffer));
	else if (leg && leg->merge.count)
		complain(check, "merge",
			"\"%s\" is made of others itself, write the groups that it is made of",
			name);
}

/* The counters of a transport stream have four bits, too few to tell copies by. */
static void check_merged_sequence(struct check *check)
{
	struct numbering numbering = {0};
	char why[WHY_MAX];

	check_sequence(check);
	if (check->group->sequence && !numbering_parse(check->group->sequence, &numbering, why) &&
		numbering.kind == NUMBERING_MPEG_TS)
		complain(check, "sequence",
			"\"mpeg-ts\" cannot tell copies: remove the key, so that they are told by "
			"their payload; discontinuities are counted where the groups in merge have "
			"it");
}

static void check_merge(struct check *check)
{
	const struct config_group *group = check->group;

	for (size_t i = 0; i < group_schema.count; i++) {
		const char *key = group_schema.keys[i].name;

		if (mark_of(check, key).line && !may_be_merged(key))
			complain(check, key,
				"cannot be used with merge: the group has no address of its "
				"own, and nothing is sent to it; remove the key");
	}
	if (group->merge.count < 2)
		complain(check, "merge", "needs at least two groups, add the other ones");
	for (size_t i = 0; i < group->merge.count; i++)
		check_leg(check, group->merge.items[i]);
	check_merged_sequence(check);
	check_expectations(check);
	check_handlers(check);
	check_socket(check);
}

/* ---- All of a group ---- */

void check_group(struct check *check, const struct config_group *group)
{
	begin_group(check, group, &group_schema);
	check_name(check);
	if (!strcmp(group->name, EVENTS_GROUP))
		complain(check, NULL,
			"the name belongs to the group of the daemon's own events, use another");
	if (group->merge.count) {
		check_merge(check);
		return;
	}
	check_address(check);
	check_source_lists(check);
	check_sequence(check);
	check_expectations(check);
	check_interfaces(check);
	check_sending(check);
	check_handlers(check);
	check_inputs(check);
	check_socket(check);
}

size_t config_check_group(
	const struct config *config, const struct config_group *group, struct errors *errors)
{
	struct check check = {.config = config, .errors = errors};

	check_group(&check, group);
	interface_list_clear(&check.interfaces);
	return check.found;
}
