/* The sockets that send to groups: one for each family and outgoing interface, shared by all
 * groups. So ten thousand groups do not need ten thousand more descriptors, and a slow interface
 * only holds up what goes out of it. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "base/list.h"
#include "net/udp_out.h"

struct event_base;
struct senders;
struct sender;

/* Waits until a sender can take more. Embedded in the object that waits, and zeroed before. */
struct send_waiter {
	struct link link;
	void (*ready)(struct send_waiter *waiter);
};

/* The destination and the socket options. */
struct send_target {
	union endpoint to;
	socklen_t to_length;
	int ttl, loop;
};

struct senders *senders_new(struct event_base *base);
void senders_free(struct senders *senders);

/* Closes senders of interfaces that are gone. Their waiters are told to try again. */
struct interface_list;
void senders_reconcile(struct senders *senders, const struct interface_list *interfaces);

/* The sender for a family and an interface, 0 for the kernel's route, opened at the first use.
 * Returns 0 or a negative errno. */
int senders_get(struct senders *senders, sa_family_t family, unsigned ifindex, struct sender **ret);

/* Sends one datagram for each vector, with this TTL and loop. Returns as udp_out_send(). */
int sender_send(struct sender *sender, const struct send_target *target,
	const struct iovec *vectors, unsigned count);

/* Calls waiter->ready once, when the sender can take more. */
void sender_wait(struct sender *sender, struct send_waiter *waiter);

/* Removes a waiter, if it waits. */
void sender_cancel(struct send_waiter *waiter);
