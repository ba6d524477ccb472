/* Two handlers of one kind that get in each other's way at their broker. */
#pragma once

#include <stdbool.h>

/* See config_kind.is_same_client. */
bool mqtt_is_same_client(const void *settings, const void *other);

/* See config_kind.takes_in_same. */
bool nats_takes_in_same(const void *settings, const void *other, const char *group);
bool mqtt_takes_in_same(const void *settings, const void *other, const char *group);
