/* Reloads, one after the other: the files are read and checked in a thread, as that takes long for
 * many groups, and what they say is applied in the loop. */
#pragma once

#include "config/diff.h"
#include "control/control.h"

struct event_base;
struct reloads;

/* What was read. */
struct loaded {
	int r; /* 0; or a negative errno with lines in errors */
	struct config *config;
	struct config_changes changes; /* against the running configuration */
	struct errors errors;
};

struct reload_callbacks {
	/* A request is due. */
	void (*begin)(void *argument, const struct reload_request *request);
	/* Fills in a zeroed struct. Runs in the thread: between begin() and apply(), the loop must
	 * not change what it reads. */
	void (*load)(void *argument, struct loaded *loaded);
	/* Applies what was read, takes the configuration over, and may add errors, until
	 * reloads_applied() is called, from here or later. */
	void (*apply)(void *argument, const struct reload_request *request, struct loaded *loaded);
};

/* Returns NULL without memory or descriptors. */
struct reloads *reloads_new(
	struct event_base *base, const struct reload_callbacks *callbacks, void *argument);

/* Waits for what is being read, and ends all requests with -ECANCELED. Accepts NULL. */
void reloads_free(struct reloads *reloads);

/* The request must live until its done() is called, which is later, from the loop. */
void reloads_add(struct reloads *reloads, struct reload_request *request);

/* What was read is applied, or was not: r is 0, or a negative errno with lines in its errors. In
 * the thread, unused is freed, a configuration that nobody refers to any more; it may be NULL. */
void reloads_applied(struct reloads *reloads, int r, struct config *unused);
