/* The plain form of a Send, read without building a tree of it: this call is made some hundred
 * thousand times a second. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct quick_text {
	const char *data; /* points into the message; NULL: absent */
	size_t size;
};

struct quick_send {
	struct quick_text group, text, base64;
};

/* Whether the message is a Send of the plain form: no member but method, parameters, group, and
 * text or base64, each at most once, and no string with an escape. Everything else, also whatever
 * is wrong, is for the parser that takes all of JSON. */
bool quick_send_read(const char *message, size_t size, struct quick_send *ret);
