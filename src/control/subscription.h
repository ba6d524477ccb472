/* A subscription: a connection that gets every datagram of some groups, as long as it reads fast enough. */
#pragma once

#include "control/client.h"

struct subscription;

/* Subscribes to these groups, all when count is 0; the names are taken over. Returns 0 or -ENOMEM. */
int subscription_new(struct client *client, char **names, size_t count, struct subscription **ret);

/* Accepts NULL. */
void subscription_free(struct subscription *subscription);

/* The client has read all that was written: what it missed meanwhile is told. */
void subscription_drained(struct subscription *subscription);
