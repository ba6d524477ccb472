#include "groups/senders.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "net/interface.h"
#include "net/multicast.h"

struct sender {
	struct sender *next;
	sa_family_t family;
	unsigned ifindex;
	struct udp_out out;
	int ttl, loop; /* as set on the socket; -1: not yet */
	struct event *writable;
	struct send_waiter *waiters;
	struct send_waiter *called; /* waiters that are being told, and not told yet */
};

struct senders {
	struct event_base *base;
	struct sender *first;
};

struct senders *senders_new(struct event_base *base)
{
	struct senders *senders = calloc(1, sizeof(*senders));

	if (senders)
		senders->base = base;
	return senders;
}

static void sender_free(struct sender *sender)
{
	if (sender->writable)
		event_free(sender->writable);
	closep(&sender->out.fd);
	free(sender);
}

void senders_free(struct senders *senders)
{
	if (!senders)
		return;
	while (senders->first) {
		struct sender *next = senders->first->next;

		while (senders->first->waiters)
			sender_cancel(senders->first->waiters);
		sender_free(senders->first);
		senders->first = next;
	}
	free(senders);
}

/* Those who are told may wait again at once, and may end each other: both lists stay where
 * sender_cancel() finds them. */
static void call_waiters(struct sender *sender)
{
	sender->called = take(sender->waiters);
	while (sender->called) {
		struct send_waiter *waiter = sender->called;

		sender->called = waiter->next;
		waiter->sender = NULL;
		waiter->ready(waiter);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	call_waiters(argument);
}

static bool is_gone(const struct sender *sender, const struct interface_list *interfaces)
{
	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->items[i].index == sender->ifindex)
			return false;
	return sender->ifindex != 0;
}

void senders_reconcile(struct senders *senders, const struct interface_list *interfaces)
{
	struct sender **link = &senders->first;

	while (*link) {
		struct sender *sender = *link;

		if (!is_gone(sender, interfaces)) {
			link = &sender->next;
			continue;
		}
		*link = sender->next;
		call_waiters(sender);
		sender_free(sender);
	}
}

static int sender_open(
	struct senders *senders, sa_family_t family, unsigned ifindex, struct sender **ret)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	int r;

	if (!sender)
		return -ENOMEM;
	sender->family = family;
	sender->ifindex = ifindex;
	sender->ttl = sender->loop = -1;
	sender->out.fd = r = multicast_open_sender(family, ifindex);
	if (r >= 0 && !(sender->writable = event_new(
				senders->base, sender->out.fd, EV_WRITE, on_writable, sender)))
		r = -ENOMEM;
	if (r < 0) {
		sender_free(sender);
		return r;
	}
	sender->next = senders->first;
	senders->first = sender;
	*ret = sender;
	return 0;
}

int senders_get(struct senders *senders, sa_family_t family, unsigned ifindex, struct sender **ret)
{
	for (struct sender *sender = senders->first; sender; sender = sender->next) {
		if (sender->family != family || sender->ifindex != ifindex)
			continue;
		*ret = sender;
		return 0;
	}
	return sender_open(senders, family, ifindex, ret);
}

static int configure(struct sender *sender, int ttl, int loop)
{
	int r = 0;

	if (sender->ttl != ttl && (r = multicast_set_ttl(sender->out.fd, sender->family, ttl)) >= 0)
		sender->ttl = ttl;
	if (r >= 0 && sender->loop != loop &&
		(r = multicast_set_loop(sender->out.fd, sender->family, loop)) >= 0)
		sender->loop = loop;
	return r;
}

int sender_send(struct sender *sender, const struct send_target *target,
	const struct iovec *vectors, unsigned count)
{
	int r = configure(sender, target->ttl, target->loop);

	return r < 0 ? r
		     : udp_out_send(&sender->out, &target->to, target->to_length, vectors, count);
}

void sender_wait(struct sender *sender, struct send_waiter *waiter)
{
	sender_cancel(waiter);
	waiter->sender = sender;
	waiter->next = sender->waiters;
	sender->waiters = waiter;
	event_add(sender->writable, NULL);
}

static void unlink_waiter(struct send_waiter **list, const struct send_waiter *waiter)
{
	while (*list && *list != waiter)
		list = &(*list)->next;
	if (*list)
		*list = waiter->next;
}

void sender_cancel(struct send_waiter *waiter)
{
	if (!waiter->sender)
		return;
	unlink_waiter(&waiter->sender->waiters, waiter);
	unlink_waiter(&waiter->sender->called, waiter);
	waiter->sender = NULL;
}
