/* A subscription: a connection that gets every datagram of some groups, as long as it reads fast
 * enough. */
#pragma once

#include "control/client.h"

/* Makes the connection a subscription to these groups, all when count is 0. The names are sorted,
 * each stands there once; they are taken over on success. Returns 0 or -ENOMEM. */
int subscription_start(struct client *client, char **names, size_t count);
