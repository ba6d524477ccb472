/* file: records in one of the formats, appended to a file. */
#include "data/format.h"
#include "handlers/handler.h"
#include "handlers/recorder.h"

#include <errno.h>

struct file_settings {
	char *path;
	int format;
};

struct file_handler {
	struct recorder *recorder;
	enum format format;
};

static const struct key file_keys[] = {
	{.name = "path", .type = KEY_PATH, .offset = offsetof(struct file_settings, path), .required = true,
		.help = "The file to append to. Its directory must exist."},
	{.name = "format", .type = KEY_CHOICE, .offset = offsetof(struct file_settings, format), .choices = format_names,
		.fallback = "line", .help = "How a datagram is written: line, json, hex or raw."},
};

static unsigned file_needs(const void *settings)
{
	return format_needs((enum format)((const struct file_settings *)settings)->format);
}

static void file_close(void *object)
{
	struct file_handler *file = object;

	if (!file)
		return;
	recorder_close(file->recorder);
	free(file);
}

static int file_open(const void *settings, char why[static WHY_MAX], void **ret)
{
	const struct file_settings *wanted = settings;
	struct file_handler *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return -ENOMEM;
	file->format = (enum format)wanted->format;
	r = recorder_open(wanted->path, why, &file->recorder);
	if (r < 0) {
		free(file);
		return r;
	}
	*ret = file;
	return 0;
}

static void file_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct file_handler *file = object;
	struct text *text = recorder_text(file->recorder);

	for (unsigned i = 0; i < batch->count; i++) {
		format_datagram(text, file->format, batch->origin, &batch->datagrams[i]);
		recorder_commit(file->recorder, outcome);
	}
}

static uint64_t file_deadline(const void *object)
{
	return recorder_deadline(((const struct file_handler *)object)->recorder);
}

static void file_serve(void *object, struct outcome *outcome)
{
	recorder_flush(((struct file_handler *)object)->recorder, outcome);
}

static void file_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	(void)until_ns;
	file_serve(object, outcome);
}

const struct handler_kind file_kind = {
	.config = {.name = "file", .schema = {file_keys, ARRAY_SIZE(file_keys), sizeof(struct file_settings)}},
	.may_block = true,
	.needs = file_needs,
	.open = file_open,
	.deliver = file_deliver,
	.deadline = file_deadline,
	.serve = file_serve,
	.finish = file_finish,
	.close = file_close,
};
