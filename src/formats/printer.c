#include "formats/printer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "base/array.h"
#include "base/escape.h"
#include "formats/pcapng.h"

#define PCAPNG "pcapng"

/* With more, a new section begins: the number of names that come and go has no limit. */
#define INTERFACES_MAX 1024

int printer_set_format(struct printer *printer, const char *name)
{
	printer->is_pcapng = !strcmp(name, PCAPNG);
	return printer->is_pcapng ? 0 : format_parse(name, &printer->format);
}

int printer_check(const struct printer *printer, bool to_terminal, char why[static WHY_MAX])
{
	bool has_timestamp = !printer->is_pcapng &&
			     (printer->format == FORMAT_LINE || printer->format == FORMAT_HEX);

	if (printer->local_time && !has_timestamp)
		return because(why, -EINVAL,
			"--local-time is for the formats line and hex: the others have UTC, or no "
			"time");
	if (printer->is_pcapng && to_terminal)
		return because(why, -EINVAL,
			"--format pcapng is not for a terminal: add | wireshark -k -i - or "
			">FILE.pcapng");
	return 0;
}

void printer_clear(struct printer *printer)
{
	free(printer->interfaces.items);
	*printer = (struct printer){0};
}

unsigned printer_needs(const struct printer *printer)
{
	return printer->is_pcapng ? NEED_ALL : format_needs(printer->format);
}

void printer_begin(struct printer *printer, struct text *text)
{
	struct utsname system = {0};
	AUTO_TEXT struct text name = {0}, program = {0};

	if (!printer->is_pcapng)
		return;
	uname(&system);
	text_printf(&name, "%s %s", system.sysname, system.release);
	text_printf(&program, "%s %s", printer->program, MCASTD_VERSION);
	pcapng_append_section(text, system.machine, text_string(&name), text_string(&program));
	printer->interfaces.count = 0;
}

/* The number of an interface in the section; as many as there are: it has none. */
static size_t find_interface(const struct printer *printer, const char *name)
{
	size_t i = 0;

	while (i < printer->interfaces.count && strcmp(printer->interfaces.items[i], name))
		i++;
	return i;
}

/* The kernel allows any byte in the name of an interface; pcapng requires UTF-8. An event of the
 * daemon has none. */
static void append_interface(struct printer *printer, struct text *text, const char *interface)
{
	AUTO_TEXT struct text name = {0}, description = {0};

	text_append_escaped(&name, interface, strlen(interface));
	if (*interface)
		text_printf(&description, "UDP datagrams that %s received on %s", printer->program,
			text_string(&name));
	else
		text_append_string(&description, "Events of mcastd itself");
	pcapng_append_interface(text, !printer->has_interface,
		*interface ? text_string(&name) : "(none)", text_string(&description));
	printer->has_interface = true;
}

void printer_declare(struct printer *printer, struct text *text, const char *interface)
{
	char(*items)[IF_NAMESIZE];

	if (!printer->is_pcapng || find_interface(printer, interface) < printer->interfaces.count)
		return;
	if (printer->interfaces.count == INTERFACES_MAX)
		printer_begin(printer, text);
	items = array_grow(printer->interfaces.items, printer->interfaces.count, sizeof(*items));
	if (!items) {
		text->failed = true;
		return;
	}
	printer->interfaces.items = items;
	strncpy(items[printer->interfaces.count], interface, IF_NAMESIZE - 1);
	items[printer->interfaces.count++][IF_NAMESIZE - 1] = '\0';
	append_interface(printer, text, interface);
}

static void append_packet(const struct printer *printer, struct text *text,
	const struct origin *origin, const struct datagram *datagram)
{
	struct address group = {0};
	struct pcapng_flow flow;

	address_parse(origin->address, &group);
	pcapng_flow_init(&flow, &group, origin->port, origin->group);
	pcapng_append_datagram(
		text, &flow, (uint32_t)find_interface(printer, origin->interface), datagram);
}

void printer_append_fields(const struct printer *printer, struct text *text, struct fields *fields,
	uint64_t timestamp_ns, const void *payload, size_t size)
{
	char timestamp[LOCAL_TIMESTAMP_MAX];

	if (printer->local_time)
		fields->values[FIELD_TIMESTAMP].string = format_local_timestamp(
			timestamp_ns, timestamp);
	format_fields(text, printer->format, fields, payload, size);
}

void printer_append(struct printer *printer, struct text *text, const struct origin *origin,
	const struct datagram *datagram)
{
	struct fields fields;

	if (printer->is_pcapng) {
		printer_declare(printer, text, origin->interface);
		append_packet(printer, text, origin, datagram);
		return;
	}
	if (!printer->local_time) {
		format_datagram(text, printer->format, NULL, origin, datagram);
		return;
	}
	fields_read(&fields, origin, datagram);
	printer_append_fields(
		printer, text, &fields, datagram->timestamp_ns, datagram->payload, datagram->size);
}
