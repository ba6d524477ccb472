/* Copies of what a configuration holds, for those that outlive it. */
#pragma once

#include "config/config.h"

/* Returns 0 or -ENOMEM. */
int config_group_copy(struct config_group *ret, const struct config_group *group);
