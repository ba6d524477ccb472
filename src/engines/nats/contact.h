/* What libnats says of one connection: by callbacks, in the threads of libnats', of the attempt and
 * of the handler. It has references, of which one is libnats' from before it connects until its
 * last callback. */
#pragma once

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define OBJECTIONS_MAX 64

struct contact {
	atomic_uint references;
	int fd; /* of the socket; -1: it has none any more */
	bool wants_to_write; /* of the thread that uses the connection */
	int wake; /* eventfd(2), its own */
	pthread_mutex_t lock; /* of what follows */
	unsigned objection_count;
	char *objections[OBJECTIONS_MAX];
};

/* One reference. Writes to a copy of the eventfd(2) wake when the server does not permit something.
 * Returns NULL without memory or descriptors. */
struct contact *contact_new(int wake);
struct contact *contact_ref(struct contact *contact);
void contact_unref(struct contact *contact); /* accepts NULL */

/* Has libnats tell it of the next connection with these options. */
natsStatus contact_set_callbacks(struct contact *contact, natsOptions *options);

/* What the server did not permit, in its own words, to be freed: the last one that was not yet
 * asked for; or NULL. */
char *contact_objection(struct contact *contact);
