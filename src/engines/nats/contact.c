#include "engines/nats/contact.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* When the kernel ends a connection whose other end does not acknowledge: a cable that was pulled,
 * a firewall that forgot it. */
#define DEAD_PEER_S 10

struct contact *contact_new(int wake)
{
	struct contact *contact = calloc(1, sizeof(*contact));

	if (!contact)
		return NULL;
	atomic_init(&contact->references, 1);
	contact->fd = -1;
	contact->wake = fcntl(wake, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_init(&contact->lock, NULL);
	if (contact->wake >= 0)
		return contact;
	contact_unref(contact);
	return NULL;
}

struct contact *contact_ref(struct contact *contact)
{
	atomic_fetch_add(&contact->references, 1);
	return contact;
}

void contact_unref(struct contact *contact)
{
	if (!contact || atomic_fetch_sub(&contact->references, 1) != 1)
		return;
	for (unsigned i = 0; i < contact->objection_count; i++)
		free(contact->objections[i]);
	pthread_mutex_destroy(&contact->lock);
	closep(&contact->wake);
	free(contact);
}

/* ---- libnats' callbacks ---- */

/* It has connected, in the thread of the attempt. */
static natsStatus on_attach(void **ret, void *object, natsConnection *connection, natsSock fd)
{
	struct contact *contact = object;
	int yes = 1, interval = 2, count = 3, idle = DEAD_PEER_S - 3 * 2;
	unsigned timeout = DEAD_PEER_S * 1000;

	(void)connection;
	contact->fd = fd;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	*ret = contact;
	return NATS_OK;
}

/* Reading is the link's own business, until libnats closes the socket. */
static natsStatus on_read(void *object, bool add)
{
	struct contact *contact = object;

	if (!add)
		contact->fd = -1;
	return NATS_OK;
}

static natsStatus on_write(void *object, bool add)
{
	struct contact *contact = object;

	contact->wants_to_write = add;
	return NATS_OK;
}

static natsStatus on_detach(void *object)
{
	(void)object;
	return NATS_OK;
}

/* In a thread of libnats'. */
static void on_error(
	natsConnection *connection, natsSubscription *subscription, natsStatus status, void *object)
{
	struct contact *contact = object;
	const char *text = nats_GetLastError(NULL);

	(void)connection, (void)subscription;
	if (status != NATS_NOT_PERMITTED || !text)
		return;
	pthread_mutex_lock(&contact->lock);
	if (contact->objection_count < OBJECTIONS_MAX) {
		char *copy = strdup(text);

		if (copy)
			contact->objections[contact->objection_count++] = copy;
	}
	pthread_mutex_unlock(&contact->lock);
	eventfd_write(contact->wake, 1);
}

/* The last one. */
static void on_closed(natsConnection *connection, void *object)
{
	(void)connection;
	contact_unref(object);
}

natsStatus contact_set_callbacks(struct contact *contact, natsOptions *options)
{
	natsStatus status = natsOptions_SetErrorHandler(options, on_error, contact);

	status = status ? status : natsOptions_SetClosedCB(options, on_closed, contact);
	return status ? status
		      : natsOptions_SetEventLoop(
				options, contact, on_attach, on_read, on_write, on_detach);
}

char *contact_objection(struct contact *contact)
{
	char *text = NULL;

	pthread_mutex_lock(&contact->lock);
	if (contact->objection_count)
		text = contact->objections[--contact->objection_count];
	pthread_mutex_unlock(&contact->lock);
	return text;
}
