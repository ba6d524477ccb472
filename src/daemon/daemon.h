/* The daemon: owns everything, starts it in its order, reloads it, stops it. */
#pragma once

#include "config/config.h"
#include "daemon/options.h"

struct daemon;

/* Reads the configuration with what the command line adds. Returns 0, or a negative errno with
 * lines in errors. */
int daemon_load(const struct options *options, struct errors *errors, struct config **ret);

/* Holds back those signals that would end a daemon that is not ready to take them; daemon_start()
 * lets them through. */
void daemon_hold_signals(bool hold);

/* Starts. Takes config over. Returns 0, or a negative errno after having logged why; *ret_status is
 * then the exit status. */
int daemon_start(
	const struct options *options, struct config *config, int *ret_status, struct daemon **ret);

/* Runs until a signal ends it. */
void daemon_run(struct daemon *daemon);

/* Stops everything, and lets the handlers take what they have. Returns the exit status, or ends the
 * process with it when a handler is stuck. */
int daemon_stop(struct daemon *daemon);
