/* What "mcastctl tail" and "mcastd TARGET" print of datagrams: a format of format.h, or a pcapng
 * stream, which other programs read while it grows. */
#pragma once

#include <net/if.h>

#include "base/errors.h"
#include "formats/format.h"

/* For help and errors. */
#define PRINTER_FORMATS "line, json, hex, raw and pcapng"

/* All zeros is a printer of lines, in UTC. */
struct printer {
	enum format format; /* unless is_pcapng */
	bool is_pcapng;
	bool local_time; /* timestamps in the local time zone, for lines and hex */
	const char *program; /* that writes a pcapng stream */
	struct {
		char (*items)[IF_NAMESIZE]; /* those that the section has, in their order */
		size_t count;
	} interfaces;
	bool has_interface; /* the stream has one, maybe in an earlier section */
};

/* Returns 0, or -EINVAL: there is no such format. */
int printer_set_format(struct printer *printer, const char *name);

/* What does not go together, or not to a terminal. Returns 0, or -EINVAL with the reason and the
 * fix in why. */
int printer_check(const struct printer *printer, bool to_terminal, char why[static WHY_MAX]);

void printer_clear(struct printer *printer);

/* Of enum need. */
unsigned printer_needs(const struct printer *printer);

/* Appends what stands before all datagrams: of a pcapng stream its section. */
void printer_begin(struct printer *printer, struct text *text);

/* Appends what stands before the datagrams of an interface, where it does not yet. */
void printer_declare(struct printer *printer, struct text *text, const char *interface);

/* Appends one whole record, behind what has to stand before it. */
void printer_append(struct printer *printer, struct text *text, const struct origin *origin,
	const struct datagram *datagram);

/* The same from fields that were read elsewhere; not for pcapng. */
void printer_append_fields(const struct printer *printer, struct text *text, struct fields *fields,
	uint64_t timestamp_ns, const void *payload, size_t size);
