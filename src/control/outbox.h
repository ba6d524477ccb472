/* What waits to be written to one connection: answers, and after them pieces of shared buffers. The
 * caller checks the limits before it adds; the memory is charged to the user here. */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/text.h"
#include "net/user.h"

/* Bytes that subscribers of one user have not read yet. Counted by reference, and charged to the
 * user once. */
struct shared_buffer {
	struct user *user; /* has a connection for as long as the buffer exists */
	unsigned references;
	size_t length, capacity;
	char data[];
};

/* An empty buffer with one reference, NULL without memory. */
struct shared_buffer *shared_buffer_new(struct user *user, size_t capacity);
struct shared_buffer *shared_buffer_ref(struct shared_buffer *buffer);

/* Accepts NULL. */
void shared_buffer_unref(struct shared_buffer *buffer);

/* Must not move: it is the head of a list. */
struct outbox {
	struct user *user;
	struct text text; /* answers */
	size_t written; /* bytes of text */
	size_t begun; /* where in text the current answer begins */
	struct link pieces; /* of shared buffers, after text */
	size_t size; /* bytes that wait */
	bool broken; /* cannot be written any more: stays empty */
};

void outbox_init(struct outbox *output, struct user *user);
void outbox_clear(struct outbox *output);

/* Returns where to append an answer. outbox_end() then charges it, or discards it when memory ran
 * out (-ENOMEM) or the output is broken (0). Not after pieces of shared buffers. */
struct text *outbox_begin(struct outbox *output);
int outbox_end(struct outbox *output);

/* Discards the answer that outbox_begin() began. */
void outbox_cancel(struct outbox *output);

/* Adds the bytes from start to end of a buffer, with a reference. Returns 0 or -ENOMEM. */
int outbox_add_shared(
	struct outbox *output, struct shared_buffer *buffer, size_t start, size_t end);

/* Discards everything, now and later. */
void outbox_break(struct outbox *output);

/* Writes what the socket takes. Returns 0 when nothing is left, also when the output is found
 * broken; or -EAGAIN. */
int outbox_write(struct outbox *output, int fd);

/* Writes to a connection for which nothing waits, and forgets what the socket does not take.
 * Returns how many bytes it took. */
size_t outbox_try(struct outbox *output, int fd, const char *data, size_t size);
