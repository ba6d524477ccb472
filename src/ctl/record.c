#include "ctl/record.h"

#include <errno.h>

#include "base/codec.h"
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

static bool has_prefix(const struct fields *fields)
{
	return fields->values[FIELD_TIMESTAMP].string && fields->values[FIELD_GROUP].string &&
	       fields->values[FIELD_SOURCE].string && fields->values[FIELD_INTERFACE].string;
}

int record_append(struct text *text, enum format format, const json_t *datagram)
{
	AUTO_TEXT struct text payload = {0};
	struct fields fields = {0};

	if (append_payload(&payload, datagram) < 0 || read_fields(datagram, &fields) < 0)
		return -EBADMSG;
	if (format == FORMAT_JSON) { /* with the fields that only a newer daemon knows */
		text_append_value(text, datagram);
		text_append(text, "\n", 1);
		return 0;
	}
	if (format != FORMAT_RAW && !has_prefix(&fields))
		return -EBADMSG;
	format_fields(text, format, &fields, payload.data, payload.length);
	return 0;
}
