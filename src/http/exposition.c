#include "http/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

static const char *const type_names[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge"};

/* What the format gives a meaning to. In a help text a quote has none, and must not be escaped. */
static void append_escaped(struct text *text, const char *string, bool in_quotes)
{
	for (; *string; string++) {
		if (*string == '\n')
			text_append_string(text, "\\n");
		else if (*string == '\\')
			text_append_string(text, "\\\\");
		else if (*string == '"' && in_quotes)
			text_append_string(text, "\\\"");
		else
			text_append(text, string, 1);
	}
}

/* The format is UTF-8: one label that is not would cost the whole scrape. */
static void append_value(struct text *text, const char *value)
{
	AUTO_TEXT struct text readable = {0};

	if (utf8_valid(value, strlen(value))) {
		append_escaped(text, value, true);
		return;
	}
	text_append_escaped(&readable, value, strlen(value));
	append_escaped(text, text_string(&readable), true);
	if (text_failed(&readable))
		text->failed = true;
}

static void append_name(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count)
{
	text_append_string(text, metric->name);
	for (size_t i = 0; i < label_count; i++) {
		text_append_string(text, i ? "," : "{");
		text_append_string(text, labels[i].name);
		text_append_string(text, "=\"");
		append_value(text, labels[i].value);
		text_append_string(text, "\"");
	}
	text_append_string(text, label_count ? "} " : " ");
}

void exposition_head(struct text *text, const struct metric *metric)
{
	text_printf(text, "# HELP %s ", metric->name);
	append_escaped(text, metric->help, false);
	text_printf(text, "\n# TYPE %s %s\n", metric->name, type_names[metric->type]);
}

void exposition_number(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t value)
{
	append_name(text, metric, labels, label_count);
	text_printf(text, "%" PRIu64 "\n", value);
}

void exposition_seconds(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t ns)
{
	append_name(text, metric, labels, label_count);
	text_printf(text, "%" PRIu64 ".%09" PRIu64 "\n", (uint64_t)(ns / NS_PER_S),
		(uint64_t)(ns % NS_PER_S));
}
