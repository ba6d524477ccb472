/* The rows of tables of handlers. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* A row for each handler; below it, with_interfaces, one for each interface of a relay; and one for
 * what comes in, where anything has or a group wants it. To be released with json_decref(). */
json_t *handler_rows(const json_t *handlers, bool with_interfaces);
