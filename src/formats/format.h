/* One datagram as text: the same words wherever it is shown or kept. */
#pragma once

#include "base/text.h"
#include "data/datagram.h"

/* line: "TIMESTAMP GROUP SOURCE:PORT INTERFACE SIZE PAYLOAD\n", the payload escaped
 * (base/escape.h); json: one object and "\n", with the fields of mcastd.conf(5); hex:  as line, the
 * payload in hexadecimal; raw:  the payload and nothing else. */
enum format { FORMAT_LINE, FORMAT_JSON, FORMAT_HEX, FORMAT_RAW };

/* The names of the formats in the order of the enum, NULL at the end. */
extern const char *const format_names[];

/* What a format shows beyond the payload, of enum need. */
unsigned format_needs(enum format format);

/* Appends one whole record. */
void format_datagram(struct text *text, enum format format, const struct origin *origin,
	const struct datagram *datagram);

/* Appends the JSON object alone, without a line feed. */
void format_json(struct text *text, const struct origin *origin, const struct datagram *datagram);

/* A readable sentence for a log that has its own time stamps: "news: 5 bytes from
 * 192.0.2.7:4000 on eth0: hello". Shows at most payload_max bytes of the payload. */
void format_message(struct text *text, const struct origin *origin, const struct datagram *datagram,
	uint32_t payload_max);
