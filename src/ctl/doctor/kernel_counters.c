#include "ctl/doctor/kernel_counters.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/io.h"

/* These files have some kilobytes. */
#define FILE_MAX (1u << 20)

/* A word of a line, without what is around it. */
struct word {
	const char *start;
	size_t size; /* 0: the line has no more */
};

static struct word next_word(const char **at)
{
	struct word word;

	*at += strspn(*at, " \t");
	word = (struct word){*at, strcspn(*at, " \t\n")};
	*at += word.size;
	return word;
}

/* A text that the line is a part of goes on behind it. */
static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* No counter is below zero: Tcp.MaxConn is none. */
static bool read_value(struct word word, uint64_t *ret)
{
	char *end;

	if (!word.size || !isdigit((unsigned char)*word.start))
		return false;
	errno = 0;
	*ret = strtoull(word.start, &end, 10);
	return !errno && end == word.start + word.size;
}

/* Names that are too long are left out, as are values that are none. */
static int add(
	struct kernel_counters *counters, struct word protocol, struct word name, struct word value)
{
	struct kernel_counter counter = {0};

	if (!name.size || protocol.size + name.size >= sizeof(counter.name) ||
		!read_value(value, &counter.value))
		return 0;
	memcpy(counter.name, protocol.start, protocol.size);
	memcpy(counter.name + protocol.size, name.start, name.size);
	return array_add(counters, counter);
}

static int compare(const void *a, const void *b)
{
	const struct kernel_counter *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static void sort(struct kernel_counters *counters)
{
	if (counters->count)
		qsort(counters->items, counters->count, sizeof(*counters->items), compare);
}

/* Whether two words at the starts of lines are one protocol, "Udp:". */
static bool are_of_one(struct word a, struct word b)
{
	return a.size > 1 && a.size == b.size && !memcmp(a.start, b.start, a.size) &&
	       a.start[a.size - 1] == ':';
}

static int parse_pair(struct kernel_counters *counters, const char *names, const char *values)
{
	struct word protocol = next_word(&names), name, value;
	char prefix[sizeof(counters->items->name)];
	int r = 0;

	next_word(&values);
	if (protocol.size >= sizeof(prefix))
		return 0;
	memcpy(prefix, protocol.start, protocol.size);
	prefix[protocol.size - 1] = '.'; /* "Udp." */
	do {
		name = next_word(&names);
		value = next_word(&values);
		r = add(counters, (struct word){prefix, protocol.size}, name, value);
	} while (r >= 0 && name.size && value.size);
	return r;
}

/* Whether the line begins as its next one does, and has names where that has values. */
static bool begins_pair(const char *line)
{
	const char *next = next_line(line);
	struct word name, value;

	if (!are_of_one(next_word(&line), next_word(&next)))
		return false;
	name = next_word(&line);
	value = next_word(&next);
	return name.size && value.size && isalpha((unsigned char)*name.start) &&
	       !isalpha((unsigned char)*value.start);
}

int kernel_counters_parse(struct kernel_counters *counters, const char *text)
{
	int r = 0;

	for (; *text && r >= 0; text = next_line(text)) {
		if (!begins_pair(text))
			continue;
		r = parse_pair(counters, text, next_line(text));
		text = next_line(text);
	}
	sort(counters);
	return r;
}

int kernel_counters_parse6(struct kernel_counters *counters, const char *text)
{
	int r = 0;

	for (; *text && r >= 0; text = next_line(text)) {
		const char *at = text;
		struct word name = next_word(&at), value = next_word(&at);

		if (!next_word(&at).size)
			r = add(counters, (struct word){"", 0}, name, value);
	}
	sort(counters);
	return r;
}

static int read_counters(struct kernel_counters *counters, const char *path,
	int (*parse)(struct kernel_counters *counters, const char *text))
{
	AUTO_TEXT struct text text = {0};
	int r = read_file(path, FILE_MAX, &text);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = parse(counters, text_string(&text));
	return text_failed(&text) ? -ENOMEM : r;
}

int kernel_counters_read(struct kernel_counters *ret)
{
	struct kernel_counters counters = {0};
	int r = read_counters(&counters, "/proc/net/snmp", kernel_counters_parse);

	r = r < 0 ? r : read_counters(&counters, "/proc/net/netstat", kernel_counters_parse);
	r = r < 0 ? r : read_counters(&counters, "/proc/net/snmp6", kernel_counters_parse6);
	r = r < 0 ? r : read_counters(&counters, "/proc/net/xfrm_stat", kernel_counters_parse6);
	if (r < 0) {
		kernel_counters_clear(&counters);
		return r;
	}
	*ret = counters;
	return 0;
}

void kernel_counters_clear(struct kernel_counters *counters)
{
	free(counters->items);
	*counters = (struct kernel_counters){0};
}

static const struct kernel_counter *find(const struct kernel_counters *counters, const char *name)
{
	struct kernel_counter key = {0};

	if (strlen(name) >= sizeof(key.name) || !counters->count)
		return NULL;
	strcpy(key.name, name);
	return bsearch(&key, counters->items, counters->count, sizeof(*counters->items), compare);
}

uint64_t kernel_counters_growth(
	const struct kernel_counters *before, const struct kernel_counters *after, const char *name)
{
	const struct kernel_counter *first = find(before, name), *last = find(after, name);

	return first && last && last->value > first->value ? last->value - first->value : 0;
}

uint64_t kernel_counters_growth_of(const struct kernel_counters *before,
	const struct kernel_counters *after, const char *prefix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < after->count; i++)
		if (!strncmp(after->items[i].name, prefix, strlen(prefix)))
			sum += kernel_counters_growth(before, after, after->items[i].name);
	return sum;
}
