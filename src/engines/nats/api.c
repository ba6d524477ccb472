#include "engines/nats/api.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

/* How long the server waits for an acknowledgement before it delivers again. What is delivered to a
 * connection that was lost does not wait for it: see in.c. */
#define ACK_WAIT_NS 10000000000ll

/* How often an idle consumer says that it is there. */
#define HEARTBEAT_NS 2000000000ll

static void json_free(json_t **json)
{
	json_decref(*json);
}

#define AUTO_JSON CLEANUP(json_free)

int nats_api_error(const char *text, size_t size, char ret_text[static NATS_REASON_MAX])
{
	AUTO_JSON json_t *json = json_loadb(text, size, 0, NULL);
	json_t *error = json_object_get(json, "error"), *code;
	const char *description;

	if (!json_is_object(json)) {
		snprintf(ret_text, NATS_REASON_MAX, "an answer that is no JSON");
		return NATS_ERROR_UNKNOWN;
	}
	if (!error)
		return NATS_ERROR_NONE;
	description = json_string_value(json_object_get(error, "description"));
	code = json_object_get(error, "err_code");
	snprintf(ret_text, NATS_REASON_MAX, "%s", description ? description : "an error");
	return json_is_integer(code) && json_integer_value(code) > 0 ? (int)json_integer_value(code)
								     : NATS_ERROR_UNKNOWN;
}

bool nats_api_is_stored(const char *json, size_t size)
{
	static const char stored[] = "{\"stream\":", error[] = "\"error\":";

	return size > strlen(stored) && !memcmp(json, stored, strlen(stored)) &&
	       !memmem(json, size, error, strlen(error));
}

/* ---- Consumers ---- */

static char *dump(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

static const char *const starts[] = {
	[NATS_START_NEW] = "new", [NATS_START_ALL] = "all", [NATS_START_AT] = "by_start_sequence"};

char *nats_api_create(const struct nats_consumer *consumer)
{
	json_t *config = json_pack("{ss ss ss ss ss si sI sI ss ss}", "durable_name",
		consumer->name, "deliver_subject", consumer->deliver_to, "deliver_policy",
		starts[consumer->start], "ack_policy", "all", "replay_policy", "instant",
		"max_ack_pending", (int)consumer->most_pending, "ack_wait", (json_int_t)ACK_WAIT_NS,
		"idle_heartbeat", (json_int_t)HEARTBEAT_NS, "filter_subject", consumer->filter,
		"description", "mcastd takes what comes in for a group");

	if (config && consumer->start == NATS_START_AT)
		json_object_set_new(
			config, "opt_start_seq", json_integer((json_int_t)consumer->start_at));
	return dump(json_pack("{ss so}", "stream_name", consumer->stream, "config", config));
}

static uint64_t number_of(json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

int nats_api_read_position(const char *text, size_t size, struct nats_position *ret)
{
	AUTO_JSON json_t *json = json_loadb(text, size, 0, NULL);
	json_t *config = json_object_get(json, "config"),
	       *delivered = json_object_get(json, "delivered");
	const char *policy = json_string_value(json_object_get(config, "deliver_policy"));
	struct nats_position position = {.start_at = number_of(config, "opt_start_seq"),
		.delivered = number_of(delivered, "consumer_seq"),
		.delivered_in_stream = number_of(delivered, "stream_seq"),
		.pending = number_of(json, "num_ack_pending")};

	if (!json_is_object(delivered) || !policy)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if (strcmp(policy, starts[i]) != 0)
			continue;
		position.start = (enum nats_start)i;
		*ret = position;
		return 0;
	}
	return -EINVAL;
}

static int add_strings(struct string_list *ret, json_t *array)
{
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		const char *text = json_string_value(item);

		if (text && string_list_add(ret, text) < 0)
			return -ENOMEM;
	}
	return 0;
}

int nats_api_read_stream(
	const char *text, size_t size, struct string_list *subjects, struct nats_stream *ret)
{
	AUTO_JSON json_t *json = json_loadb(text, size, 0, NULL);
	json_t *state = json_object_get(json, "state"), *config = json_object_get(json, "config");
	const char *created = json_string_value(json_object_get(json, "created"));

	if (!json_is_object(state) || !json_is_object(config))
		return -EINVAL;
	ret->last = number_of(state, "last_seq");
	snprintf(ret->created, sizeof(ret->created), "%s", created ? created : "");
	return add_strings(subjects, json_object_get(config, "subjects"));
}

int nats_api_intersect(const char *a, const char *b, char ret[static NATS_SUBJECT_MAX])
{
	size_t length = 0;

	for (;;) {
		size_t a_size = strcspn(a, "."), b_size = strcspn(b, ".");
		bool a_is_all = !strcmp(a, ">"), b_is_all = !strcmp(b, ">");
		bool a_is_any = a_size == 1 && *a == '*', b_is_any = b_size == 1 && *b == '*';
		const char *taken = a_is_all || a_is_any ? b : a;
		size_t size = a_is_all || a_is_any ? b_size : a_size;

		if (!a_is_all && !a_is_any && !b_is_all && !b_is_any &&
			(a_size != b_size || memcmp(a, b, a_size) != 0))
			return -ENOENT;
		/* The rest of the other one is all in it. */
		if (a_is_all || b_is_all) {
			taken = a_is_all ? b : a;
			size = strlen(taken);
		}
		if (length + size + 2 > NATS_SUBJECT_MAX)
			return -ENAMETOOLONG;
		memcpy(ret + length, taken, size);
		length += size;
		ret[length] = '\0';
		if (a_is_all || b_is_all)
			return 0;
		if (!a[a_size] || !b[b_size])
			return a[a_size] == b[b_size] ? 0 : -ENOENT;
		ret[length++] = '.';
		a += a_size + 1;
		b += b_size + 1;
	}
}

char *nats_api_find(const char *subject)
{
	return dump(json_pack("{ss}", "subject", subject));
}

/* Whether it can be a token of a subject, as the names of streams are. */
static bool is_token(const char *text)
{
	size_t length = text ? strnlen(text, NATS_NAME_MAX) : 0;

	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)text[i]) || strchr(".*>/\\", text[i]))
			return false;
	return length && length < NATS_NAME_MAX;
}

int nats_api_read_names(const char *text, size_t size, struct string_list *ret)
{
	AUTO_JSON json_t *json = json_loadb(text, size, 0, NULL);
	json_t *names = json_object_get(json, "streams"), *name;
	size_t i;

	if (!json_is_object(json))
		return -EINVAL;
	if (json_array_size(names) > NATS_NAMES_MAX)
		return -E2BIG;
	json_array_foreach(names, i,
		name) if (is_token(json_string_value(name)) &&
			  string_list_add(ret, json_string_value(name)) < 0) return -ENOMEM;
	return 0;
}

void nats_api_make_command(char ret[static NATS_COMMAND_MAX], const char *stream,
	const char *subject, const char *site)
{
	int name_size = stream ? (int)strlen(stream) : (int)strcspn(subject, ".%");
	const char *name = stream ? stream : subject;
	AUTO_TEXT struct text groups = {0};

	/* A wildcard is a whole token. */
	for (size_t size; *subject; subject += size + (subject[size] == '.')) {
		size = strcspn(subject, ".");
		if (memmem(subject, size, "%g", strlen("%g")))
			text_append_string(&groups, "*");
		else
			text_append(&groups, subject, size);
		text_append_string(&groups, ".");
	}
	snprintf(ret, NATS_COMMAND_MAX, "nats stream add %.*s --subjects '%s%s'",
		name_size ? name_size : (int)strlen("mcast"), name_size ? name : "mcast",
		text_string(&groups), site ? site : "*");
}

/* ---- Messages of a consumer ---- */

#define TOKENS_MAX 16

/* Whether a token is a number. */
static bool read_number(const char *token, uint64_t *ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*token))
		return false;
	for (; isdigit((unsigned char)*token); token++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*token - '0'), &value))
			return false;
	*ret = value;
	return *token == '.' || !*token;
}

int nats_api_read_serial(const char *subject, const char *prefix, uint64_t *ret)
{
	size_t length = strlen(prefix);
	uint64_t number;

	if (strncmp(subject, prefix, length) != 0 || !read_number(subject + length, &number) ||
		strchr(subject + length, '.'))
		return -EINVAL;
	*ret = number;
	return 0;
}

const char *nats_api_site(const char *subject)
{
	const char *dot = strrchr(subject, '.');

	return dot ? dot + 1 : subject;
}

/* $JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERIES.IN_STREAM.NUMBER.TIME.PENDING[.TOKEN] */
int nats_api_read_delivery(const char *reply, struct nats_delivery *ret)
{
	const char *tokens[TOKENS_MAX];
	struct nats_delivery delivery;
	unsigned count = 0, first;

	if (!reply || strncmp(reply, "$JS.ACK.", strlen("$JS.ACK.")) != 0 ||
		strnlen(reply, NATS_REPLY_MAX) == NATS_REPLY_MAX)
		return -EINVAL;
	for (const char *at = reply; at && count < TOKENS_MAX; count++) {
		tokens[count] = at;
		at = strchr(at, '.');
		at = at ? at + 1 : NULL;
	}
	if (count != 9 && count < 11)
		return -EINVAL;
	first = count == 9 ? 2 : 4;
	if (!read_number(tokens[first + 3], &delivery.in_stream) ||
		!read_number(tokens[first + 4], &delivery.number))
		return -EINVAL;
	*ret = delivery;
	return 0;
}

/* Appends a name, with everything as =XX that a consumer's must not have, or that separates here.
 * Returns the end, or NULL when there is no room. */
static char *append_name(char *at, const char *end, const char *name)
{
	for (; at && *name; name++) {
		bool is_plain = isalnum((unsigned char)*name) || *name == '-' || *name == '_';

		if (end - at < (is_plain ? 2 : 4))
			return NULL;
		at += is_plain ? snprintf(at, 2, "%c", *name)
			       : snprintf(at, 4, "=%02X", (unsigned char)*name);
	}
	return at;
}

int nats_api_name(char ret[static NATS_NAME_MAX], const char *site, const char *handler,
	const char *group, const char *from)
{
	const char *const parts[] = {"mcastd", site, handler, group, from};
	const char *end = ret + NATS_NAME_MAX;
	char *at = ret;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && parts[i]; i++) {
		if (i && end - at < 2)
			return -ENAMETOOLONG;
		if (i)
			*at++ = '+';
		at = append_name(at, end, parts[i]);
		if (!at)
			return -ENAMETOOLONG;
	}
	*at = '\0';
	return 0;
}
