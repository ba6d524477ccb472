/* Groups that would feed themselves through handlers that relay. */
#pragma once

#include "config/config.h"

/* Adds an error for each ring of relays. Returns 0 or -ENOMEM. */
int find_cycles(const struct config *config, struct errors *errors);
