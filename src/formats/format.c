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

static void append_json_fields(
	struct text *text, const struct fields *fields, enum field from, enum field to)
{
	for (enum field i = from; i < to; i++) {
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
}

/* What is the same for datagrams of one origin and sender. */
static void append_head(struct text *text, enum format format, const struct fields *fields)
{
	const char *source = fields->values[FIELD_SOURCE].string;
	unsigned port = (unsigned)fields->values[FIELD_SOURCE_PORT].number;
	char endpoint[ENDPOINT_STRING_MAX];

	if (format == FORMAT_JSON) {
		json_put_open(text, NULL, '{');
		append_json_fields(text, fields, 0, FIELDS_OWN);
		return;
	}
	if (*source && strcmp(source, "-"))
		source = format_address_port(source, port, endpoint);
	append_word(text, fields->values[FIELD_GROUP].string);
	append_word(text, source);
	append_word(text, fields->values[FIELD_INTERFACE].string);
}

/* What comes before the head, and behind it. */
static void append_begin(struct text *text, enum format format, const struct fields *fields)
{
	if (format != FORMAT_JSON)
		append_word(text, fields->values[FIELD_TIMESTAMP].string);
}

static void append_end(struct text *text, enum format format, const struct fields *fields,
	const void *payload, size_t size)
{
	if (format == FORMAT_JSON) {
		append_json_fields(text, fields, FIELDS_OWN, FIELDS);
		if (!json_put_text(text, "text", payload, size))
			json_put_base64(text, "base64", payload, size);
		json_put_close(text, '}');
		return;
	}
	text_append_number(text, fields->values[FIELD_SIZE].number);
	text_append(text, " ", 1);
	if (format == FORMAT_LINE)
		text_append_escaped(text, payload, size);
	else
		text_append_hex(text, payload, size);
}

/* "TIMESTAMP GROUP SOURCE:PORT INTERFACE SIZE PAYLOAD", or an object. */
void format_fields(struct text *text, enum format format, const struct fields *fields,
	const void *payload, size_t size)
{
	if (format == FORMAT_RAW) {
		text_append(text, payload, size);
		return;
	}
	append_begin(text, format, fields);
	append_head(text, format, fields);
	append_end(text, format, fields, payload, size);
	text_append(text, "\n", 1);
}

static bool is_head_of(const struct format_head *head, const struct datagram *datagram)
{
	return head && head->size && head->ttl == datagram->ttl &&
	       endpoint_is_same(&head->source, &datagram->source);
}

static void keep_head(struct format_head *head, const struct text *text, size_t begin,
	const struct fields *fields, const struct datagram *datagram)
{
	if (!head)
		return;
	head->size = 0;
	if (text_failed(text) || text->length - begin > sizeof(head->text))
		return;
	head->size = (uint16_t)(text->length - begin);
	memcpy(head->text, text->data + begin, head->size);
	head->source = datagram->source;
	head->ttl = datagram->ttl;
	head->timestamp_ns = datagram->timestamp_ns;
	memcpy(head->timestamp, fields->timestamp, sizeof(head->timestamp));
}

_Static_assert(FIELD_SIZE == FIELD_TIMESTAMP + 1 && FIELDS == FIELD_SIZE + 1 &&
		       FIELDS_OWN == FIELD_TIMESTAMP,
	"read_own() reads all that are of each datagram");

/* What a datagram alone has. */
static void read_own(
	struct fields *fields, struct format_head *head, const struct datagram *datagram)
{
	fields->values[FIELD_TIMESTAMP].string = format_next_timestamp(
		datagram->timestamp_ns, head->timestamp_ns, head->timestamp);
	fields->values[FIELD_SIZE].number = datagram->size;
	head->timestamp_ns = datagram->timestamp_ns;
}

static void append(struct text *text, enum format format, struct format_head *head,
	const struct origin *origin, const struct datagram *datagram)
{
	struct fields fields;
	size_t begin;

	if (is_head_of(head, datagram)) {
		read_own(&fields, head, datagram);
		append_begin(text, format, &fields);
		text_append(text, head->text, head->size);
	} else {
		fields_read(&fields, origin, datagram);
		append_begin(text, format, &fields);
		begin = text->length;
		append_head(text, format, &fields);
		keep_head(head, text, begin, &fields, datagram);
	}
	append_end(text, format, &fields, datagram->payload, datagram->size);
}

void format_datagram(struct text *text, enum format format, struct format_head *head,
	const struct origin *origin, const struct datagram *datagram)
{
	if (format == FORMAT_RAW) { /* shows no fields */
		text_append(text, datagram->payload, datagram->size);
		return;
	}
	append(text, format, head, origin, datagram);
	text_append(text, "\n", 1);
}

void format_json(struct text *text, struct format_head *head, const struct origin *origin,
	const struct datagram *datagram)
{
	append(text, FORMAT_JSON, head, origin, datagram);
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
