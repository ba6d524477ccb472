/* Whether the files that a handler reads are there, and can be read. What is in those of
 * certificates and keys, the modules know (engines/certificates.h). */
#pragma once

#include "config/config.h"

/* See config_kind.check_files; of all three kinds, whose settings begin with engine_settings. */
void engine_check_files(const void *settings, config_complain *complain, void *argument);

/* And those that only nats has. */
void nats_check_files(const void *settings, config_complain *complain, void *argument);
