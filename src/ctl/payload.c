#include "ctl/payload.h"

#include <errno.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/escape.h"
#include "control/framing.h"

/* What the call has around the parameters is less than this. */
#define ENVELOPE_MAX 128

static void append_base64(struct text *text, const struct text *head, const void *data, size_t size)
{
	text_append(text, head->data, head->length);
	text_append_string(text, ",\"base64\":\"");
	text_append_base64(text, data, size);
	text_append_string(text, "\"}");
}

void payload_append_parameters(
	struct text *text, const struct text *head, const void *data, size_t size)
{
	size_t start = text->length;

	if (!utf8_valid(data, size)) {
		append_base64(text, head, data, size);
		return;
	}
	text_append(text, head->data, head->length);
	text_append_string(text, ",\"text\":");
	text_append_json(text, data, size);
	text_append(text, "}", 1);
	if (text->length - start <= MESSAGE_MAX - ENVELOPE_MAX)
		return;
	text->length = start;
	append_base64(text, head, data, size);
}

int payload_read(int fd, struct text *ret)
{
	for (;;) {
		char *room = text_reserve(ret, DATAGRAM_MAX + 1);
		ssize_t n;

		if (!room)
			return -ENOMEM;
		n = read(fd, room, DATAGRAM_MAX + 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		ret->length += (size_t)n;
		if (ret->length > DATAGRAM_MAX)
			return -EFBIG;
	}
}
