/* The plain form of a Send, read without a JSON tree: this call is made some hundred thousand times
 * a second. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json_scan.h"

struct quick_send {
	struct scanned group, text, base64;
};

/* Whether the message is a Send of the plain form: no members but method, parameters, group, and
 * text or base64, each at most once, and no string with an escape. Everything else, including every
 * error, is left to the full JSON parser. */
bool quick_send_read(const char *message, size_t size, struct quick_send *ret);
