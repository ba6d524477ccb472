/* The control socket: requests of programs and people to the daemon (io.mcastd.varlink). */
#pragma once

#include <sys/types.h>

#include "base/errors.h"
#include "base/list.h"
#include "config/diff.h"
#include "groups/groups.h"
#include "handlers/handlers.h"
#include "net/user.h"

struct control;

/* Embedded by who requests a reload. */
struct reload_request {
	struct link link;
	bool dry_run; /* only say what would change */
	/* Called once, from the loop, and never by reload() itself; may free the request. r is 0,
	 * with a line for each change; or a negative errno, with lines in errors; or -ECANCELED
	 * when the daemon stops. */
	void (*done)(struct reload_request *request, int r, const struct config_changes *changes,
		const struct errors *errors);
};

/* What the daemon does for the control socket. */
struct control_backend {
	void *daemon;
	const char *version;
	uint64_t started_ns; /* CLOCK_REALTIME */
	struct groups *groups;
	struct handlers *handlers;
	struct users *users;

	/* The path of the configuration file, NULL for none. */
	const char *(*configuration)(void *daemon);

	/* Reads the configuration again, after the reloads that were requested before. */
	void (*reload)(void *daemon, struct reload_request *request);

	/* Called after Join and Leave. */
	void (*changed)(void *daemon);

	/* Checks a group for Join, like those of the configuration. Returns the number of errors;
	 * without any, adds warnings. */
	size_t (*check)(void *daemon, const struct config_group *group, struct errors *errors,
		struct errors *warnings);
};

/* Listens on path; or on fd when it is not 0, where systemd listens already. backend must live
 * longer. Returns 0, or a negative errno with the reason in why. */
int control_new(struct event_base *base, const struct control_backend *backend, const char *path,
	int fd, char why[static WHY_MAX], struct control **ret);

struct control_count {
	unsigned connections, subscribers;
};

/* Accepts NULL. */
struct control_count control_count(const struct control *control);

/* Closes all connections. Accepts NULL. */
void control_free(struct control *control);
