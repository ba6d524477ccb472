/* The daemon: owns everything; starts, reloads and stops it in the right order. A reload prepares
 * everything that can fail beside what runs, and then commits what cannot fail. The start is a
 * reload from nothing. */
#pragma once

#include <sys/types.h>

#include "config/config.h"
#include "daemon/options.h"

#define EXIT_CONFIGURATION 78 /* EX_CONFIG of sysexits.h */

struct daemon;
struct spoof;

/* Reads the configuration with what the command line adds. Returns 0, or a negative errno with
 * lines in errors. */
int daemon_load(const struct options *options, struct errors *errors, struct config **ret);

/* Does all of a start that can fail but opens no control socket, makes no file, starts no program
 * and joins nothing. Takes spoof over, which may be NULL. running is the daemon that has this
 * configuration at present, whose files and sockets are not in the way; 0: none. Returns 0, or a
 * negative errno with lines in errors. */
int daemon_try(const struct options *options, struct config *config, struct spoof *spoof,
	pid_t running, struct errors *errors);

/* Starts, and takes config over. Returns 0, or a negative errno after it has logged why;
 * *ret_status is then the exit status. */
int daemon_start(
	const struct options *options, struct config *config, int *ret_status, struct daemon **ret);

/* Runs until a signal ends it. */
void daemon_run(struct daemon *daemon);

/* Delivers what is queued, within some seconds, and stops everything. Returns the exit status, or
 * ends the process with it if a handler is stuck. */
int daemon_stop(struct daemon *daemon);
