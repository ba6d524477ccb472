/* What a nats-server says: its JSON, and the subjects of what it delivers; and files with a seed.
 * The first byte chooses. What is understood must be usable as it is: names in subjects, texts that
 * end. */
#include "engines/nats/api.h"
#include "engines/nats/nkey.h"
#include "fuzz.h"

/* The rest as a string, which ends at its first zero. */
static char *string_of(struct input *input)
{
	char *text = malloc(input->size + 1);

	CHECK(text);
	memcpy(text, input->data, input->size);
	text[input->size] = '\0';
	return text;
}

static void read_error(const char *json, size_t size)
{
	char text[NATS_REASON_MAX];

	memset(text, 'x', sizeof(text));
	if (nats_api_error(json, size, text) != NATS_ERROR_NONE)
		CHECK(memchr(text, '\0', sizeof(text)));
	if (nats_api_is_stored(json, size))
		CHECK(size > 10 && json[0] == '{');
}

static void read_stream(const char *json, size_t size)
{
	struct string_list subjects = {0};
	struct nats_stream stream;
	char common[NATS_SUBJECT_MAX];

	if (nats_api_read_stream(json, size, &subjects, &stream) >= 0)
		CHECK(memchr(stream.created, '\0', sizeof(stream.created)));
	for (size_t i = 0; i < subjects.count; i++)
		if (nats_api_intersect("mcast.news.*", subjects.items[i], common) >= 0)
			CHECK(strlen(common) < NATS_SUBJECT_MAX);
	string_list_clear(&subjects);
}

static void read_names(const char *json, size_t size)
{
	struct string_list names = {0};

	nats_api_read_names(json, size, &names);
	CHECK(names.count <= NATS_NAMES_MAX);
	for (size_t i = 0; i < names.count; i++) {
		CHECK(*names.items[i] && strlen(names.items[i]) < NATS_NAME_MAX);
		CHECK(!strpbrk(names.items[i], " .*>\r\n\t"));
	}
	string_list_clear(&names);
}

static void read_position(const char *json, size_t size)
{
	struct nats_position position;
	struct nats_consumer consumer = {
		.stream = "s", .name = "n", .filter = "f", .deliver_to = "d"};
	char *text;

	if (nats_api_read_position(json, size, &position) < 0)
		return;
	consumer.start = position.start;
	consumer.start_at = position.start_at;
	text = nats_api_create(&consumer);
	CHECK(text);
	free(text);
}

/* Two patterns in two lines: what they have in common is in both. */
static void intersect(char *text)
{
	char common[NATS_SUBJECT_MAX], again[NATS_SUBJECT_MAX], *second = strchr(text, '\n');

	if (!second)
		return;
	*second++ = '\0';
	if (nats_api_intersect(text, second, common) < 0)
		return;
	CHECK(nats_api_intersect(common, second, again) == 0 && !strcmp(common, again));
	CHECK(nats_api_intersect(text, common, again) == 0 && !strcmp(common, again));
}

static void read_subject(char *text)
{
	struct nats_delivery delivery;
	uint64_t number;

	if (nats_api_read_delivery(text, &delivery) >= 0)
		CHECK(strlen(text) < NATS_REPLY_MAX);
	if (nats_api_read_serial(text, "_INBOX.", &number) >= 0)
		CHECK(strlen(text) > strlen("_INBOX."));
}

/* Site, handler, group and site again, in lines. */
static void make_name(char *text)
{
	char name[NATS_NAME_MAX], *parts[4] = {text}, *request;

	for (int i = 1; i < 4 && parts[i - 1]; i++) {
		parts[i] = strchr(parts[i - 1], '\n');
		if (parts[i])
			*parts[i]++ = '\0';
	}
	if (parts[2] && nats_api_name(name, parts[0], parts[1], parts[2], parts[3]) >= 0)
		CHECK(strlen(name) < NATS_NAME_MAX && !strpbrk(name, ".*> \n"));
	request = nats_api_find(text);
	free(request);
}

static void read_seed(char *text)
{
	char public[NKEY_PUBLIC_MAX], why[WHY_MAX], again[NKEY_PUBLIC_MAX], path[32];
	int r = nkey_public(text, public);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(text, strlen(text)));
	if (r >= 0)
		CHECK(public[0] == 'U' && strlen(public) < NKEY_PUBLIC_MAX);
	if (nkey_public_of_file(path, why, again) >= 0 && r >= 0)
		CHECK(!strcmp(public, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *, size_t) = {
		read_error, read_stream, read_names, read_position};
	static void (*const of_text[])(char *) = {intersect, read_subject, make_name, read_seed};
	struct input input = {data, size};
	unsigned choice = input_byte(&input) % (ARRAY_SIZE(readers) + ARRAY_SIZE(of_text));
	char *text;

	if (choice < ARRAY_SIZE(readers)) {
		readers[choice]((const char *)input.data, input.size);
		return 0;
	}
	text = string_of(&input);
	of_text[choice - ARRAY_SIZE(readers)](text);
	free(text);
	return 0;
}
