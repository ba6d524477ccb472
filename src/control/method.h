/* The methods of io.mcastd: one file each, one row each in methods.c. */
#pragma once

#include "control/client.h"
#include "control/parameters.h"

struct call {
	json_t *parameters; /* an object, borrowed */
	bool more;
};

struct method {
	const char *name; /* with the interface: "io.mcastd.Send" */
	bool privileged; /* for root and the daemon's own user */
	enum call_result (*call)(struct client *client, const struct call *call);
};

/* Carries out one message. */
enum call_result method_dispatch(struct client *client, const char *message, size_t size);

/* Carries out a Send of the plain form (quick_send.h) that nothing is wrong with. Returns whether
 * the message was one. */
bool send_quickly(struct client *client, const char *message, size_t size, enum call_result *ret);

/* Reads the parameters by rows (parameters.h). Answers InvalidParameter and returns a negative
 * errno when they are not so. */
int method_read(
	struct client *client, const struct call *call, const struct parameter *rows, size_t count);

/* The same for a method without parameters. */
static inline int method_read_none(struct client *client, const struct call *call)
{
	return method_read(client, call, NULL, 0);
}

/* A reason as JSON; one that is no UTF-8, as a stranger's name may be or a sentence that was cut,
 * is escaped. */
json_t *method_message(const char *message);

/* Answers that one parameter is wrong, and why. */
void method_invalid(struct client *client, const char *parameter, const char *message);

/* Answers NoSuchGroup. */
void method_no_such_group(struct client *client, const char *name);

static inline const struct control_backend *method_backend(const struct client *client)
{
	return client_set(client)->backend;
}
