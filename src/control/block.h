/* A piece of what subscribers have not read yet, shared by all of one user's who want the same;
 * counted, and charged to the user once. */
#pragma once

#include <stddef.h>

#include "control/user.h"

/* What small pieces are gathered in; a larger one has a block of its own. */
#define BLOCK_SIZE (16 * 1024)

struct block {
	struct user *user; /* who has at least one connection as long as the block is there */
	unsigned references;
	size_t length, capacity;
	char data[];
};

/* An empty block with one reference, NULL without memory. */
struct block *block_new(struct user *user, size_t capacity);
struct block *block_ref(struct block *block);

/* Accepts NULL. */
void block_unref(struct block *block);
