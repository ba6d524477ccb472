#include "ctl/record.h"

#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/escape.h"
#include "ctl/json.h"

static const char *const format_names[] = {
	[RECORD_LINE] = "line", [RECORD_JSON] = "json", [RECORD_HEX] = "hex", [RECORD_RAW] = "raw"};

int record_format_parse(const char *name, enum record_format *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(format_names); i++) {
		if (strcmp(name, format_names[i]))
			continue;
		*ret = (enum record_format)i;
		return 0;
	}
	return -EINVAL;
}

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

/* "TIMESTAMP GROUP SOURCE:PORT INTERFACE SIZE " */
static int append_prefix(struct text *text, const json_t *datagram)
{
	const char *timestamp, *group, *source, *interface;
	int port, size;

	if (json_unpack((json_t *)datagram, "{s:s, s:s, s:s, s:i, s:s, s:i}", "timestamp",
		    &timestamp, "group", &group, "source", &source, "sourcePort", &port,
		    "interface", &interface, "size", &size) < 0)
		return -EBADMSG;
	text_append_escaped(text, timestamp, strlen(timestamp));
	text_append(text, " ", 1);
	text_append_escaped(text, group, strlen(group));
	text_append(text, strchr(source, ':') ? " [" : " ", strchr(source, ':') ? 2 : 1);
	text_append_escaped(text, source, strlen(source));
	if (strcmp(source, "-"))
		text_printf(text, strchr(source, ':') ? "]:%d" : ":%d", port);
	text_append(text, " ", 1);
	text_append_escaped(text, interface, strlen(interface));
	text_printf(text, " %d ", size);
	return 0;
}

int record_append(struct text *text, enum record_format format, const json_t *datagram)
{
	AUTO_TEXT struct text payload = {0};
	size_t start = text->length;

	if (!json_is_object(datagram) || append_payload(&payload, datagram) < 0)
		return -EBADMSG;
	if ((format == RECORD_LINE || format == RECORD_HEX) && append_prefix(text, datagram) < 0) {
		text->length = start;
		return -EBADMSG;
	}
	switch (format) {
	case RECORD_LINE:
		text_append_escaped(text, payload.data, payload.length);
		break;
	case RECORD_JSON:
		text_append_value(text, datagram);
		break;
	case RECORD_HEX:
		text_append_hex(text, payload.data, payload.length);
		break;
	case RECORD_RAW:
		text_append(text, payload.data, payload.length);
		return 0;
	}
	text_append(text, "\n", 1);
	return 0;
}
