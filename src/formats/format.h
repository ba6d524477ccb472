/* One datagram as text, the same wherever it is shown, recorded or passed on. */
#pragma once

#include "base/text.h"
#include "formats/fields.h"

/* line: "TIMESTAMP GROUP SOURCE:PORT INTERFACE SIZE PAYLOAD\n", the payload escaped
 * (base/escape.h); json: one object and "\n", with the fields of mcastd.conf(5); hex: as line, the
 * payload in hexadecimal; raw: the payload alone. */
enum format { FORMAT_LINE, FORMAT_JSON, FORMAT_HEX, FORMAT_RAW };

/* The names of the formats in the order of the enum, NULL at the end. */
extern const char *const format_names[];

/* The format of this name. Returns 0 or -EINVAL. */
int format_parse(const char *name, enum format *ret);

/* What a format shows beyond the payload, of enum need. */
unsigned format_needs(enum format format);

/* What records say of their origin and sender is kept from one to the next, as most that come
 * together are of the same. Zeroed at first, and for one format and one origin only. NULL: nothing
 * is kept. */
struct format_head {
	uint64_t timestamp_ns;
	union endpoint source;
	uint8_t ttl;
	uint16_t size; /* of text; 0: nothing is kept */
	char timestamp[TIMESTAMP_MAX];
	char text[384]; /* a longer one is not kept */
};

/* Appends one whole record. */
void format_datagram(struct text *text, enum format format, struct format_head *head,
	const struct origin *origin, const struct datagram *datagram);

/* The same from fields that were read elsewhere. */
void format_fields(struct text *text, enum format format, const struct fields *fields,
	const void *payload, size_t size);

/* Appends the JSON object alone, without a line feed. */
void format_json(struct text *text, struct format_head *head, const struct origin *origin,
	const struct datagram *datagram);

/* A readable sentence for a log that has its own timestamps: "news: 5 bytes from
 * 192.0.2.7:4000 on eth0: hello"; of an event only the payload. Shows at most payload_max bytes of
 * the payload. */
void format_message(struct text *text, const struct origin *origin, const struct datagram *datagram,
	uint32_t payload_max);
