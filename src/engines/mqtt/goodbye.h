/* Leaving a broker in good order, which waits: in the thread of a handler, at its end. */
#pragma once

#include <mosquitto.h>
#include <stdint.h>

/* Of a client that is connected: writes what it has, says goodbye, and waits until the broker has
 * read it all and closed the connection, or until_ns (CLOCK_MONOTONIC): then nothing that was
 * acknowledged is delivered again. */
void goodbye(struct mosquitto *client, uint64_t until_ns);
