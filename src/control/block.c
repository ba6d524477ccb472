#include "control/block.h"

#include <stdlib.h>

struct block *block_new(struct user *user, size_t capacity)
{
	struct block *block = malloc(sizeof(*block) + capacity);

	if (!block)
		return NULL;
	*block = (struct block){.user = user, .references = 1, .capacity = capacity};
	user_hold(user, capacity);
	return block;
}

struct block *block_ref(struct block *block)
{
	block->references++;
	return block;
}

void block_unref(struct block *block)
{
	if (!block || --block->references)
		return;
	user_release(block->user, block->capacity);
	free(block);
}
