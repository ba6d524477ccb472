/* The sockets that send to groups: one for each family and outgoing interface, shared by all
 * groups, so that ten thousand groups need no ten thousand more descriptors, and a slow interface
 * only holds up what goes out of it. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "net/udp_out.h"

struct event_base;
struct senders;
struct sender;

/* Somebody who waits until a sender can take more. Embedded in the object that waits. */
struct send_waiter {
	struct send_waiter *next;
	struct sender *sender; /* NULL: not waiting */
	void (*ready)(struct send_waiter *waiter);
};

/* Where to, and how. */
struct send_target {
	union endpoint to;
	socklen_t to_length;
	int ttl, loop;
};

struct senders *senders_new(struct event_base *base);
void senders_free(struct senders *senders);

/* Closes senders of interfaces that are gone; who waits for one is told to try again. */
struct interface_list;
void senders_reconcile(struct senders *senders, const struct interface_list *interfaces);

/* The sender for a family and an interface, 0 for the kernel's route, opened when first asked for.
 * Returns 0 or a negative errno. */
int senders_get(struct senders *senders, sa_family_t family, unsigned ifindex, struct sender **ret);

/* Sends one datagram for each vector, with this TTL and loop. Returns as udp_out_send(). */
int sender_send(struct sender *sender, const struct send_target *target,
	const struct iovec *vectors, unsigned count);

/* Calls waiter->ready once, when the sender can take more. */
void sender_wait(struct sender *sender, struct send_waiter *waiter);

/* Forgets a waiter, if it waits. */
void sender_cancel(struct send_waiter *waiter);
