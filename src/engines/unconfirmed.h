/* What a handler holds for its broker when it has to stop: dropped, counted, and logged, as the log
 * is all that is left of the counters after the daemon's end. */
#pragma once

#include <stdint.h>

#include "data/account.h"
#include "data/window.h"

/* Drops all that is open in the window: what was sent as unconfirmed, the rest for the shutdown. */
void engine_drop_window(const char *handler, struct window *window, struct outcome *outcome);

/* Logs how many were dropped of either, unless none was. */
void engine_log_unconfirmed(const char *handler, uint64_t sent, uint64_t unsent);
