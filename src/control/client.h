/* One connection to the control socket: requests in, replies out in their order.
 *
 * Back-pressure: requests are not looked at while OUTPUT_MAX bytes of replies wait to be read, while the network is too busy for a
 * Send, or once the connection is a subscription; the kernel then stops the writer. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"
#include "control/control.h"
#include "control/framing.h"

/* Replies that wait to be read; a subscriber that is slower loses datagrams. */
#define OUTPUT_MAX (512 * 1024)

/* A message that has begun must end within this time. */
#define MESSAGE_SECONDS 10

/* A client that reads nothing for so long while something waits for it is cut. */
#define STALL_SECONDS 60

struct client;
struct subscription;

struct client_link {
	struct client *next, **link;
};

/* Serves a connection; fd is the client's then. Returns NULL without memory, and fd is closed. */
struct client *client_new(struct control *control, int fd, uid_t uid);
void client_free(struct client *client);

struct client_link *client_link(struct client *client);
uid_t client_uid(const struct client *client);
bool client_is_subscribed(const struct client *client);
struct control *client_control(const struct client *client);

/* Whether the request at hand wants no answer. */
void client_set_oneway(struct client *client, bool oneway);

/* Answers the request at hand. parameters is taken over; NULL: out of memory, or none where json_object() would do. A one-way request
 * gets no answer. */
void client_reply(struct client *client, json_t *parameters);
void client_fail(struct client *client, const char *error, json_t *parameters);

/* The same with ready-made JSON: the object after "parameters": */
void client_reply_raw(struct client *client, const char *parameters, size_t size, bool continues);

/* Bytes that wait to be read by the client. */
size_t client_backlog(const struct client *client);

/* Stops looking at requests until the sender can take more; the request at hand is then tried again. */
void client_wait(struct client *client, struct sender *busy);

/* From now on the connection belongs to a subscription, freed with client_free() through subscription_free(). */
void client_subscribe(struct client *client, struct subscription *subscription);
