/* mcastd --check: what would stop a start or a reload, as errors, and what would work with less, as
 * warnings.
 *
 * The configuration of a unit (mcastd.conf, and NAME.conf beside it for mcastd@NAME.service) is
 * checked by a process that systemd starts as it would start the unit: as its user and in its
 * Where there is no unit or no systemd, the process that checks does what a start by hand would do
 * before anybody can see it. */
#pragma once

#include "base/errors.h"
#include "daemon/options.h"

/* Prints a report. Returns the exit status: 0 when there are no errors, else EXIT_CONFIGURATION. */
int check_configuration(const struct options *options);

/* Prints the lines on standard error, and how many more there are; called is what one is called. */
void check_print(const struct errors *lines, const char *called);
