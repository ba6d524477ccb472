#include "child/framing.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/escape.h"
#include "formats/format.h"

const char *const framing_names[] = {"lines", "json", "length", "nul", NULL};

unsigned framing_needs(enum framing framing)
{
	return framing == FRAMING_JSON ? format_needs(FORMAT_JSON) : 0;
}

bool framing_carries(enum framing framing, const struct datagram *datagram)
{
	return framing != FRAMING_NUL || !datagram->size ||
	       !memchr(datagram->payload, '\0', datagram->size);
}

void framing_append(struct text *text, enum framing framing, const struct origin *origin,
	const struct datagram *datagram)
{
	uint32_t length = htonl(datagram->size);

	switch (framing) {
	case FRAMING_LINES:
		text_append_escaped(text, datagram->payload, datagram->size);
		text_append(text, "\n", 1);
		break;
	case FRAMING_JSON:
		format_json(text, origin, datagram);
		text_append(text, "\n", 1);
		break;
	case FRAMING_LENGTH:
		text_append(text, &length, sizeof(length));
		text_append(text, datagram->payload, datagram->size);
		break;
	case FRAMING_NUL:
		text_append(text, datagram->payload, datagram->size);
		text_append(text, "", 1);
		break;
	}
}
