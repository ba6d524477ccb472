#include "net/rtnetlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* What the kernel fills at most at once, in bytes (NLMSG_GOODSIZE and netlink_dump()). */
#define RECEIVE_SIZE 32768

/* While links come and go all the time, a list of which some was read twice is better than none. */
#define DUMPS_MAX 5

static int open_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

/* NLMSG_NEXT() goes wrong where the last message ends between two words. */
const struct nlmsghdr *rtnetlink_next(const void **data, size_t *left)
{
	const struct nlmsghdr *message = *data;
	size_t size;

	if (!NLMSG_OK(message, *left))
		return NULL;
	size = NLMSG_ALIGN(message->nlmsg_len);
	if (size > *left)
		size = *left;
	*data = (const char *)*data + size;
	*left -= size;
	return message;
}

const void *rtnetlink_fixed(const struct nlmsghdr *message, size_t size)
{
	return message->nlmsg_len < NLMSG_LENGTH(size) ? NULL : NLMSG_DATA(message);
}

bool rtnetlink_copy(const struct rtattr *attribute, void *ret, size_t size)
{
	if (!attribute || RTA_PAYLOAD(attribute) < size)
		return false;
	memcpy(ret, RTA_DATA(attribute), size);
	return true;
}

void rtnetlink_copy_string(const struct rtattr *attribute, char *ret, size_t size)
{
	size_t length = strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute));

	if (length >= size)
		length = size - 1;
	memcpy(ret, RTA_DATA(attribute), length);
	ret[length] = '\0';
}

static void sort(
	const struct rtattr *attribute, size_t size, const struct rtattr *table[], unsigned max)
{
	int left = (int)size;

	memset(table, 0, max * sizeof(*table));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & NLA_TYPE_MASK) < max)
			table[attribute->rta_type & NLA_TYPE_MASK] = attribute;
}

void rtnetlink_attributes(
	const struct nlmsghdr *message, size_t fixed, const struct rtattr *table[], unsigned max)
{
	const char *start = (const char *)NLMSG_DATA(message) + NLMSG_ALIGN(fixed);
	size_t head = NLMSG_SPACE(fixed);

	sort((const struct rtattr *)start,
		message->nlmsg_len > head ? message->nlmsg_len - head : 0, table, max);
}

void rtnetlink_nested(const struct rtattr *attribute, const struct rtattr *table[], unsigned max)
{
	sort(RTA_DATA(attribute), RTA_PAYLOAD(attribute), table, max);
}

/* What the end of a dump, or an error, says; 1 for any other message. */
static int end_of(const struct nlmsghdr *message)
{
	int error = 0;

	if (message->nlmsg_type != NLMSG_DONE && message->nlmsg_type != NLMSG_ERROR)
		return 1;
	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(message), sizeof(error));
	return error;
}

/* Takes the messages of one answer to a dump. Returns 0 at its end, 1 when more is to come, or a
 * negative errno. */
static int read_messages(
	const char *data, size_t size, rtnetlink_item *item, void *argument, bool *ret_interrupted)
{
	const void *at = data;
	const struct nlmsghdr *message;

	while ((message = rtnetlink_next(&at, &size))) {
		int r = end_of(message);

		*ret_interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (r <= 0)
			return r;
		r = item(argument, message);
		if (r < 0)
			return r;
	}
	return 1;
}

static int dump_once(int type, rtnetlink_item *item, void *argument, bool *ret_interrupted)
{
	AUTO_CLOSE int fd = open_netlink();
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body; /* of any family */
	} request = {.header = {.nlmsg_len = sizeof(request),
			     .nlmsg_type = (uint16_t)type,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	AUTO_FREE char *data = malloc(RECEIVE_SIZE);
	int r = fd < 0 ? fd : data ? 1 : -ENOMEM;

	*ret_interrupted = false;
	if (r > 0 && send(fd, &request, sizeof(request), 0) < 0)
		r = -errno;
	while (r > 0) {
		ssize_t n = recv(fd, data, RECEIVE_SIZE, 0);

		if (n > 0)
			r = read_messages(data, (size_t)n, item, argument, ret_interrupted);
		else if (n == 0 || errno != EINTR)
			r = n ? -errno : -EIO;
	}
	return r;
}

int rtnetlink_dump(int type, rtnetlink_item *item, void (*restart)(void *argument), void *argument)
{
	bool interrupted = true;
	int r = 0;

	for (int i = 0; i < DUMPS_MAX && interrupted && r >= 0; i++) {
		restart(argument);
		r = dump_once(type, item, argument, &interrupted);
	}
	return r;
}

/* Asks for one item; the kernel answers before send() returns. Returns 1 with the answer's only
 * message, or a negative errno. */
static int ask(const struct nlmsghdr *request, char *answer, size_t size)
{
	AUTO_CLOSE int fd = open_netlink();
	const struct nlmsghdr *message = (const void *)answer;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, answer, size, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	r = NLMSG_OK(message, (unsigned)n) ? end_of(message) : -EIO;
	return r ? r : -EIO;
}

int rtnetlink_link(unsigned ifindex, uint32_t filter, rtnetlink_item *item, void *argument)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		struct rtattr attribute;
		uint32_t filter;
	} request = {.header = {.nlmsg_len = sizeof(request),
			     .nlmsg_type = RTM_GETLINK,
			     .nlmsg_flags = NLM_F_REQUEST},
		.link = {.ifi_index = (int)ifindex},
		.attribute = {.rta_type = IFLA_EXT_MASK,
			.rta_len = RTA_LENGTH(sizeof(request.filter))},
		.filter = filter};
	_Alignas(struct nlmsghdr) char answer[RECEIVE_SIZE];
	int r = ask(&request.header, answer, sizeof(answer));

	return r < 0 ? r : item(argument, (const void *)answer);
}

/* The type that an answer to RTM_GETROUTE tells. */
static int read_route(void *ret_ifindex, const struct nlmsghdr *message)
{
	const struct rtmsg *route = rtnetlink_fixed(message, sizeof(*route));
	const struct rtattr *parts[RTA_OIF + 1];

	if (!route)
		return -EIO;
	rtnetlink_attributes(message, sizeof(*route), parts, ARRAY_SIZE(parts));
	*(unsigned *)ret_ifindex = 0;
	rtnetlink_copy(parts[RTA_OIF], ret_ifindex, sizeof(unsigned));
	return route->rtm_type;
}

static void add_attribute(struct rtnetlink_route_request *request, unsigned short type,
	const void *value, size_t size)
{
	struct rtattr *attribute = (struct rtattr *)((char *)request +
						     NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), value, size);
	request->header.nlmsg_len += (uint32_t)RTA_SPACE(size);
}

/* Returns the number of its bits. */
static unsigned char add_address(
	struct rtnetlink_route_request *request, unsigned short type, const struct address *address)
{
	size_t size = address->family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);

	add_attribute(request, type, &address->v4, size);
	return (unsigned char)(8 * size);
}

void rtnetlink_route_request(
	const struct address *address, unsigned flags, struct rtnetlink_route_request *ret)
{
	*ret = (struct rtnetlink_route_request){
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(ret->route)),
			.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = (unsigned char)address->family, .rtm_flags = flags}};
	ret->route.rtm_dst_len = add_address(ret, RTA_DST, address);
}

void rtnetlink_route_from(struct rtnetlink_route_request *request, const struct address *source)
{
	request->route.rtm_src_len = add_address(request, RTA_SRC, source);
}

void rtnetlink_route_interface(
	struct rtnetlink_route_request *request, unsigned short type, unsigned ifindex)
{
	add_attribute(request, type, &ifindex, sizeof(ifindex));
}

int rtnetlink_route_ask(
	const struct rtnetlink_route_request *request, rtnetlink_item *item, void *argument)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	int r = ask(&request->header, answer, sizeof(answer));

	return r < 0 ? r : item(argument, (const void *)answer);
}

int rtnetlink_route(const struct address *address, unsigned *ret_ifindex)
{
	struct rtnetlink_route_request request;

	rtnetlink_route_request(address, 0, &request);
	return rtnetlink_route_ask(&request, read_route, ret_ifindex);
}

int rtnetlink_route_type(const struct address *address)
{
	unsigned ifindex;

	return rtnetlink_route(address, &ifindex);
}

const char *rtnetlink_route_name(const struct address *address, char buffer[static IF_NAMESIZE])
{
	unsigned ifindex;

	if (rtnetlink_route(address, &ifindex) >= 0 && if_indextoname(ifindex, buffer))
		return buffer;
	return "the interface";
}
