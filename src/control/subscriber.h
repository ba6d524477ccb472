/* Subscribers: connections that get every datagram of some groups, as long as they read fast
 * enough.
 */
#pragma once

#include "config/schema.h"
#include "control/client.h"

/* Makes the connection a subscriber to these groups, to all when there are none. The names must be
 * sorted and unique; the caller clears what is left of the list. Returns 0 or -ENOMEM. */
int subscriber_new(struct client *client, struct string_list *groups);
