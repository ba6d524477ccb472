/* The connection to one of several brokers, over libmosquitto: made, kept, and made again when it
 * is lost, in the caller's thread, which never waits here. A name is looked up in a thread of its
 * own, TCP and TLS are connected without blocking, and nothing is read while the caller takes no
 * messages.
 *
 * What was published must never be published twice, as the library sends it again
 * (engines/mqtt/client.h), and the caller bounds the library's list, by connection_inflight_max().
 *
 * Why there is no connection is told to the ledger, and each new cause to the log. */
#pragma once

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>

#include "engines/keys.h"
#include "engines/mqtt/client.h"
#include "engines/mqtt/publication.h"

struct connection;
struct ledger;

/* What the user of a connection is told. None of it may publish, subscribe, renew
 * or free; it may unsubscribe. */
struct connection_events {
	/* The broker has accepted us; what the library had in its list was sent again. */
	void (*up)(void *object);
	/* Whether the library has forgotten what it had in its list. */
	void (*down)(void *object, bool forgotten);
	struct client_events of_client;
};

/* name, ledger, settings and events live longer; object is the handler's, for the ledger. Does not
 * connect yet. Returns 0, or a negative
 * errno with the reason in why: a file that cannot be used. */
int connection_new(const struct mqtt_settings *settings, const char *name, struct ledger *ledger,
	const struct connection_events *events, void *object, char why[static WHY_MAX],
	struct connection **ret);
void connection_free(struct connection *connection); /* accepts NULL */

/* Begins to connect. */
void connection_start(struct connection *connection);

/* An epoll descriptor, readable when connection_serve() has something to do. The caller may add its
 * own, with data.u32 of CONNECTION_OTHER. */
#define CONNECTION_OTHER 0
int connection_descriptor(const struct connection *connection);

/* When connection_serve() has something to do at the latest; 0: never. */
uint64_t connection_deadline(const struct connection *connection);

/* Does what there is to do. */
void connection_serve(struct connection *connection);

bool connection_is_up(const struct connection *connection);

/* Whether the socket takes more now. */
bool connection_is_writable(const struct connection *connection);

/* How many unacknowledged messages the broker takes; known while it is up. */
unsigned connection_inflight_max(const struct connection *connection);

/* Whether messages are read. While they are not, acknowledgements are not, either. */
void connection_read(struct connection *connection, bool reads);

/* Whether what is written waits for more (TCP_CORK), so that many small messages leave in few
 * segments. Its end must come after publishing: it has the descriptor tell when the socket takes
 * more. */
void connection_gather(struct connection *connection, bool gathers);

/* Returns 0 or -EIO when the library has it, which is what *ret_id stands for; with -EIO the
 * connection is being lost. Or -EMSGSIZE, larger than the broker accepts, or -ENOMEM. */
int connection_publish(
	struct connection *connection, const struct publication *publication, int *ret_id);

/* Return 0, or a negative errno when there is no connection. *ret_id is what subscribed() will
 * name. */
int connection_subscribe(struct connection *connection, const char *filter, int *ret_id);
int connection_unsubscribe(struct connection *connection, const char *filter);

/* Has the library forget its list if this connection is lost. Some brokers (mosquitto 2.0.11) close
 * the connection after each message that they refuse: what is in the list would cost a connection
 * each. */
void connection_forget(struct connection *connection);

/* Gives the connection up and makes a new one, as the broker does not answer. */
void connection_renew(struct connection *connection, const char *why);

/* Says goodbye, and waits until the broker has read it all or until_ns: then nothing that was
 * acknowledged is delivered again. What was not read stays with the broker. */
void connection_stop(struct connection *connection, uint64_t until_ns);
