/* Sizes, times, addresses, targets and encodings as people write them, and names of files. What was
 * read and is written out again means the same. */
#include "base/codec.h"
#include "base/escape.h"
#include "base/units.h"
#include "ctl/human.h"
#include "ctl/replay/selection.h"
#include "fuzz.h"
#include "net/target.h"
#include "recorder/path.h"

static void try_units(const char *word)
{
	char string[UNIT_STRING_MAX];
	uint64_t value, again;

	if (parse_size(word, &value) == 0)
		CHECK(parse_size(format_size(value, string), &again) == 0 && again == value);
	if (parse_duration(word, &value) == 0)
		CHECK(parse_duration(format_duration(value, string), &again) == 0 &&
			again == value);
	if (parse_rate(word, &value) == 0)
		CHECK(value > 0);
	if (parse_number(word, 1000000, &value) == 0)
		CHECK(value <= 1000000);
	parse_timestamp(word, &value);
}

/* Of a capture that began at whatever time. */
static void try_selection(const char *word, size_t size)
{
	struct end_pattern pattern;
	struct when when;

	if (when_parse(word, &when) == 0) {
		CHECK(when.kind != WHEN_AFTER_BEGIN || when_resolve(&when, 1) == when.ns + 1);
		when_resolve(&when, 1764012799000000000);
		when_resolve(&when, UINT64_MAX);
	}
	if (end_pattern_parse(word, size, &pattern) == 0)
		CHECK(end_pattern_matches(
			&pattern, &pattern.prefix.address, pattern.port ? pattern.port : 1));
}

static void try_addresses(const char *word)
{
	char string[INET6_ADDRSTRLEN], why[WHY_MAX] = "";
	struct address address, again;
	AUTO_TARGET struct target target = {0};
	struct prefix prefix;
	int r;

	if (address_parse(word, &address) == 0) {
		address_format(&address, string);
		CHECK(address_parse(string, &again) == 0 && address_equal(&address, &again));
	}
	if (prefix_parse(word, &prefix) == 0)
		CHECK(prefix_contains(&prefix, &prefix.address));
	r = target_parse(word, &target, why);
	CHECK(r == 0 ? target_is_meant(word) && target.name : *why != '\0');
	if (r == 0 && !target.interface)
		CHECK(target_set_interface(&target, "eth0", why) == 0 && target.interface);
	if (r == 0)
		target_add_source(&target, "192.0.2.1", why);
}

static void try_encodings(const char *word, size_t size)
{
	AUTO_TEXT struct text bytes = {0}, again = {0};

	if (text_append_hex_decoded(&bytes, word, size) == 0)
		CHECK(bytes.length <= size / 2);
	text_clear(&bytes);
	if (text_append_base64_decoded(&bytes, word, size) == 0) {
		text_append_base64(&again, bytes.data, bytes.length);
		CHECK(again.length == size && (!size || !memcmp(again.data, word, size)));
	}
	text_clear(&bytes);
	text_append_unescaped(&bytes, word, size);
}

static void try_recorder_path(const char *word)
{
	char name[RECORDER_PATH_MAX];
	struct recorder_rotated rotated;
	struct recorder_path path;

	if (recorder_path_init(&path, "/var/log/news.ndjson") == 0) {
		recorder_path_is_rotated(&path, word, &rotated);
		recorder_path_clear(&path);
	}
	if (*word != '/' || !recorder_path_fits(word) || recorder_path_init(&path, word) < 0)
		return;
	recorder_path_rotated(&path, 1795552430, 7, name);
	CHECK(recorder_path_is_rotated(&path, strrchr(name, '/') + 1, &rotated));
	CHECK(rotated.when == 1795552430 && rotated.number == 7);
	recorder_path_aside(&path, 1795552430, 0, name);
	recorder_path_clear(&path);
}

/* Numbers as people read them. */
static void try_amounts(const char *word)
{
	AUTO_TEXT struct text rate = {0}, count = {0}, wait = {0};
	double number = strtod(word, NULL);

	if (!(number >= 0))
		return;
	text_append_rate(&rate, number);
	text_append_count(&count, number < 1e18 ? (uint64_t)number : UINT64_MAX);
	text_append_wait(&wait, number);
	CHECK(rate.length && rate.length <= 5);
	CHECK(count.length && count.length <= 6 && wait.length);
}

static void try_word(const uint8_t *data, size_t size)
{
	AUTO_FREE char *word = calloc(1, size + 1);

	CHECK(word);
	memcpy(word, data, size);
	try_units(word);
	try_amounts(word);
	try_selection(word, strlen(word));
	try_addresses(word);
	try_encodings(word, strlen(word));
	try_recorder_path(word);
}

/* A word is a line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *feed;

	for (; size && (feed = memchr(data, '\n', (size_t)(end - data))); data = feed + 1)
		try_word(data, (size_t)(feed - data));
	try_word(data, (size_t)(end - data));
	return 0;
}
