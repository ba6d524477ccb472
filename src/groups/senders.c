#include "groups/senders.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "net/interface.h"
#include "net/multicast.h"

struct sender {
	struct link link;
	sa_family_t family;
	unsigned ifindex;
	struct udp_out out;
	int ttl, loop; /* as set on the socket; -1: not yet */
	struct event *writable;
	struct link waiters;
	struct link called; /* waiters that are about to be told */
};

struct senders {
	struct event_base *base;
	struct link list;
};

struct senders *senders_new(struct event_base *base)
{
	struct senders *senders = calloc(1, sizeof(*senders));

	if (!senders)
		return NULL;
	senders->base = base;
	list_init(&senders->list);
	return senders;
}

static void sender_free(struct sender *sender)
{
	struct send_waiter *waiter;

	list_for_each(waiter, &sender->waiters, link)
		sender_cancel(waiter);
	link_remove(&sender->link);
	if (sender->writable)
		event_free(sender->writable);
	closep(&sender->out.fd);
	free(sender);
}

void senders_free(struct senders *senders)
{
	struct sender *sender;

	if (!senders)
		return;
	list_for_each(sender, &senders->list, link)
		sender_free(sender);
	free(senders);
}

/* Those that are told may wait again at once, and may cancel each other: each is in a list until it
 * is told. */
static void call_waiters(struct sender *sender)
{
	struct send_waiter *waiter;

	list_for_each(waiter, &sender->waiters, link) {
		link_remove(&waiter->link);
		list_append(&sender->called, &waiter->link);
	}
	while ((waiter = list_first(&sender->called, struct send_waiter, link))) {
		link_remove(&waiter->link);
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
	struct sender *sender;

	list_for_each(sender, &senders->list, link) {
		if (!is_gone(sender, interfaces))
			continue;
		link_remove(&sender->link);
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
	list_init(&sender->waiters);
	list_init(&sender->called);
	sender->out.fd = r = multicast_open_sender(family, ifindex);
	if (r >= 0 && !(sender->writable = event_new(
				senders->base, sender->out.fd, EV_WRITE, on_writable, sender)))
		r = -ENOMEM;
	if (r < 0) {
		sender_free(sender);
		return r;
	}
	list_append(&senders->list, &sender->link);
	*ret = sender;
	return 0;
}

int senders_get(struct senders *senders, sa_family_t family, unsigned ifindex, struct sender **ret)
{
	struct sender *sender;

	list_for_each(sender, &senders->list, link) {
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
	list_append(&sender->waiters, &waiter->link);
	event_add(sender->writable, NULL);
}

void sender_cancel(struct send_waiter *waiter)
{
	link_remove(&waiter->link);
}
