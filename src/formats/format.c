#include "formats/format.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/escape.h"

const char *const format_names[] = {"line", "json", "hex", "raw", NULL};

unsigned format_needs(enum format format)
{
	switch (format) {
	case FORMAT_LINE:
	case FORMAT_HEX:
		return NEED_SOURCE | NEED_TIMESTAMP;
	case FORMAT_JSON:
		return NEED_ALL;
	case FORMAT_RAW:
		break;
	}
	return 0;
}

/* A decimal number; snprintf() would be half of a record's cost. */
static void append_number(struct text *text, uint32_t number)
{
	char digits[10], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_append(text, at, (size_t)(digits + sizeof(digits) - at));
}

#define APPEND_LITERAL(text, literal) text_append(text, literal, sizeof(literal) - 1)

static void append_prefix(
	struct text *text, const struct origin *origin, const struct datagram *datagram)
{
	char timestamp[TIMESTAMP_MAX], source[ENDPOINT_STRING_MAX];

	text_append(text, format_timestamp(datagram->timestamp_ns, timestamp), TIMESTAMP_MAX - 1);
	APPEND_LITERAL(text, " ");
	text_append_string(text, origin->group);
	APPEND_LITERAL(text, " ");
	text_append_string(text, endpoint_format(&datagram->source, source));
	APPEND_LITERAL(text, " ");
	text_append_string(text, origin->interface);
	APPEND_LITERAL(text, " ");
	append_number(text, datagram->size);
	APPEND_LITERAL(text, " ");
}

void format_json(struct text *text, const struct origin *origin, const struct datagram *datagram)
{
	struct address source = endpoint_address(&datagram->source);
	char timestamp[TIMESTAMP_MAX], string[INET6_ADDRSTRLEN];

	APPEND_LITERAL(text, "{\"group\":");
	text_append_json(text, origin->group, strlen(origin->group));
	APPEND_LITERAL(text, ",\"address\":\"");
	text_append_string(text, origin->address);
	APPEND_LITERAL(text, "\",\"port\":");
	append_number(text, origin->port);
	APPEND_LITERAL(text, ",\"source\":\"");
	text_append_string(text, address_format(&source, string));
	APPEND_LITERAL(text, "\",\"sourcePort\":");
	append_number(text, endpoint_port(&datagram->source));
	APPEND_LITERAL(text, ",\"interface\":");
	text_append_json(text, origin->interface, strlen(origin->interface));
	APPEND_LITERAL(text, ",\"ttl\":");
	append_number(text, datagram->ttl);
	APPEND_LITERAL(text, ",\"timestamp\":\"");
	text_append(text, format_timestamp(datagram->timestamp_ns, timestamp), TIMESTAMP_MAX - 1);
	APPEND_LITERAL(text, "\",\"size\":");
	append_number(text, datagram->size);
	if (utf8_valid(datagram->payload, datagram->size)) {
		APPEND_LITERAL(text, ",\"text\":");
		text_append_json(text, datagram->payload, datagram->size);
		APPEND_LITERAL(text, "}");
	} else {
		APPEND_LITERAL(text, ",\"base64\":\"");
		text_append_base64(text, datagram->payload, datagram->size);
		APPEND_LITERAL(text, "\"}");
	}
}

void format_datagram(struct text *text, enum format format, const struct origin *origin,
	const struct datagram *datagram)
{
	switch (format) {
	case FORMAT_LINE:
		append_prefix(text, origin, datagram);
		text_append_escaped(text, datagram->payload, datagram->size);
		break;
	case FORMAT_HEX:
		append_prefix(text, origin, datagram);
		text_append_hex(text, datagram->payload, datagram->size);
		break;
	case FORMAT_JSON:
		format_json(text, origin, datagram);
		break;
	case FORMAT_RAW:
		text_append(text, datagram->payload, datagram->size);
		return;
	}
	APPEND_LITERAL(text, "\n");
}

void format_message(struct text *text, const struct origin *origin, const struct datagram *datagram,
	uint32_t payload_max)
{
	char source[ENDPOINT_STRING_MAX];
	uint32_t shown = datagram->size < payload_max ? datagram->size : payload_max;

	text_printf(text, "%s: %u bytes from %s on %s: ", origin->group, datagram->size,
		endpoint_format(&datagram->source, source), origin->interface);
	text_append_escaped(text, datagram->payload, shown);
	if (shown < datagram->size)
		APPEND_LITERAL(text, "...");
}
