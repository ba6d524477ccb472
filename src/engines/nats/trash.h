/* Messages of libnats that are done with. It frees each in a thread of its own, which it wakes for
 * that when it sleeps: many at once wake it once. For one thread. */
#pragma once

#include <nats/nats.h>
#include <stdint.h>

#define TRASH_MESSAGES_MAX 512
#define TRASH_BYTES_MAX (1024 * 1024)

struct trash {
	natsMsg *messages[TRASH_MESSAGES_MAX];
	unsigned count;
	uint64_t bytes; /* of their payloads */
};

/* Accepts NULL. */
void trash_add(struct trash *trash, natsMsg *message);

/* Frees all. */
void trash_empty(struct trash *trash);
