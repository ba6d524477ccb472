/* file: records in one of the formats, appended to a file. */
#include <ctype.h>
#include <string.h>

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

/* By enum format. */
static const struct recorder_format file_formats[] = {
	[FORMAT_LINE] = {.measure = measure_lines},
	[FORMAT_JSON] = {.measure = measure_json},
	[FORMAT_HEX] = {.measure = measure_lines},
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

	for (unsigned i = 0; i < batch->count; i++) {
		struct text *text = recorder_begin(object, outcome);

		if (!text)
			continue;
		format_datagram(text, format, batch->origin, &batch->datagrams[i]);
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
