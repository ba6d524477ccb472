/* Send: one datagram to a group. */
#include <errno.h>
#include <stdio.h>

#include "base/codec.h"
#include "control/method.h"

struct send_request {
	const char *group, *text, *base64, *interface;
	size_t text_size, base64_size;
	json_int_t ttl;
};

static int unpack(struct client *client, const struct call *call, struct send_request *ret)
{
	*ret = (struct send_request){.ttl = -1};
	if (method_unpack(client, call, "{ss,s?s%,s?s%,s?I,s?s}", "group", &ret->group, "text", &ret->text,
		    &ret->text_size, "base64", &ret->base64, &ret->base64_size, "ttl", &ret->ttl, "interface",
		    &ret->interface) < 0)
		return -EINVAL;
	if (!ret->text == !ret->base64) {
		method_invalid(client, "text", "give the payload as text or as base64, exactly one of them");
		return -EINVAL;
	}
	if (json_object_get(call->parameters, "ttl") && (ret->ttl < 0 || ret->ttl > 255)) {
		method_invalid(client, "ttl", "must be between 0 and 255");
		return -EINVAL;
	}
	return 0;
}

static void fail_send(struct client *client, int r, const char *why)
{
	client_fail(client, "io.mcastd.SendFailed", json_pack("{siss}", "errno", -r, "message", why));
}

static enum call_result send_payload(
	struct client *client, const struct send_request *request, const void *payload, size_t size)
{
	struct groups *groups = method_backend(client)->groups;
	struct group *group = groups_find(groups, request->group);
	struct send_options options = {.ttl = (int)request->ttl, .interface = request->interface};
	struct sender *busy = NULL;
	char why[WHY_MAX], reply[64];
	int r;

	if (!group) {
		method_no_such_group(client, request->group);
		return CALL_DONE;
	}
	if (size > DATAGRAM_MAX) {
		snprintf(why, sizeof(why), "the payload has %zu bytes, a datagram holds at most %d", size, DATAGRAM_MAX);
		client_fail(client, "io.mcastd.PayloadTooLarge",
			json_pack("{sIsiss}", "size", (json_int_t)size, "limit", DATAGRAM_MAX, "message", why));
		return CALL_DONE;
	}
	r = group_send(group, payload, size, &options, why, &busy);
	if (r == -EAGAIN) {
		client_wait(client, busy);
		return CALL_RETRY;
	}
	if (r < 0)
		fail_send(client, r, why);
	else /* made by hand: this answer is given some hundred thousand times a second */
		client_reply_raw(client, reply, (size_t)snprintf(reply, sizeof(reply), "{\"bytes\":%zu}", size), false);
	return CALL_DONE;
}

static enum call_result call_send(struct client *client, const struct call *call)
{
	AUTO_TEXT struct text payload = {0};
	struct send_request request;

	if (unpack(client, call, &request) < 0)
		return CALL_DONE;
	if (request.text)
		return send_payload(client, &request, request.text, request.text_size);
	if (text_append_base64_decoded(&payload, request.base64, request.base64_size) < 0) {
		method_invalid(client, "base64", "is not base64 (RFC 4648, with padding)");
		return CALL_DONE;
	}
	if (text_failed(&payload)) {
		fail_send(client, -ENOMEM, "out of memory");
		return CALL_DONE;
	}
	return send_payload(client, &request, payload.length ? payload.data : "", payload.length);
}

const struct method send_method = {.name = "io.mcastd.Send", .call = call_send};
