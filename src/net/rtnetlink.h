/* Questions to the kernel about its links, addresses and routes (rtnetlink(7)). */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

/* Takes one message of a dump. Returns 0, or a negative errno that ends the dump. */
typedef int rtnetlink_item(void *argument, const struct nlmsghdr *message);

/* Has the kernel list all links (RTM_GETLINK) or addresses (RTM_GETADDR). When something changes
 * meanwhile, the dump starts over: restart() forgets what came before. Returns 0 or a negative
 * errno.
 */
int rtnetlink_dump(int type, rtnetlink_item *item, void (*restart)(void *argument), void *argument);

/* Has the kernel describe one link to item, with a filter such as RTEXT_FILTER_SKIP_STATS. Returns
 * what that does, or a negative errno. */
int rtnetlink_link(unsigned ifindex, uint32_t filter, rtnetlink_item *item, void *argument);

/* A question for the kernel's route to an address, with flags such as RTM_F_FIB_MATCH. */
struct rtnetlink_route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	_Alignas(struct rtattr) char attributes[2 * RTA_SPACE(sizeof(struct in6_addr)) +
						RTA_SPACE(sizeof(unsigned))];
};

void rtnetlink_route_request(
	const struct address *address, unsigned flags, struct rtnetlink_route_request *ret);

/* Add to it: where the datagram comes from, and an interface, as RTA_IIF or RTA_OIF. Each once. */
void rtnetlink_route_from(struct rtnetlink_route_request *request, const struct address *source);
void rtnetlink_route_interface(
	struct rtnetlink_route_request *request, unsigned short type, unsigned ifindex);

/* Has the kernel answer it to item. Returns what that does, or a negative errno. -EAGAIN where it
 * leaves the answer to a daemon that routes multicast. */
int rtnetlink_route_ask(
	const struct rtnetlink_route_request *request, rtnetlink_item *item, void *argument);

/* The type of the kernel's route to an address, such as RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST or
 * RTN_UNICAST; or a negative errno. *ret_ifindex is its interface, lo for RTN_LOCAL; 0: it has
 * none.
 */
int rtnetlink_route(const struct address *address, unsigned *ret_ifindex);

/* The same without the interface. */
int rtnetlink_route_type(const struct address *address);

/* The name of its interface, for messages: "the interface" where it has none. */
const char *rtnetlink_route_name(const struct address *address, char buffer[static IF_NAMESIZE]);

/* Takes the message at the front of *data, of which *left bytes are left, and moves both behind it.
 * Returns NULL when there is no whole message. */
const struct nlmsghdr *rtnetlink_next(const void **data, size_t *left);

/* The fixed part of a message, of size bytes; NULL where the message is shorter. */
const void *rtnetlink_fixed(const struct nlmsghdr *message, size_t size);

/* Sorts the attributes of a message behind its fixed part of fixed bytes into table, by their type;
 * NULL where there is none. Types of max and above are left out. */
void rtnetlink_attributes(
	const struct nlmsghdr *message, size_t fixed, const struct rtattr *table[], unsigned max);

/* The same for the attributes nested in one. */
void rtnetlink_nested(const struct rtattr *attribute, const struct rtattr *table[], unsigned max);

/* Copies the value of an attribute, a number or an address. Returns whether it is there, and is no
 * shorter; else *ret stays as it is. Accepts NULL. */
bool rtnetlink_copy(const struct rtattr *attribute, void *ret, size_t size);

/* Copies a string, without what has no room. */
void rtnetlink_copy_string(const struct rtattr *attribute, char *ret, size_t size);
