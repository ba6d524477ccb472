/* What the configuration says to the handlers that speak to a broker. The tables are part of the
 * daemon, so that the manual, --check and the completions know them whether or not the module with
 * the functions is installed. */
#pragma once

#include "engines/secrets.h"
#include "engines/servers.h"
#include "engines/settings.h"
#include "formats/envelope.h"
#include "handlers/handler.h"

/* What each module ends in: the one thing of it that the daemon looks for. Its config is not used:
 * the daemon has the rows. */
extern const struct handler_kind engine __attribute__((visibility("default")));

/* The daemon's rows: a module that needs its settings later copies them by their schema. */
extern const struct handler_kind nats_kind __attribute__((visibility("default")));
extern const struct handler_kind mqtt_kind __attribute__((visibility("default")));
extern const struct handler_kind kafka_kind __attribute__((visibility("default")));

/* As Kafka names them. NULL at the end. */
extern const char *const kafka_compressions[], *const kafka_mechanisms[];
