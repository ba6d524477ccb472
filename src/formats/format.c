#include "formats/format.h"

#include <errno.h>

#include "base/codec.h"
#include "base/escape.h"
#include "base/json.h"

const char *const format_names[] = {"line", "json", "hex", "raw", NULL};

int format_parse(const char *name, enum format *ret)
{
	for (int i = 0; format_names[i]; i++) {
		if (strcmp(name, format_names[i]))
			continue;
		*ret = (enum format)i;
		return 0;
	}
	return -EINVAL;
}

unsigned format_needs(enum format format)
{
	if (format == FORMAT_RAW)
		return 0;
	return format == FORMAT_JSON ? NEED_ALL : NEED_SOURCE | NEED_TIMESTAMP;
}

/* What the datagram does not have is "-". */
static void append_word(struct text *text, const char *word)
{
	text_append_escaped(text, *word ? word : "-", *word ? strlen(word) : 1);
	text_append(text, " ", 1);
}

/* "TIMESTAMP GROUP SOURCE:PORT INTERFACE SIZE " */
static void append_prefix(struct text *text, const struct fields *fields)
{
	const char *source = fields->values[FIELD_SOURCE].string;
	unsigned port = (unsigned)fields->values[FIELD_SOURCE_PORT].number;
	char endpoint[ENDPOINT_STRING_MAX];

	if (*source && strcmp(source, "-"))
		source = format_address_port(source, port, endpoint);
	append_word(text, fields->values[FIELD_TIMESTAMP].string);
	append_word(text, fields->values[FIELD_GROUP].string);
	append_word(text, source);
	append_word(text, fields->values[FIELD_INTERFACE].string);
	text_append_number(text, fields->values[FIELD_SIZE].number);
	text_append(text, " ", 1);
}

static void append_json(
	struct text *text, const struct fields *fields, const void *payload, size_t size)
{
	json_put_open(text, NULL, '{');
	for (enum field i = 0; i < FIELDS; i++) {
		const char *string = fields->values[i].string;

		if (field_is_absent(fields, i))
			continue;
		json_put_name(text, field_infos[i].name, field_infos[i].name_size);
		if (field_infos[i].type == FIELD_NUMBER)
			text_append_number(text, fields->values[i].number);
		else if (field_infos[i].type == FIELD_FLAG)
			text_append_string(text, "true");
		else
			text_append_json(text, string, strlen(string));
	}
	if (utf8_valid(payload, size)) {
		json_put_member(text, "text");
		text_append_json(text, payload, size);
	} else {
		json_put_base64(text, "base64", payload, size);
	}
	json_put_close(text, '}');
}

void format_fields(struct text *text, enum format format, const struct fields *fields,
	const void *payload, size_t size)
{
	switch (format) {
	case FORMAT_LINE:
		append_prefix(text, fields);
		text_append_escaped(text, payload, size);
		break;
	case FORMAT_HEX:
		append_prefix(text, fields);
		text_append_hex(text, payload, size);
		break;
	case FORMAT_JSON:
		append_json(text, fields, payload, size);
		break;
	case FORMAT_RAW:
		text_append(text, payload, size);
		return;
	}
	text_append(text, "\n", 1);
}

void format_datagram(struct text *text, enum format format, const struct origin *origin,
	const struct datagram *datagram)
{
	struct fields fields;

	if (format == FORMAT_RAW) { /* shows no fields */
		text_append(text, datagram->payload, datagram->size);
		return;
	}
	fields_read(&fields, origin, datagram);
	format_fields(text, format, &fields, datagram->payload, datagram->size);
}

void format_json(struct text *text, const struct origin *origin, const struct datagram *datagram)
{
	struct fields fields;

	fields_read(&fields, origin, datagram);
	append_json(text, &fields, datagram->payload, datagram->size);
}

void format_message(struct text *text, const struct origin *origin, const struct datagram *datagram,
	uint32_t payload_max)
{
	char source[ENDPOINT_STRING_MAX];
	uint32_t shown = datagram->size < payload_max ? datagram->size : payload_max;

	text_printf(text, "%s: ", origin->group);
	if (*origin->interface)
		text_printf(text, "%u bytes from %s on %s: ", datagram->size,
			endpoint_format(&datagram->source, source), origin->interface);
	text_append_escaped(text, datagram->payload, shown);
	if (shown < datagram->size)
		text_append_string(text, "...");
}
