/* What comes in by handlers, from brokers, on its way to groups: each handler that imports has a
 * ring (data/intake.h), and the loop sends what waits there to the groups whose inputs name the
 * handler, from import_port.
 *
 * Nothing is dropped while the network is busy: the ring fills, and the handler takes no more from
 * its broker. What the network refuses for good is dropped, as one group must not hold up the
 * others for ever. */
#pragma once

#include <stdint.h>

struct event_base;
struct groups;
struct handlers;
struct inputs;

/* NULL without memory. groups must live longer. */
struct inputs *inputs_new(struct event_base *base, struct groups *groups);

/* Sends from now on what comes in by these handlers, too. What the rings of retired ones have left
 * is still sent. */
void inputs_follow(struct inputs *inputs, struct handlers *handlers);

/* After handlers_stop_inputs(): sends what they have taken, until they have ended, and drops what
 * could not be sent until until_ns (CLOCK_MONOTONIC). Frees it. Waits without the loop, which must
 * have ended. Accepts NULL. */
void inputs_finish(struct inputs *inputs, uint64_t until_ns);
