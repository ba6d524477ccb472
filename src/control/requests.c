/* The requests of one client, out of what it has written. */
#include <string.h>

#include "control/client_state.h"

/* In its turn a client is served so many messages at most, or what gives so much output. */
#define MESSAGES_A_TURN 64
#define OUTPUT_A_TURN (64 * 1024)

static enum call_result handle(
	struct client *client, enum frame_result result, const struct frame *frame)
{
	client->terminator = frame->terminator;
	client->oneway = false;
	if (result == FRAME_MESSAGE)
		return client->set->dispatch(client, frame->message, frame->length);
	client_fail_message(client, "io.mcastd.MessageTooLarge",
		json_pack("{siss}", "limit", MESSAGE_MAX, "message",
			"a message has at most 131072 bytes, this one was passed over"));
	return CALL_DONE;
}

bool client_has_room(const struct client *client)
{
	size_t size = client->output.size;

	return size == 0 || (size < OUTPUT_MAX && !user_holds_too_much(client->user));
}

bool client_is_open(const struct client *client)
{
	return client->state != CLIENT_CLOSING && !client->stream && !client->answer &&
	       !link_is_used(&client->waiter.link) && client_has_room(client);
}

static bool may_go_on(const struct client *client, unsigned messages, size_t output)
{
	return messages < MESSAGES_A_TURN && client->output.size < output + OUTPUT_A_TURN &&
	       (messages == 0 || !turns_over(&client->set->users.turns));
}

/* Looks at the requests that have come in, as many as there is time for. Returns how many bytes are
 * done with. */
static size_t handle_messages(struct client *client)
{
	const char *data = client->input.data ? client->input.data : "";
	size_t size = client->input.length, used = 0, output = client->output.size;

	client->looked = false;
	for (unsigned messages = 0; client_is_open(client) && may_go_on(client, messages, output);
		messages++) {
		struct framing before = client->framing;
		enum frame_result result;
		struct frame frame;

		result = (client->state == CLIENT_ENDED ? framing_end : framing_next)(
			&client->framing, data + used, size - used, &frame);
		if (result == FRAME_INCOMPLETE) {
			client->looked = true;
			return used + frame.consumed;
		}
		if (handle(client, result, &frame) == CALL_RETRY) {
			client->framing = before;
			return used;
		}
		used += frame.consumed;
	}
	return used;
}

static void remove_input(struct client *client, size_t size)
{
	struct text *input = &client->input;

	input->length -= size;
	if (input->length)
		memmove(input->data, input->data + size, input->length);
	else
		text_free(input);
}

void client_look(struct client *client)
{
	size_t used = handle_messages(client);
	bool unfinished;

	remove_input(client, used);
	if (client->stream) {
		text_free(&client->input);
		client_set_timer(client, false, 0);
		return;
	}
	unfinished = client->looked && client->state == CLIENT_OPEN &&
		     (client->input.length || client->framing.discarding);
	if (used)
		client_set_timer(client, false, 0); /* what is unfinished now has only begun */
	client_set_timer(client, unfinished, MESSAGE_SECONDS);
}
