/* A datagram in each format: one line that can be shown, JSON that jansson reads and that has the
 * payload, and the same again from what mcastctl read. */
#include <jansson.h>

#include "base/codec.h"
#include "base/escape.h"
#include "ctl/record.h"
#include "formats/envelope.h"
#include "formats/pcapng.h"
#include "fuzz.h"

static struct origin *origin;

static struct datagram make_datagram(struct input *input)
{
	static const sa_family_t families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_INET};
	struct datagram datagram = {0};

	input_take(input, &datagram.timestamp_ns, sizeof(datagram.timestamp_ns));
	input_take(input, &datagram.source, sizeof(datagram.source));
	datagram.source.any.sa_family = families[input_byte(input) % ARRAY_SIZE(families)];
	datagram.ttl = input_byte(input);
	datagram.payload = input->data;
	datagram.size = (uint32_t)(input->size < DATAGRAM_MAX ? input->size : DATAGRAM_MAX);
	return datagram;
}

static bool is_payload(const struct text *text, const struct datagram *datagram)
{
	return text->length == datagram->size &&
	       (!datagram->size || !memcmp(text->data, datagram->payload, datagram->size));
}

/* What "mcastctl tail" prints of a datagram that the daemon has received is what it prints of its
 * own. */
static void check_record(const json_t *json, const char *format, const struct datagram *datagram)
{
	struct printer printers[2] = {{.program = "x"}, {.program = "x"}};
	AUTO_TEXT struct text here = {0}, there = {0};
	AUTO_RECORD struct record record = {0};

	CHECK(printer_set_format(&printers[0], format) == 0);
	printers[1] = printers[0];
	printer_append(&printers[0], &here, origin, datagram);
	CHECK(record_read(json, &record) == 0);
	CHECK(record_append(&there, &printers[1], &record) == 0 && here.length == there.length);
	CHECK(!here.length || !memcmp(here.data, there.data, here.length));
	printer_clear(&printers[0]);
	printer_clear(&printers[1]);
}

/* Whether the text of its fields has all of the packet. */
static bool has_packet(const struct datagram *datagram)
{
	return datagram->source.any.sa_family == AF_INET && datagram->timestamp_ns &&
	       datagram->timestamp_ns < UINT64_MAX / NS_PER_S * NS_PER_S;
}

static void check_json(const struct text *record, const struct datagram *datagram)
{
	json_t *json = json_loadb(
		record->data, record->length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	static const char *const formats[] = {"line", "json", "hex", "raw", "pcapng"};
	const json_t *text = json_object_get(json, "text"),
		     *base64 = json_object_get(json, "base64");
	AUTO_TEXT struct text payload = {0};

	CHECK(!text != !base64);
	if (text)
		text_append(&payload, json_string_value(text), json_string_length(text));
	else
		CHECK(text_append_base64_decoded(&payload, json_string_value(base64),
			      json_string_length(base64)) == 0);
	CHECK(is_payload(&payload, datagram));
	CHECK(json_integer_value(json_object_get(json, "size")) == datagram->size);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i], "pcapng") || has_packet(datagram))
			check_record(json, formats[i], datagram);
	json_decref(json);
}

static void check_escapes(const struct datagram *datagram)
{
	AUTO_TEXT struct text escaped = {0}, back = {0};

	text_append_escaped(&escaped, datagram->payload, datagram->size);
	CHECK(text_append_unescaped(&back, text_string(&escaped), escaped.length) == 0);
	CHECK(is_payload(&back, datagram));
}

/* As the log, the journal, programs and brokers are given it. */
static void check_shown(const struct datagram *datagram)
{
	char buffer[FIELD_NUMBER_MAX];
	char from[ENVELOPE_FROM_MAX];
	struct fields fields;
	AUTO_TEXT struct text message = {0};
	size_t length;

	format_message(&message, origin, datagram, 100);
	CHECK(!has_controls(text_string(&message), message.length));
	CHECK(utf8_valid(message.data, message.length));
	fields_read(&fields, origin, datagram);
	for (enum field field = 0; field < FIELDS; field++)
		CHECK(!strpbrk(fields_string(&fields, field, buffer), "\n="));
	length = envelope_write_from(from, origin, datagram);
	CHECK(length == strlen(from) && length < sizeof(from) && !has_controls(from, length));
}

/* Own pcapng files are read back by the unit tests; here no size may go wrong. */
static void check_pcapng(const struct datagram *datagram, const struct address *group)
{
	AUTO_TEXT struct text block = {0}, framed = {0};
	struct pcapng_flow flow;

	pcapng_flow_init(&flow, group, 5004, "news");
	pcapng_append_datagram(&block, &flow, 0, datagram);
	CHECK(block.length % 4 == 0 && pcapng_read_block(block.data).size == block.length);
	pcapng_flow_init_ethernet(&flow, group, 5004, "news");
	pcapng_append_datagram(&framed, &flow, 0, datagram);
	CHECK(framed.length % 4 == 0 && pcapng_read_block(framed.data).size == framed.length);
}

static void check_local_time(const struct datagram *datagram)
{
	struct printer printer = {.local_time = true};
	AUTO_TEXT struct text line = {0};

	printer_append(&printer, &line, origin, datagram);
	CHECK(line.length > LOCAL_TIMESTAMP_MAX && line.data[LOCAL_TIMESTAMP_MAX - 1] == ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address group = {.family = AF_INET, .v4.s_addr = htonl(0xe9fc0001)};
	struct input input = {data, size};
	struct datagram datagram = make_datagram(&input);

	if (!origin)
		origin = origin_new("news", &group, 5004, "eth0", 2);
	for (enum format format = FORMAT_LINE; format <= FORMAT_HEX; format++) {
		AUTO_TEXT struct text record = {0};

		format_datagram(&record, format, NULL, origin, &datagram);
		CHECK(!text_failed(&record) && record.data[record.length - 1] == '\n');
		CHECK(!has_controls(record.data, record.length - 1));
		CHECK(utf8_valid(record.data, record.length));
		if (format == FORMAT_JSON)
			check_json(&record, &datagram);
	}
	check_local_time(&datagram);
	check_escapes(&datagram);
	check_shown(&datagram);
	if (datagram.source.any.sa_family != AF_INET6)
		check_pcapng(&datagram, &group);
	return 0;
}
