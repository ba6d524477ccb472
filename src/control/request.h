/* A message of a client as a tree of JSON. The lexer of jansson (2.14, and 2.15.1) writes past its
 * buffer when malloc() fails (https://github.com/akheron/jansson/issues/362), so the memory of a
 * tree is taken before it is read, at once, which is refused or suffices. */
#pragma once

#include <jansson.h>

#include "base/errors.h"

/* Bounds of a message, so that one costs others no time that they notice. */
#define VALUES_MAX 4096
#define DEPTH_MAX 32

/* What makes parsing expensive. */
struct request_cost {
	unsigned values, depth;
	size_t memory; /* bytes that jansson takes, at most */
};

/* Does not parse, and stops past the bounds. */
struct request_cost request_estimate(const char *message, size_t size);

/* Reads an object. One at a time: the next is for after request_free(). Returns NULL with the
 * reason in why. */
json_t *request_read(const char *message, size_t size, char why[static WHY_MAX]);

/* NULL is fine. Nothing of the tree may be kept. */
void request_free(json_t *request);
