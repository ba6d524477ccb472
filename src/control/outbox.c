#include "control/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Pieces that one sendmsg(2) takes. */
#define PIECES_MAX 32

/* An idle connection keeps no more than this for the next answer. */
#define SPARE_MAX 1024

struct extent {
	struct extent *next;
	struct block *block;
	size_t start, end;
};

void outbox_init(struct outbox *output, struct user *user)
{
	*output = (struct outbox){.user = user};
}

static void remove_first(struct outbox *output)
{
	struct extent *extent = output->first;

	output->first = extent->next;
	if (!output->first)
		output->last = NULL;
	block_unref(extent->block);
	free(extent);
}

static void clear_text(struct outbox *output)
{
	user_release(output->user, output->text.length - output->written);
	output->written = 0;
	if (output->text.capacity > SPARE_MAX)
		text_free(&output->text);
	else
		text_clear(&output->text);
}

void outbox_clear(struct outbox *output)
{
	clear_text(output);
	text_free(&output->text);
	while (output->first)
		remove_first(output);
	output->size = 0;
}

struct text *outbox_begin(struct outbox *output)
{
	output->begun = output->text.length;
	return &output->text;
}

int outbox_end(struct outbox *output)
{
	struct text *text = &output->text;
	size_t added = text->length - output->begun;

	if (text_failed(text) || output->broken) {
		int r = text_failed(text) ? -ENOMEM : 0;

		text->length = output->begun;
		text->failed = false;
		return r;
	}
	output->size += added;
	user_hold(output->user, added);
	return 0;
}

int outbox_add_block(struct outbox *output, struct block *block, size_t start, size_t end)
{
	struct extent *extent = output->last;

	if (output->broken)
		return 0;
	if (extent && extent->block == block && extent->end == start) {
		extent->end = end;
		output->size += end - start;
		return 0;
	}
	extent = malloc(sizeof(*extent));
	if (!extent)
		return -ENOMEM;
	*extent = (struct extent){.block = block_ref(block), .start = start, .end = end};
	if (output->last)
		output->last->next = extent;
	else
		output->first = extent;
	output->last = extent;
	output->size += end - start;
	return 0;
}

/* Lists what comes next. Returns how many pieces. */
static size_t gather(const struct outbox *output, struct iovec pieces[static PIECES_MAX])
{
	size_t count = 0;

	if (output->text.length > output->written)
		pieces[count++] = (struct iovec){
			output->text.data + output->written, output->text.length - output->written};
	for (struct extent *extent = output->first; extent && count < PIECES_MAX;
		extent = extent->next)
		pieces[count++] = (struct iovec){
			extent->block->data + extent->start, extent->end - extent->start};
	return count;
}

static void remove_written(struct outbox *output, size_t size)
{
	size_t text = output->text.length - output->written;

	output->size -= size;
	if (size < text) {
		output->written += size;
		user_release(output->user, size);
		return;
	}
	clear_text(output);
	for (size -= text; size;) {
		struct extent *extent = output->first;

		if (size < extent->end - extent->start) {
			extent->start += size;
			return;
		}
		size -= extent->end - extent->start;
		remove_first(output);
	}
}

void outbox_break(struct outbox *output)
{
	outbox_clear(output);
	output->broken = true;
}

int outbox_write(struct outbox *output, int fd)
{
	struct iovec pieces[PIECES_MAX];

	while (output->size) {
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = gather(output, pieces)};
		ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return -EAGAIN;
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
