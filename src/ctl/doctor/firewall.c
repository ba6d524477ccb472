#include "ctl/doctor/firewall.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "ctl/doctor/firewall_graph.h"
#include "net/rtnetlink.h"

/* What the kernel fills at most at once, in bytes (netlink_dump()). */
#define RECEIVE_SIZE 32768

/* While rules change, a dump starts over. */
#define DUMPS_MAX 3

typedef int firewall_take(struct firewall *firewall, const struct nlmsghdr *message);

/* Takes the messages of one answer. Returns 0 at the end of the dump, 1 when more is to come, or a
 * negative errno. */
static int take_messages(
	struct firewall *firewall, const void *data, size_t size, firewall_take *take_one)
{
	const struct nlmsghdr *message;
	int error = -EIO, r;

	while ((message = rtnetlink_next(&data, &size))) {
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (message->nlmsg_type == NLMSG_DONE)
			return 0;
		if (message->nlmsg_type == NLMSG_ERROR) {
			if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
				memcpy(&error, NLMSG_DATA(message), sizeof(error));
			return error < 0 ? error : -EIO;
		}
		r = take_one(firewall, message);
		if (r < 0)
			return r;
	}
	return 1;
}

static int open_netfilter(int type)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg body; /* of any family */
	} request = {.header = {.nlmsg_len = sizeof(request),
			     .nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	return take_fd(fd);
}

static int dump(struct firewall *firewall, int type, firewall_take *take_one)
{
	AUTO_CLOSE int fd = open_netfilter(type);
	AUTO_FREE char *data = malloc(RECEIVE_SIZE);
	size_t total = 0;
	int r = fd < 0 ? fd : data ? 1 : -ENOMEM;

	while (r > 0) {
		ssize_t n = recv(fd, data, RECEIVE_SIZE, 0);

		if (n < 0 && errno == EINTR)
			continue;
		r = n > 0 ? take_messages(firewall, data, (size_t)n, take_one) : n ? -errno : -EIO;
		total += n > 0 ? (size_t)n : 0;
		if (r > 0 && total > FIREWALL_BYTES_MAX) {
			firewall->is_cut = true;
			return 0;
		}
	}
	return r;
}

/* Without the file, there is no such module. */
static bool has_line(const char *path)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");

	return file && fgetc(file) != EOF;
}

void firewall_read(struct firewall *ret)
{
	int r = -EINTR;

	*ret = (struct firewall){0};
	for (int i = 0; i < DUMPS_MAX && r == -EINTR; i++) {
		firewall_clear(ret);
		r = dump(ret, NFT_MSG_GETCHAIN, firewall_take_chain);
		if (r >= 0)
			r = dump(ret, NFT_MSG_GETRULE, firewall_take_rule);
		if (r >= 0)
			r = firewall_resolve(ret);
	}
	if (r < 0)
		firewall_clear(ret);
	ret->is_readable = r >= 0;
	ret->has_legacy = has_line("/proc/net/ip_tables_names") ||
			  has_line("/proc/net/ip6_tables_names");
}

void firewall_clear(struct firewall *firewall)
{
	free(firewall->chains);
	free(firewall->rules);
	free(firewall->translations);
	firewall_graph_free(firewall->graph);
	*firewall = (struct firewall){0};
}

static bool is_same_rule(const struct firewall *before, const struct firewall_rule *old,
	const struct firewall_chain *chain, const struct firewall_rule *rule)
{
	const struct firewall_chain *old_chain = &before->chains[old->chain];

	return old->handle == rule->handle && !strcmp(old->table_chain, rule->table_chain) &&
	       !strcmp(old_chain->name, chain->name) && !strcmp(old_chain->table, chain->table) &&
	       !strcmp(old_chain->family, chain->family);
}

/* What it had counted before; one that is new has counted nothing. */
static uint64_t packets_before(const struct firewall *before, const struct firewall *after,
	const struct firewall_rule *rule)
{
	const struct firewall_chain *chain = &after->chains[rule->chain];
	size_t same = (size_t)(rule - after->rules);

	/* Usually nothing has changed but the counters. */
	if (same < before->rule_count && is_same_rule(before, &before->rules[same], chain, rule))
		return before->rules[same].packets;
	for (size_t i = 0; i < before->rule_count; i++)
		if (is_same_rule(before, &before->rules[i], chain, rule))
			return before->rules[i].packets;
	return 0;
}

static bool is_device(const char *device, const char *interface)
{
	size_t length = strlen(device);

	if (length && device[length - 1] == '*' && !strncmp(device, interface, length - 1))
		return true;
	return !strcmp(device, interface);
}

bool firewall_has_device(const struct firewall_chain *chain, const char *interface)
{
	for (size_t i = 0; i < chain->device_count; i++)
		if (is_device(chain->devices[i], interface))
			return true;
	return !chain->device_count || chain->has_more_devices;
}

const struct firewall_rule *firewall_grown(const struct firewall *before,
	const struct firewall *after, firewall_wants *wants, const void *argument,
	uint64_t *ret_packets)
{
	const struct firewall_rule *found = NULL;
	uint64_t most = 0;

	for (size_t i = 0; i < after->rule_count; i++) {
		const struct firewall_rule *rule = &after->rules[i];
		uint64_t old;

		if (rule->packets <= most || !wants(argument, &after->chains[rule->chain]))
			continue;
		old = packets_before(before, after, rule);
		if (rule->packets <= old || rule->packets - old <= most)
			continue;
		most = rule->packets - old;
		found = rule;
	}
	if (found)
		*ret_packets = most;
	return found;
}
