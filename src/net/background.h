/* Work that takes long, one at a time, in a thread of its own: reading a configuration of many
 * groups, or what the kernel may hold up. While another program changes a link with many
 * memberships, the kernel's lock on links (RTNL) is held for half a second, and listing links or
 * changing a membership waits for it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct background;
struct event_base;

/* work() runs in the thread, done() in the loop afterwards. Where no thread can be had, the loop
 * does the work at once; with may_wait, as for a name service, it begins later, when there is one.
 * Returns NULL without memory or descriptors. */
struct background *background_new(struct event_base *base, bool may_wait,
	void (*work)(void *argument), void (*done)(void *argument), void *argument);

/* Waits for the work that a thread does; done() is not called. Accepts NULL. */
void background_free(struct background *background);

/* Begins the work, where none is under way. done() is called from the loop in any case. */
void background_start(struct background *background);

/* Waits for the work that is under way, if any, and calls done() at once. Work that still waits for
 * a thread is done here. */
void background_wait(struct background *background);

/* Waits at most this long, and calls done() when the work has ended by then. Returns whether none
 * is under way. */
bool background_wait_for(struct background *background, uint64_t timeout_ns);
