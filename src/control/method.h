/* What a method of the control socket is, and what methods share: reading parameters by rows, and
 * answers that several of them give. Each method is one file in methods/ and one row in methods.c.
 */
#pragma once

#include <jansson.h>

#include "control/client.h"

struct call {
	json_t *parameters; /* an object, borrowed */
	bool more;
};

struct method {
	const char *name; /* with the interface: "io.mcastd.Send" */
	bool privileged; /* for root and the daemon's own user */
	bool acts; /* not only answers, so that it is also for a client that has gone */
	enum call_result (*call)(struct client *client, const struct call *call);

	/* Carries out a message of a plain form without parsing all of JSON; NULL: there is none.
	 * Returns whether it did; else the message is parsed. */
	bool (*quick)(
		struct client *client, const char *message, size_t size, enum call_result *ret);
};

/* Carries out one message (methods.c). */
enum call_result method_dispatch(struct client *client, const char *message, size_t size);

enum parameter_type {
	PARAMETER_NAME, /* const char *, a string without NUL */
	PARAMETER_TEXT, /* struct parameter_text, any string */
	PARAMETER_NUMBER, /* int64_t */
	PARAMETER_FLAG, /* bool */
	PARAMETER_NAMES, /* json_t *, an array of strings without NUL, borrowed */
	PARAMETER_OBJECT, /* json_t *, borrowed */
};

struct parameter_text {
	const char *data;
	size_t size;
};

/* A member of a JSON object. jansson's own unpacking does not say which member has the wrong type.
 */
struct parameter {
	const char *name;
	enum parameter_type type;
	bool required;
	void *value; /* stays as it is when the member is absent or null, which is the same in
			Varlink; undefined after an error */
};

/* Reads the members of an object. Returns 0; or -EINVAL with the member to blame in *ret_name,
 * which lives as long as the object and the rows, and what is wrong in why. */
int parameters_read(const json_t *object, const struct parameter *rows, size_t count,
	const char **ret_name, char why[static WHY_MAX]);

/* Reads the parameters of a call. When they are wrong, answers InvalidParameter and returns
 * -EINVAL. */
int method_read(
	struct client *client, const struct call *call, const struct parameter *rows, size_t count);

/* The same for a method without parameters. */
static inline int method_read_none(struct client *client, const struct call *call)
{
	return method_read(client, call, NULL, 0);
}

/* Answers that one parameter is wrong, and why. */
void method_invalid(struct client *client, const char *parameter, const char *message);

/* Answer NoSuchGroup and NoSuchHandler. */
void method_no_such_group(struct client *client, const char *name);
void method_no_such_handler(struct client *client, const char *name);

/* Whether the client may use the group so. Otherwise answers NotPermitted. */
bool method_permits(struct client *client, const struct group *group, enum access access);

/* Appends an array of all lines. */
void method_put_lines(struct text *text, const char *name, const struct errors *lines);

static inline const struct control_backend *method_backend(const struct client *client)
{
	return client_set(client)->backend;
}
