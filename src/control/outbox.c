#include "control/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Vectors of one sendmsg(2). */
#define VECTORS_MAX 32

/* Memory that an idle connection retains for the next answer. */
#define SPARE_MAX 1024

/* Most that is moved at once, so that memory of what was written can be given back; more only where
 * as much was written since the last time. */
#define MOVED_MAX (64 * 1024)

struct piece {
	struct link link; /* in the outbox */
	struct shared_buffer *buffer;
	size_t start, end;
};

struct shared_buffer *shared_buffer_new(struct user *user, size_t capacity)
{
	struct shared_buffer *buffer = malloc(sizeof(*buffer) + capacity);

	if (!buffer)
		return NULL;
	*buffer = (struct shared_buffer){.user = user, .references = 1, .capacity = capacity};
	user_hold(user, MEMORY_OUTPUT, capacity);
	return buffer;
}

struct shared_buffer *shared_buffer_ref(struct shared_buffer *buffer)
{
	buffer->references++;
	return buffer;
}

void shared_buffer_unref(struct shared_buffer *buffer)
{
	if (!buffer || --buffer->references)
		return;
	user_release(buffer->user, MEMORY_OUTPUT, buffer->capacity);
	free(buffer);
}

void outbox_init(struct outbox *output, struct user *user)
{
	*output = (struct outbox){.user = user};
	list_init(&output->pieces);
}

static void free_piece(struct piece *piece)
{
	link_remove(&piece->link);
	shared_buffer_unref(piece->buffer);
	free(piece);
}

static void clear_text(struct outbox *output)
{
	user_release(output->user, MEMORY_OUTPUT, output->text.length - output->written);
	output->written = 0;
	text_recycle(&output->text, SPARE_MAX);
}

void outbox_clear(struct outbox *output)
{
	struct piece *piece;

	clear_text(output);
	text_free(&output->text);
	list_for_each(piece, &output->pieces, link)
		free_piece(piece);
	output->size = 0;
}

struct text *outbox_begin(struct outbox *output)
{
	output->begun = output->text.length;
	return &output->text;
}

void outbox_cancel(struct outbox *output)
{
	output->text.length = output->begun;
	output->text.failed = false;
}

int outbox_end(struct outbox *output)
{
	bool failed = text_failed(&output->text);
	size_t added = output->text.length - output->begun;

	if (failed || output->broken) {
		outbox_cancel(output);
		return failed ? -ENOMEM : 0;
	}
	output->size += added;
	user_hold(output->user, MEMORY_OUTPUT, added);
	return 0;
}

int outbox_add_shared(struct outbox *output, struct shared_buffer *buffer, size_t start, size_t end)
{
	struct piece *piece = list_last(&output->pieces, struct piece, link);

	if (output->broken)
		return 0;
	if (piece && piece->buffer == buffer && piece->end == start) {
		piece->end = end;
	} else {
		piece = malloc(sizeof(*piece));
		if (!piece)
			return -ENOMEM;
		*piece = (struct piece){
			.buffer = shared_buffer_ref(buffer), .start = start, .end = end};
		list_append(&output->pieces, &piece->link);
	}
	output->size += end - start;
	return 0;
}

/* Collects what comes next. Returns the number of vectors. */
static size_t gather(const struct outbox *output, struct iovec vectors[static VECTORS_MAX])
{
	size_t count = 0;
	struct piece *piece;

	if (output->text.length > output->written)
		vectors[count++] = (struct iovec){
			output->text.data + output->written, output->text.length - output->written};
	list_for_each(piece, &output->pieces, link) {
		if (count == VECTORS_MAX)
			break;
		vectors[count++] = (struct iovec){
			piece->buffer->data + piece->start, piece->end - piece->start};
	}
	return count;
}

static void remove_written(struct outbox *output, size_t size)
{
	size_t text = output->text.length - output->written;

	output->size -= size;
	if (size < text) {
		output->written += size;
		user_release(output->user, MEMORY_OUTPUT, size);
		return;
	}
	clear_text(output);
	for (size -= text; size;) {
		struct piece *piece = list_first(&output->pieces, struct piece, link);

		if (size < piece->end - piece->start) {
			piece->start += size;
			return;
		}
		size -= piece->end - piece->start;
		free_piece(piece);
	}
}

void outbox_break(struct outbox *output)
{
	outbox_clear(output);
	output->broken = true;
}

/* The socket takes no more for now: gives back the memory of what was written. */
static void compact(struct outbox *output)
{
	struct text *text = &output->text;
	size_t left = text->length - output->written;

	if (left > MOVED_MAX && left > output->written)
		return;
	if (left && output->written)
		memmove(text->data, text->data + output->written, left);
	text->length = left;
	output->written = 0;
	text_shrink(text);
}

int outbox_write(struct outbox *output, int fd)
{
	struct iovec vectors[VECTORS_MAX];

	while (output->size) {
		struct msghdr message = {.msg_iov = vectors, .msg_iovlen = gather(output, vectors)};
		ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			compact(output);
			return -EAGAIN;
		}
		if (n < 0)
			outbox_break(output);
		else
			remove_written(output, (size_t)n);
	}
	return 0;
}

size_t outbox_try(struct outbox *output, int fd, const char *data, size_t size)
{
	ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		outbox_break(output);
	return 0;
}
