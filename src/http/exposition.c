#include "http/exposition.h"

#include <string.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/escape.h"

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_SUM] = "summary"};

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

/* The format is UTF-8: one label that is not would cost the whole scrape, as would two that are the
 * same. So what is not UTF-8 is escaped, and so is what looks like that. */
static void append_odd_value(struct text *text, const char *value)
{
	AUTO_TEXT struct text readable = {0};

	if (utf8_valid(value, strlen(value)) && !strchr(value, '\\')) {
		append_escaped(text, value, true);
		return;
	}
	text_append_escaped(&readable, value, strlen(value));
	append_escaped(text, text_string(&readable), true);
	if (text_failed(&readable))
		text->failed = true;
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x7f && c != '\\' && c != '"';
}

/* The number of plain characters that a name is made of, as nearly all are; -1: it has others. */
static ssize_t plain_length(const char *value)
{
	ssize_t length = 0;

	while (is_plain((unsigned char)value[length]))
		length++;
	return value[length] ? -1 : length;
}

static void append_label(struct text *text, const struct label *label, char before)
{
	ssize_t length = plain_length(label->value);
	size_t name_length = strlen(label->name);
	char *at = text_reserve(text, name_length + (length > 0 ? (size_t)length : 0) + 4);

	if (!at)
		return;
	*at++ = before;
	at = mempcpy(at, label->name, name_length);
	*at++ = '=';
	*at++ = '"';
	text->length += name_length + 3;
	if (length < 0) {
		append_odd_value(text, label->value);
		text_append(text, "\"", 1);
		return;
	}
	at = mempcpy(at, label->value, (size_t)length);
	*at = '"';
	text->length += (size_t)length + 1;
}

static void append_name(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count)
{
	text_append_string(text, metric->name);
	for (size_t i = 0; i < label_count; i++)
		append_label(text, &labels[i], i ? ',' : '{');
	text_append(text, label_count ? "} " : " ", label_count ? 2 : 1);
}

/* Room for any number, with a fraction. */
#define NUMBER_MAX 32

/* Writes digits backwards from end. Returns their start. What printf(3) does, in a tenth of its
 * time. */
static char *format_number(char *end, uint64_t value, unsigned digits)
{
	for (; value || digits; value /= 10, digits -= digits > 0)
		*--end = (char)('0' + value % 10);
	return end;
}

void exposition_head(struct text *text, const struct metric *metric)
{
	int length = (int)strlen(metric->name);

	if (metric->type == METRIC_COUNT) /* the sum has it */
		return;
	if (metric->type == METRIC_SUM)
		length -= (int)strlen("_sum");
	text_printf(text, "# HELP %.*s ", length, metric->name);
	append_escaped(text, metric->help, false);
	text_printf(text, "\n# TYPE %.*s %s\n", length, metric->name, type_names[metric->type]);
}

void exposition_number(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t value)
{
	char line[NUMBER_MAX], *end = line + sizeof(line), *start;

	*--end = '\n';
	start = format_number(end, value, 1);
	append_name(text, metric, labels, label_count);
	text_append(text, start, (size_t)(end + 1 - start));
}

void exposition_decimal(struct text *text, const struct metric *metric, const struct label *labels,
	size_t label_count, uint64_t billionths)
{
	char line[NUMBER_MAX], *end = line + sizeof(line), *start;

	*--end = '\n';
	start = format_number(end, billionths % NS_PER_S, 9);
	*--start = '.';
	start = format_number(start, billionths / NS_PER_S, 1);
	append_name(text, metric, labels, label_count);
	text_append(text, start, (size_t)(end + 1 - start));
}
