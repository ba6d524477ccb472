#include "net/reverse_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "net/rtnetlink.h"

#define VALID_NS NS_PER_S

/* Direct-mapped. Forged addresses replace others, each of which then costs one more request. */
#define ANSWERS 1024

struct answer {
	struct address source; /* AF_UNSPEC: none */
	unsigned ifindex;
	bool leads;
	uint32_t generation;
	uint64_t until_ns;
};

struct reverse_path {
	int fd; /* rtnetlink(7); -1: not open */
	uint32_t sequence; /* of the last request */
	uint32_t generation; /* answers of earlier ones are not valid any more */
	struct answer answers[ANSWERS];
};

struct reverse_path *reverse_path_new(void)
{
	struct reverse_path *paths = calloc(1, sizeof(*paths));

	if (paths)
		paths->fd = -1;
	return paths;
}

void reverse_path_free(struct reverse_path *paths)
{
	if (!paths)
		return;
	closep(&paths->fd);
	free(paths);
}

void reverse_path_forget(struct reverse_path *paths)
{
	paths->generation++;
}

static bool is_link_local(const struct address *address)
{
	if (address->family == AF_INET)
		return (ntohl(address->v4.s_addr) & 0xffff0000) == 0xa9fe0000; /* RFC 3927 */
	return IN6_IS_ADDR_LINKLOCAL(&address->v6);
}

static bool is_loopback(const struct address *address)
{
	if (address->family == AF_INET)
		return ntohl(address->v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&address->v6);
}

/* Whether one of several next hops is by the interface. */
static bool has_hop(const struct rtattr *multipath, unsigned ifindex)
{
	const struct rtnexthop *hop = RTA_DATA(multipath);
	int left = (int)RTA_PAYLOAD(multipath);

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
		left -= NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		if ((unsigned)hop->rtnh_ifindex == ifindex)
			return true;
	return false;
}

static bool route_leads_to(const struct nlmsghdr *message, unsigned ifindex)
{
	const struct rtmsg *route = rtnetlink_fixed(message, sizeof(*route));
	const struct rtattr *parts[RTA_MULTIPATH + 1];
	unsigned out = 0;

	if (message->nlmsg_type != RTM_NEWROUTE || !route || route->rtm_type != RTN_UNICAST)
		return false;
	rtnetlink_attributes(message, sizeof(*route), parts, ARRAY_SIZE(parts));
	if (parts[RTA_MULTIPATH])
		return has_hop(parts[RTA_MULTIPATH], ifindex);
	rtnetlink_copy(parts[RTA_OIF], &out, sizeof(out));
	return out == ifindex;
}

/* Asks for the entry of the routing table, with all its next hops, where an ordinary request is
 * answered with one of them. */
static int send_request(struct reverse_path *paths, const struct address *source)
{
	struct rtnetlink_route_request request;

	rtnetlink_route_request(source, RTM_F_FIB_MATCH, &request);
	request.header.nlmsg_seq = ++paths->sequence;
	return send(paths->fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The kernel answers before send() returns. Returns whether it does, or a negative errno. */
static int ask(struct reverse_path *paths, const struct address *source, unsigned ifindex)
{
	_Alignas(struct nlmsghdr) char data[8192];
	const struct nlmsghdr *message = (const void *)data;
	ssize_t n;
	int r;

	if (paths->fd < 0)
		paths->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (paths->fd < 0)
		return -errno;
	r = send_request(paths, source);
	if (r < 0)
		return r;
	n = recv(paths->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(message, (unsigned)n) || message->nlmsg_seq != paths->sequence)
		return -EIO;
	return route_leads_to(message, ifindex);
}

static struct answer *find(
	struct reverse_path *paths, const struct address *source, unsigned ifindex)
{
	uint64_t hash = hash_bytes(address_hash(HASH_BEGIN, source), &ifindex, sizeof(ifindex));

	return &paths->answers[hash % ANSWERS];
}

bool reverse_path_leads_to(
	struct reverse_path *paths, const struct address *source, unsigned ifindex, uint64_t now_ns)
{
	struct answer *answer;
	int r;

	if (is_link_local(source) || is_loopback(source) || address_is_multicast(source) ||
		address_is_any(source) || address_is_everyone(source))
		return false;
	answer = find(paths, source, ifindex);
	if (now_ns < answer->until_ns && answer->generation == paths->generation &&
		answer->ifindex == ifindex && address_equal(&answer->source, source))
		return answer->leads;
	r = ask(paths, source, ifindex);
	if (r < 0)
		closep(&paths->fd); /* what may still be in it is of another request */
	*answer = (struct answer){*source, ifindex, r > 0, paths->generation, now_ns + VALID_NS};
	return r > 0;
}
