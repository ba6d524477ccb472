#include "groups/senders.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timer.h"
#include "net/descriptors.h"

/* How long those wait whose socket cannot be watched. */
static const struct timeval unwatched = {.tv_usec = 10000};

struct sender {
	struct link link;
	struct send_socket options;
	unsigned references;
	struct udp_out out;
	int ttl, loop; /* as set on the socket; -1: not yet */
	uint16_t port;
	struct event *writable;
	struct event again; /* where the socket cannot be watched */
	struct link waiters;
};

struct senders {
	struct event_base *base;
	/* Those without references too, while somebody waits for them. */
	struct link shared, own;
};

struct senders *senders_new(struct event_base *base)
{
	struct senders *senders = calloc(1, sizeof(*senders));

	if (!senders)
		return NULL;
	senders->base = base;
	list_init(&senders->shared);
	list_init(&senders->own);
	return senders;
}

static void sender_free(struct sender *sender)
{
	struct send_waiter *waiter;

	list_for_each(waiter, &sender->waiters, link)
		sender_cancel(waiter);
	link_remove(&sender->link);
	evtimer_del(&sender->again);
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
	list_for_each(sender, &senders->shared, link)
		sender_free(sender);
	list_for_each(sender, &senders->own, link)
		sender_free(sender);
	free(senders);
}

/* Each is in a list until it is told. */
void send_waiters_call(struct link *waiters)
{
	struct send_waiter *waiter;
	struct link called;

	list_init(&called);
	list_for_each(waiter, waiters, link) {
		link_remove(&waiter->link);
		list_append(&called, &waiter->link);
	}
	while ((waiter = list_first(&called, struct send_waiter, link))) {
		link_remove(&waiter->link);
		waiter->ready(waiter);
	}
}

static void close_if_unused(struct sender *sender)
{
	if (!sender->references && list_is_empty(&sender->waiters))
		sender_free(sender);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	struct sender *sender = argument;

	(void)what;
	send_socket_discard_errors(fd);
	sender->references++;
	send_waiters_call(&sender->waiters);
	sender->references--;
	close_if_unused(sender);
}

static void on_again(evutil_socket_t fd, short what, void *argument)
{
	struct sender *sender = argument;

	(void)fd;
	on_writable(sender->out.fd, what, sender);
}

void sender_unref(struct sender *sender)
{
	if (!sender || --sender->references)
		return;
	/* Who waits tries again, with what is there by then. */
	if (!list_is_empty(&sender->waiters))
		event_active(sender->writable, EV_WRITE, 0);
	close_if_unused(sender);
}

static int sender_open(struct senders *senders, const struct send_socket *options,
	char why[static WHY_MAX], struct sender **ret)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	int r;

	if (!sender)
		return because(why, -ENOMEM, "out of memory");
	evtimer_assign(&sender->again, senders->base, on_again, sender);
	sender->options = *options;
	sender->ttl = sender->loop = -1;
	list_init(&sender->waiters);
	sender->out.fd = -1;
	r = descriptors_check(1, why);
	r = r < 0 ? r : send_socket_open(options, why, &sender->out);
	if (r >= 0 && !(sender->writable = event_new(
				senders->base, sender->out.fd, EV_WRITE, on_writable, sender)))
		r = because(why, -ENOMEM, "out of memory");
	if (r < 0) {
		sender_free(sender);
		return r;
	}
	sender->port = send_socket_port(sender->out.fd);
	*ret = sender;
	return 0;
}

int senders_get(struct senders *senders, const struct send_socket *options, bool share,
	char why[static WHY_MAX], struct sender **ret)
{
	struct sender *sender = NULL;
	int r;

	list_for_each(sender, &senders->shared, link) {
		if (!share || !sender->references || !send_socket_equal(&sender->options, options))
			continue;
		sender->references++;
		*ret = sender;
		return 0;
	}
	r = sender_open(senders, options, why, &sender);
	if (r < 0)
		return r;
	list_append(share ? &senders->shared : &senders->own, &sender->link);
	sender->references = 1;
	*ret = sender;
	return 0;
}

const struct send_socket *sender_options(const struct sender *sender)
{
	return &sender->options;
}

const struct udp_out *sender_out(const struct sender *sender)
{
	return &sender->out;
}

void sender_set_splits_runs(struct sender *sender, bool splits_runs)
{
	sender->out.splits_runs = splits_runs;
}

static void read_discipline(struct sender *sender, const struct interface_list *interfaces)
{
	const struct interface *interface = interface_by_index(interfaces, sender->options.ifindex);

	sender_set_splits_runs(
		sender, interface ? interface->splits_runs : interfaces->splits_runs);
}

void senders_read_disciplines(struct senders *senders, const struct interface_list *interfaces)
{
	struct sender *sender;

	list_for_each(sender, &senders->shared, link)
		read_discipline(sender, interfaces);
	list_for_each(sender, &senders->own, link)
		read_discipline(sender, interfaces);
}

uint16_t sender_port(const struct sender *sender)
{
	return sender->port;
}

static int configure(struct sender *sender, int ttl, int loop)
{
	int r = 0;

	if (sender->ttl != ttl && (r = send_socket_set_ttl(sender->out.fd, sender->options.family,
					   sender->options.unicast, ttl)) >= 0)
		sender->ttl = ttl;
	if (r >= 0 && sender->loop != loop &&
		(r = send_socket_set_loop(sender->out.fd, sender->options.family, loop)) >= 0)
		sender->loop = loop;
	return r;
}

int sender_send(struct sender *sender, const struct send_target *target,
	const struct iovec *vectors, unsigned count)
{
	int r = configure(sender, target->ttl, target->loop);

	if (r >= 0)
		return udp_out_send(&sender->out, &target->to, target->to_length, vectors, count);
	sender->out.refused = 1;
	return r;
}

void sender_wait(struct sender *sender, struct send_waiter *waiter)
{
	sender_cancel(waiter);
	list_append(&sender->waiters, &waiter->link);
	if (event_add(sender->writable, NULL) < 0)
		timer_start(&sender->again, &unwatched);
}

void sender_cancel(struct send_waiter *waiter)
{
	link_remove(&waiter->link);
}
