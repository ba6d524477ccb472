/* The sockets that send to groups: one for each set of options, shared by all groups that have the
 * same. So ten thousand groups do not need ten thousand more descriptors, and a slow interface only
 * holds up what leaves by it. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "base/list.h"
#include "net/send_socket.h"
#include "net/udp_out.h"

struct event_base;
struct senders;
struct sender;

/* Waits until a sender can take more, or a change of the groups has ended. Embedded in the object
 * that waits, and zeroed before. */
struct send_waiter {
	struct link link;
	void (*ready)(struct send_waiter *waiter);
};

/* Empties the list and calls all that were in it. They may wait again at once, and cancel each
 * other. */
void send_waiters_call(struct link *waiters);

/* The destination and the socket options. */
struct send_target {
	union endpoint to;
	socklen_t to_length;
	int ttl, loop;
};

struct senders *senders_new(struct event_base *base);

/* Also frees the senders that are still referenced. Accepts NULL. */
void senders_free(struct senders *senders);

/* A reference to a sender with these options: a shared one, opened at the first use, or a new one.
 * Returns 0, or a negative errno with the reason in why. */
int senders_get(struct senders *senders, const struct send_socket *options, bool share,
	char why[static WHY_MAX], struct sender **ret);

/* Drops a reference. Without any the sender is closed, as soon as nobody waits for it. */
void sender_unref(struct sender *sender);

const struct send_socket *sender_options(const struct sender *sender);
/* Whether nothing is segmented (struct udp_out). */
void sender_set_splits_runs(struct sender *sender, bool splits_runs);

/* The same for all, as the links' queueing disciplines are now. */
void senders_read_disciplines(struct senders *senders, const struct interface_list *interfaces);

uint16_t sender_port(const struct sender *sender);

/* Its socket, and what that has met. */
const struct udp_out *sender_out(const struct sender *sender);

/* Sends one datagram for each vector, with this TTL and loop. Returns as udp_out_send(). */
int sender_send(struct sender *sender, const struct send_target *target,
	const struct iovec *vectors, unsigned count);

/* Calls waiter->ready once, when the sender can take more. */
void sender_wait(struct sender *sender, struct send_waiter *waiter);

/* Removes a waiter, if it waits. */
void sender_cancel(struct send_waiter *waiter);
