/* log: writes datagrams to stderr or stdout, which may be a terminal, a pipe or the journal's
 * stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "formats/format.h"
#include "handlers/failure.h"
#include "handlers/handler.h"

struct log_settings {
	int format;
	int stream;
};

struct log_handler {
	enum format format;
	int fd;
	struct text text;
	struct failure failure;
};

static const char *const streams[] = {"stderr", "stdout", NULL};

static const struct key log_keys[] = {
	{.name = "format",
		.type = KEY_CHOICE,
		.offset = offsetof(struct log_settings, format),
		.choices = format_names,
		.fallback = "line",
		.help = "How a datagram is written: line, json, hex or raw."},
	{.name = "stream",
		.type = KEY_CHOICE,
		.offset = offsetof(struct log_settings, stream),
		.choices = streams,
		.fallback = "stderr",
		.help = "Where to: stderr or stdout."},
};

static unsigned log_needs(const void *settings)
{
	return format_needs((enum format)((const struct log_settings *)settings)->format);
}

static void log_close(void *object)
{
	struct log_handler *log = object;

	if (!log)
		return;
	text_free(&log->text);
	free(log);
}

static int log_open_handler(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct log_settings *wanted = settings;
	struct log_handler *log = calloc(1, sizeof(*log));

	(void)why;
	if (!log)
		return -ENOMEM;
	log->failure.name = context->name;
	log->format = (enum format)wanted->format;
	log->fd = wanted->stream ? STDOUT_FILENO : STDERR_FILENO;
	*ret = log;
	return 0;
}

static void log_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct log_handler *log = object;
	struct format_head head = {0};
	const char *to = log->fd == STDOUT_FILENO ? "stdout" : "stderr";
	int r;

	for (unsigned i = 0; i < batch->count; i++)
		format_datagram(
			&log->text, log->format, &head, batch->origin, &batch->datagrams[i]);
	r = text_failed(&log->text) ? -ENOMEM
				    : write_all(log->fd, log->text.data, log->text.length);
	text_recycle(&log->text, TEXT_SPARE);
	if (r >= 0) {
		outcome->delivered += batch->count;
		if (failure_end(&log->failure))
			log_notice("handler %s: %s can be written to again", log->failure.name, to);
		return;
	}
	outcome->dropped[DROP_IO] += batch->count;
	if (failure_is_new(&log->failure, r))
		failure_tell(&log->failure, r, "writing to %s: %s%s", to, strerror(-r),
			r == -ENOMEM ? ""
				     : "; see where the service's output goes, or use another type "
				       "of handler");
}

static const char *log_failure(const void *object)
{
	return failure_text(&((const struct log_handler *)object)->failure);
}

const struct handler_kind log_kind = {
	.config = {.name = "log",
		.may_block = true,
		.schema = {log_keys, ARRAY_SIZE(log_keys), sizeof(struct log_settings)}},
	.needs = log_needs,
	.open = log_open_handler,
	.error = log_failure,
	.deliver = log_deliver,
	.close = log_close,
};
