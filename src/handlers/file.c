/* file: records in one of the formats, appended to a file. */
#include <ctype.h>
#include <errno.h>
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

static int measure_lines(int fd, uint64_t size, uint64_t *ret_whole)
{
	return recorder_measure_lines(fd, size, is_line, ret_whole);
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
	[FORMAT_HEX] = {.measure = measure_lines, .first = first_line},
	[FORMAT_RAW] = {0},
};

static unsigned file_needs(const void *settings)
{
	return format_needs((enum format)((const struct file_settings *)settings)->format);
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
		struct text *text = recorder_begin(object, outcome);

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
