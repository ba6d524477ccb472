/* file: records in one of the formats, appended to a file. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "formats/format.h"
#include "handlers/handler.h"
#include "recorder/recorder.h"

struct file_settings {
	struct recorder_settings recorder;
	int format;
};

static const struct key file_keys[] = {
	RECORDER_KEYS,
	{.name = "format",
		.type = KEY_CHOICE,
		.offset = offsetof(struct file_settings, format),
		.choices = format_names,
		.fallback = "line",
		.help = "How a datagram is written: line, json, hex or raw."},
};

/* Whether data may be the start of what format_timestamp() writes. */
static bool is_line(const char *data, size_t size)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ ";

	for (size_t i = 0; i < size && form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)data[i]) : data[i] != form[i])
			return false;
	return true;
}

/* The same for format_json(). */
static bool is_json(const char *data, size_t size)
{
	static const char form[] = "{\"group\":\"";

	return !memcmp(data, form, size < sizeof(form) - 1 ? size : sizeof(form) - 1);
}

/* More than the fields before a payload take. */
#define HEAD_MAX 1024

/* Of records without a payload at the start of a file, as many are read. */
#define EMPTY_MAX 1000

struct payload {
	uint64_t at; /* in the file */
	uint64_t size; /* of the datagram, bytes */
};

/* Finds the payload of the record at a place in the file: behind five words, the last of which is
 * its size. Returns 0, -EBADMSG where there is none, or another negative errno. */
static int find_payload(int fd, uint64_t size, uint64_t at, struct payload *ret)
{
	char head[HEAD_MAX + 1];
	size_t length = size - at < HEAD_MAX ? (size_t)(size - at) : HEAD_MAX;
	char *word = head, *end;
	int r = read_at(fd, head, length, at);

	if (r < 0)
		return r;
	head[length] = '\0';
	head[strcspn(head, "\n")] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		word = strchr(word, ' ');
		if (!word++)
			return -EBADMSG;
	}
	if (!isdigit((unsigned char)*word))
		return -EBADMSG;
	ret->size = strtoull(word, &end, 10);
	ret->at = at + (uint64_t)(end + 1 - head);
	return *end == ' ' && ret->size <= UINT16_MAX ? 0 : -EBADMSG;
}

/* The first one of a file that is not empty. Returns as above; -ENOENT: all are empty. */
static int find_first_payload(int fd, uint64_t size, struct payload *ret)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < EMPTY_MAX && at < size; i++) {
		int r = find_payload(fd, size, at, ret);

		if (r < 0 || ret->size)
			return r;
		at = ret->at + 1;
	}
	return -ENOENT;
}

/* Whether it has two digits for each byte and ends there: escaped text never does. Returns a
 * negative errno where it cannot be read. */
static int is_hex_payload(int fd, uint64_t size, const struct payload *payload)
{
	uint64_t at = payload->at, end = at + 2 * payload->size;
	char digits[HEAD_MAX];

	while (at < end) {
		size_t length = end - at < sizeof(digits) ? (size_t)(end - at) : sizeof(digits);
		int r = end < size ? read_at(fd, digits, length, at) : -EBADMSG;

		if (r < 0)
			return r == -EBADMSG ? 0 : r;
		for (size_t i = 0; i < length; i++)
			if (!isxdigit((unsigned char)digits[i]))
				return 0;
		at += length;
	}
	return read_at(fd, digits, 1, end) >= 0 && *digits == '\n';
}

/* What line and hex have in common, and then which of the two it is. */
static int measure_text(int fd, uint64_t size, bool is_hex, uint64_t *ret_whole)
{
	struct payload payload;
	int r = recorder_measure_lines(fd, size, is_line, ret_whole), s;

	if (r < 0 || !*ret_whole)
		return r;
	s = find_first_payload(fd, *ret_whole, &payload);
	if (s >= 0)
		s = is_hex_payload(fd, *ret_whole, &payload);
	if (s == -ENOENT || s == is_hex)
		return r;
	*ret_whole = 0;
	return s < 0 ? s : -EBADMSG;
}

static int measure_lines(int fd, uint64_t size, uint64_t *ret_whole)
{
	return measure_text(fd, size, false, ret_whole);
}

static int measure_hex(int fd, uint64_t size, uint64_t *ret_whole)
{
	return measure_text(fd, size, true, ret_whole);
}

static int measure_json(int fd, uint64_t size, uint64_t *ret_whole)
{
	return recorder_measure_lines(fd, size, is_json, ret_whole);
}

/* Reads the date and time that format_timestamp() writes. */
static int read_time(const char *string, time_t *ret)
{
	struct tm utc = {0};

	if (!strptime(string, "%Y-%m-%dT%H:%M:%S", &utc))
		return -EBADMSG;
	*ret = timegm(&utc);
	return 0;
}

/* Reads the first size bytes of a file, or all of it, as a string. Returns as in struct
 * recorder_format. */
static int read_start(int fd, uint64_t size, char *ret, size_t ret_size)
{
	size_t length = size < ret_size - 1 ? (size_t)size : ret_size - 1;
	int r = length ? read_at(fd, ret, length, 0) : -ENOENT;

	ret[r < 0 ? 0 : length] = '\0';
	return r;
}

static int first_line(int fd, uint64_t size, time_t *ret)
{
	char start[TIMESTAMP_MAX];
	int r = read_start(fd, size, start, sizeof(start));

	return r < 0 ? r : read_time(start, ret);
}

/* No string has the quotes of the member's name in it. */
static int first_object(int fd, uint64_t size, time_t *ret)
{
	static const char member[] = "\"timestamp\":\"";
	char start[4096];
	int r = read_start(fd, size, start, sizeof(start));
	const char *at = strstr(start, member);

	if (r < 0)
		return r;
	return at ? read_time(at + strlen(member), ret) : -EBADMSG;
}

/* By enum format. */
static const struct recorder_format file_formats[] = {
	[FORMAT_LINE] = {.measure = measure_lines, .first = first_line},
	[FORMAT_JSON] = {.measure = measure_json, .first = first_object},
	[FORMAT_HEX] = {.measure = measure_hex, .first = first_line},
	[FORMAT_RAW] = {0},
};

static unsigned file_needs(const void *settings)
{
	const struct file_settings *file = settings;

	return format_needs((enum format)file->format) |
	       (file->recorder.rotate_every ? NEED_TIMESTAMP : 0);
}

static int file_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct file_settings *wanted = settings;

	return recorder_open(&wanted->recorder, &file_formats[wanted->format], NULL, context->name,
		context->running, why, ret);
}

static void file_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	enum format format = (enum format)(recorder_format(object) - file_formats);
	struct format_head head = {0};

	for (unsigned i = 0; i < batch->count; i++) {
		struct text *text = recorder_begin(
			object, batch->datagrams[i].timestamp_ns, outcome);

		if (!text)
			continue;
		format_datagram(text, format, &head, batch->origin, &batch->datagrams[i]);
		recorder_commit(object, outcome);
	}
	recorder_batch_end(object, outcome);
}

const struct handler_kind file_kind = {
	.config = {.name = "file",
		.may_block = true,
		.schema = {file_keys, ARRAY_SIZE(file_keys), sizeof(struct file_settings)},
		.check = recorder_check,
		.file = recorder_file},
	.needs = file_needs,
	.open = file_open,
	.deliver = file_deliver,
	RECORDER_CALLS,
};
