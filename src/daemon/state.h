/* What daemon.c and reload.c share, and nobody else. */
#pragma once

#include <event2/event.h>

#include "config/diff.h"
#include "control/control.h"
#include "daemon/daemon.h"
#include "net/link_monitor.h"

#define SIGNAL_COUNT 4

#define STATUS_MAX 160

struct daemon {
	const struct options *options;
	struct event_base *base;
	struct event *signals[SIGNAL_COUNT];
	struct event *audit;
	struct event *reload; /* the one that a signal asked for */
	uint64_t reloaded_ns; /* when the last such one had ended, CLOCK_MONOTONIC */
	struct config *config;
	struct handlers *handlers;
	struct groups *groups;
	struct control *control;
	struct control_backend backend;
	struct link_monitor *links;
	struct watchdog *watchdog;
	struct handover *handover;
	struct store *store;
	struct counters *counters;
	struct adhoc *adhoc; /* NULL: no targets on the command line */
	char status[STATUS_MAX]; /* as it was told last */
};

/* Makes wanted the configuration that runs: all of it, or nothing. Takes wanted over on success,
 * unless dry_run. changes tells what that means. Returns 0, or a negative errno with lines in
 * errors. */
int daemon_apply(struct daemon *daemon, struct config *wanted, bool dry_run,
	struct config_changes *changes, struct errors *errors);

/* control_backend.reload, and what SIGHUP does. */
int daemon_reload(
	void *daemon, bool dry_run, struct config_changes *changes, struct errors *errors);

/* One sentence on how it stands, for systemd and the log. */
const char *daemon_status(const struct daemon *daemon, char status[static STATUS_MAX]);

/* Tells systemd, if it has changed. */
void daemon_tell_status(struct daemon *daemon);
