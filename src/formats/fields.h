/* The table of a datagram's fields, without the payload. JSON, the journal's fields and the
 * environment of programs are written from it, and mcastctl reads JSON with it. A new field is a
 * row here, and its documentation: type Datagram in control/io.mcastd.varlink (a test compares) and
 * the table of mcastd.conf(5). One that depends on more than origin, sender and TTL is read by
 * format.c, too. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "data/datagram.h"

/* Name in JSON, and the value for an origin and a datagram; in the order of writing: those come
 * last that are of each datagram (FIELDS_OWN). The name of the variable comes from the first
 * column: MCASTD_SOURCE_PORT. A flag is written where it is true only. */
/* clang-format off */
#define DATAGRAM_FIELDS(STRING, NUMBER, FLAG) \
	STRING(GROUP, "group", origin->group) \
	STRING(ADDRESS, "address", origin->address) \
	NUMBER(PORT, "port", origin->port) \
	STRING(SOURCE, "source", source.family ? address_format(&source, ret->source) : "") \
	NUMBER(SOURCE_PORT, "sourcePort", endpoint_port(&datagram->source)) \
	STRING(INTERFACE, "interface", origin->interface) \
	FLAG(REPLY, "reply", origin->is_reply) \
	NUMBER(TTL, "ttl", datagram->ttl) \
	STRING(TIMESTAMP, "timestamp", format_timestamp(datagram->timestamp_ns, ret->timestamp)) \
	NUMBER(SIZE, "size", datagram->size)

#define FIELD_ENUMERATOR(id, name, value) FIELD_##id,
enum field { DATAGRAM_FIELDS(FIELD_ENUMERATOR, FIELD_ENUMERATOR, FIELD_ENUMERATOR) FIELDS };
#undef FIELD_ENUMERATOR
/* clang-format on */

#define FIELDS_OWN FIELD_TIMESTAMP

enum field_type { FIELD_STRING, FIELD_NUMBER, FIELD_FLAG };

struct field_info {
	const char *name; /* in JSON */
	size_t name_size;
	const char *variable; /* in the journal and the environment */
	enum field_type type;
};

extern const struct field_info field_infos[FIELDS];

/* The values of one datagram. */
struct fields {
	union {
		const char *string;
		uint64_t number; /* of a flag: whether it is written */
	} values[FIELDS];
	char source[INET6_ADDRSTRLEN], timestamp[TIMESTAMP_MAX]; /* storage for values */
};

/* The strings point into origin and *ret: do not copy it. */
void fields_read(struct fields *ret, const struct origin *origin, const struct datagram *datagram);

static inline bool field_is_absent(const struct fields *fields, enum field field)
{
	return field_infos[field].type == FIELD_FLAG && !fields->values[field].number;
}

#define FIELD_NUMBER_MAX sizeof("18446744073709551615")

/* A value as text; a number is written to buffer, and a flag is "true". */
const char *fields_string(
	const struct fields *fields, enum field field, char buffer[static FIELD_NUMBER_MAX]);
