/* The fields of a datagram, apart from its payload: the one table of them. JSON, the journal's
 * fields and the environment of programs are written from it, and mcastctl reads JSON back by it.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "data/datagram.h"

/* Name in JSON, and how the value is read from an origin and a datagram; in the order in which they
 * are written. The variable's name is made from the first column: MCASTD_SOURCE_PORT. */
/* clang-format off */
#define DATAGRAM_FIELDS(STRING, NUMBER) \
	STRING(GROUP, "group", origin->group) \
	STRING(ADDRESS, "address", origin->address) \
	NUMBER(PORT, "port", origin->port) \
	STRING(SOURCE, "source", address_format(&source, ret->source)) \
	NUMBER(SOURCE_PORT, "sourcePort", endpoint_port(&datagram->source)) \
	STRING(INTERFACE, "interface", origin->interface) \
	NUMBER(TTL, "ttl", datagram->ttl) \
	STRING(TIMESTAMP, "timestamp", format_timestamp(datagram->timestamp_ns, ret->timestamp)) \
	NUMBER(SIZE, "size", datagram->size)

#define FIELD_ENUMERATOR(id, name, value) FIELD_##id,
enum field { DATAGRAM_FIELDS(FIELD_ENUMERATOR, FIELD_ENUMERATOR) FIELDS };
#undef FIELD_ENUMERATOR
/* clang-format on */

struct field_info {
	const char *name; /* in JSON */
	size_t name_size;
	const char *variable; /* in the journal and the environment */
	bool is_number;
};

extern const struct field_info field_infos[FIELDS];

/* The values of one datagram. */
struct fields {
	union {
		const char *string;
		uint64_t number;
	} values[FIELDS];
	char source[INET6_ADDRSTRLEN], timestamp[TIMESTAMP_MAX]; /* what values point to */
};

/* The strings are valid for as long as origin and *ret are, and *ret stays where it is. */
void fields_read(struct fields *ret, const struct origin *origin, const struct datagram *datagram);

#define FIELD_NUMBER_MAX sizeof("18446744073709551615")

/* A value as text: the field's own, or its number, written to buffer. */
const char *fields_string(
	const struct fields *fields, enum field field, char buffer[static FIELD_NUMBER_MAX]);
