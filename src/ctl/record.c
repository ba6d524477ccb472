#include "ctl/record.h"

#include <errno.h>

#include "base/codec.h"
#include "ctl/human.h"
#include "ctl/json.h"

static int append_payload(struct text *payload, const json_t *datagram)
{
	const json_t *string = json_object_get(datagram, "text");

	if (json_is_string(string)) {
		text_append(payload, json_string_value(string), json_string_length(string));
		return 0;
	}
	string = json_object_get(datagram, "base64");
	if (!json_is_string(string) ||
		text_append_base64_decoded(
			payload, json_string_value(string), json_string_length(string)) < 0)
		return -EBADMSG;
	return 0;
}

static bool has_type(const json_t *value, enum field_type type)
{
	return type == FIELD_STRING   ? json_is_string(value)
	       : type == FIELD_NUMBER ? json_is_integer(value)
				      : json_is_boolean(value);
}

/* An older daemon may lack fields: those stay as they are. */
static int read_fields(const json_t *datagram, struct fields *ret)
{
	for (size_t i = 0; i < FIELDS; i++) {
		const json_t *value = json_object_get(datagram, field_infos[i].name);

		if (!value)
			continue;
		if (!has_type(value, field_infos[i].type))
			return -EBADMSG;
		if (field_infos[i].type == FIELD_FLAG)
			ret->values[i].number = json_is_true(value);
		else if (field_infos[i].type == FIELD_NUMBER)
			ret->values[i].number = (uint64_t)json_integer_value(value);
		else
			ret->values[i].string = json_string_value(value);
	}
	return 0;
}

/* What cannot be read stays zero. */
static void make_datagram(struct record *record)
{
	const struct fields *fields = &record->fields;
	const char *source = fields->values[FIELD_SOURCE].string;
	const char *timestamp = fields->values[FIELD_TIMESTAMP].string;
	struct address address;

	record->datagram = (struct datagram){.payload = (const uint8_t *)record->payload.data,
		.size = (uint32_t)record->payload.length,
		.ttl = (uint8_t)fields->values[FIELD_TTL].number};
	if (source && address_parse(source, &address) == 0)
		address_to_endpoint(&address, (uint16_t)fields->values[FIELD_SOURCE_PORT].number, 0,
			&record->datagram.source);
	if (timestamp)
		parse_timestamp(timestamp, &record->datagram.timestamp_ns);
}

int record_read(const json_t *value, struct record *ret)
{
	ret->value = value;
	if (append_payload(&ret->payload, value) < 0 || read_fields(value, &ret->fields) < 0 ||
		ret->payload.length > DATAGRAM_MAX || text_failed(&ret->payload))
		return -EBADMSG;
	make_datagram(ret);
	return 0;
}

void record_clear(struct record *record)
{
	text_free(&record->payload);
}

static bool has(const struct record *record, enum field field)
{
	return record->fields.values[field].string;
}

static bool is_whole(const struct printer *printer, const struct record *record)
{
	if (!printer->is_pcapng &&
		(printer->format == FORMAT_RAW || printer->format == FORMAT_JSON))
		return true;
	if ((printer->is_pcapng || printer->local_time) && !record->datagram.timestamp_ns)
		return false;
	return has(record, FIELD_TIMESTAMP) && has(record, FIELD_GROUP) &&
	       has(record, FIELD_SOURCE) && has(record, FIELD_INTERFACE);
}

static struct origin *make_origin(const struct record *record)
{
	const struct fields *fields = &record->fields;
	const char *string = fields->values[FIELD_ADDRESS].string;
	struct address address = {0};

	address_parse(string ? string : "", &address);
	return origin_new(fields->values[FIELD_GROUP].string, &address,
		(uint16_t)fields->values[FIELD_PORT].number, fields->values[FIELD_INTERFACE].string,
		0);
}

static int append_packet(struct text *text, struct printer *printer, const struct record *record)
{
	struct origin *origin = make_origin(record);

	if (!origin)
		return -ENOMEM;
	printer_append(printer, text, origin, &record->datagram);
	origin_unref(origin);
	return 0;
}

int record_append(struct text *text, struct printer *printer, const struct record *record)
{
	struct fields fields = record->fields;

	if (!is_whole(printer, record))
		return -EBADMSG;
	if (printer->is_pcapng)
		return append_packet(text, printer, record);
	if (printer->format == FORMAT_JSON) { /* with the fields that only a newer daemon knows */
		text_append_value(text, record->value);
		text_append(text, "\n", 1);
		return 0;
	}
	printer_append_fields(printer, text, &fields, record->datagram.timestamp_ns,
		record->payload.data, record->payload.length);
	return 0;
}
