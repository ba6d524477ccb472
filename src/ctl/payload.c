#include "ctl/payload.h"

#include <errno.h>
#include <poll.h>

#include "base/escape.h"
#include "base/json.h"
#include "control/framing.h"

/* What a call has around the parameters is less than this. */
#define ENVELOPE_MAX 128

void payload_put(struct text *text, const void *data, size_t size)
{
	size_t start = text->length;

	if (utf8_valid(data, size)) {
		json_put_member(text, "text");
		text_append_json(text, data, size);
		if (text->length <= MESSAGE_MAX - ENVELOPE_MAX)
			return;
		text->length = start;
	}
	json_put_base64(text, "base64", data, size);
}

int payload_read_some(int fd, struct text *text)
{
	char *room = text_reserve(text, DATAGRAM_MAX + 1);
	ssize_t n;

	if (!room)
		return -ENOMEM;
	n = read(fd, room, DATAGRAM_MAX + 1);
	if (n < 0 && errno == EAGAIN)
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
	else if (n < 0 && errno != EINTR)
		return -errno;
	text->length += n > 0 ? (size_t)n : 0;
	return n != 0;
}

int payload_read(int fd, struct text *text)
{
	int r = 1;

	while (r == 1 && text->length <= DATAGRAM_MAX)
		r = payload_read_some(fd, text);
	return r == 1 ? -EFBIG : r;
}
