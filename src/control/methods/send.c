/* Send: one datagram to a group. */
#include <errno.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "control/method.h"
#include "control/quick_send.h"

struct send_request {
	const char *group, *interface;
	struct parameter_text text, base64;
	int64_t ttl; /* -1: the configured one */
};

static int read_request(struct client *client, const struct call *call, struct send_request *ret)
{
	struct send_request request = {.ttl = -1};
	const struct parameter rows[] = {
		{"group", PARAMETER_NAME, true, &request.group},
		{"text", PARAMETER_TEXT, false, &request.text},
		{"base64", PARAMETER_TEXT, false, &request.base64},
		{"ttl", PARAMETER_NUMBER, false, &request.ttl},
		{"interface", PARAMETER_NAME, false, &request.interface},
	};
	json_t *ttl;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return -EINVAL;
	if (!request.text.data == !request.base64.data) {
		method_invalid(client, "text",
			"give the payload as text or as base64, exactly one of them");
		return -EINVAL;
	}
	ttl = json_object_get(call->parameters, "ttl");
	if (json_is_integer(ttl) && (request.ttl < 0 || request.ttl > 255)) {
		method_invalid(client, "ttl", "must be between 0 and 255");
		return -EINVAL;
	}
	*ret = request;
	return 0;
}

static void fail_send(struct client *client, int r, const char *why)
{
	json_put_number(client_begin_error(client, "io.mcastd.SendFailed"), "errno", (uint64_t)-r);
	client_end_message(client, "%s", why);
}

static enum call_result send_to(struct client *client, struct group *group,
	const struct send_options *options, const void *payload, size_t size)
{
	struct unsent unsent;
	char why[WHY_MAX];
	int r = group_send(group, payload, size, options, &unsent);

	if (r == -EAGAIN) {
		client_wait(client, unsent.way->sender);
		return CALL_RETRY;
	}
	if (r < 0) {
		group_explain(group, r, &unsent, why);
		fail_send(client, r, why);
	} else {
		struct text *text = client_begin_reply(client);

		json_put_number(text, "bytes", size);
		if (unsent.stayed_here)
			json_put_true(text, "stayedHere");
		client_end(client);
	}
	return CALL_DONE;
}

static enum call_result send_payload(
	struct client *client, const struct send_request *request, const void *payload, size_t size)
{
	struct group *group = groups_find(method_backend(client)->groups, request->group);
	struct send_options options = {.ttl = (int)request->ttl, .interface = request->interface};
	struct text *text;
	unsigned max;

	if (!group) {
		method_no_such_group(client, request->group);
		return CALL_DONE;
	}
	if (!method_permits(client, group, ACCESS_SEND))
		return CALL_DONE;
	max = datagram_max(group->config->address.family);
	if (size > max) {
		text = client_begin_error(client, "io.mcastd.PayloadTooLarge");
		json_put_number(text, "size", size);
		json_put_number(text, "limit", max);
		client_end_message(client, "the payload has %zu bytes, a datagram holds at most %u",
			size, max);
		return CALL_DONE;
	}
	return send_to(client, group, &options, payload, size);
}

static enum call_result call_send(struct client *client, const struct call *call)
{
	AUTO_TEXT struct text payload = {0};
	struct send_request request;

	if (read_request(client, call, &request) < 0)
		return CALL_DONE;
	if (request.text.data)
		return send_payload(client, &request, request.text.data, request.text.size);
	if (text_append_base64_decoded(&payload, request.base64.data, request.base64.size) < 0) {
		method_invalid(client, "base64", "is not base64 (RFC 4648, with padding)");
		return CALL_DONE;
	}
	if (text_failed(&payload)) {
		fail_send(client, -ENOMEM, "out of memory");
		return CALL_DONE;
	}
	return send_payload(client, &request, payload.length ? payload.data : "", payload.length);
}

/* The group of that name, or NULL. */
static struct group *find_group(struct client *client, const struct scanned *name)
{
	char string[GROUP_NAME_MAX + 1];

	if (name->size > GROUP_NAME_MAX)
		return NULL;
	memcpy(string, name->data, name->size);
	string[name->size] = '\0';
	return groups_find(method_backend(client)->groups, string);
}

static bool send_quickly(
	struct client *client, const char *message, size_t size, enum call_result *ret)
{
	static const struct send_options configured = {.ttl = -1};
	AUTO_TEXT struct text decoded = {0};
	struct quick_send send;
	struct scanned *payload = &send.text;
	struct group *group;

	if (!quick_send_read(message, size, &send) || !(group = find_group(client, &send.group)))
		return false;
	if (send.base64.data) {
		if (text_append_base64_decoded(&decoded, send.base64.data, send.base64.size) < 0 ||
			text_failed(&decoded))
			return false;
		*payload = (struct scanned){decoded.data, decoded.length};
	}
	if (payload->size > datagram_max(group->config->address.family))
		return false;
	*ret = CALL_DONE;
	if (!method_permits(client, group, ACCESS_SEND))
		return true;
	*ret = send_to(
		client, group, &configured, payload->size ? payload->data : "", payload->size);
	return true;
}

const struct method send_method = {
	.name = "io.mcastd.Send", .acts = true, .call = call_send, .quick = send_quickly};
