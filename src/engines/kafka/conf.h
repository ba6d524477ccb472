/* The settings of librdkafka that those of a handler, and what mcastd promises, come to. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "base/cleanup.h"
#include "base/errors.h"

struct kafka_settings;

/* Payload in the library at most, beside one batch: large datagrams fill it before the window. */
#define HELD_MAX (32u << 20)

DEFINE_CLEANUP(rd_kafka_conf_t *, rd_kafka_conf_destroy)

/* All settings of producers of the handler with this name. Reads the password. Returns 0 and a conf
 * to be destroyed, or a negative errno with the reason in why. */
int conf_new(const struct kafka_settings *settings, const char *name, char why[static WHY_MAX],
	rd_kafka_conf_t **ret);

/* What tells the files of certificates and of the password that are there now from others. */
uint64_t conf_files(const struct kafka_settings *settings);

/* A producer, which takes the settings over, whose threads have the signals blocked that this one
 * has. Returns NULL with the reason in why. */
rd_kafka_t *conf_make_producer(rd_kafka_conf_t *conf, char why[static WHY_MAX]);

/* Frees it, with what libraries keep for this thread: a process may end before its threads have. */
void conf_end_producer(rd_kafka_t *producer);

/* See handler_kind.doubt. */
bool conf_doubt(const struct kafka_settings *settings, char why[static WHY_MAX]);
