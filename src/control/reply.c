/* Answers to the request at hand. */
#include <string.h>

#include "control/client_state.h"

char client_terminator(const struct client *client)
{
	return client->terminator;
}

void client_set_oneway(struct client *client, bool oneway)
{
	client->oneway = oneway;
}

bool client_is_oneway(const struct client *client)
{
	return client->oneway;
}

/* Without memory for an answer, none is better than half. */
static void end_answer(struct client *client)
{
	text_append(&client->output.text, &client->terminator, 1);
	if (outbox_end(&client->output) < 0)
		client->state = CLIENT_CLOSING;
}

static void write_json(struct client *client, json_t *message)
{
	AUTO_FREE char *string = message ? json_dumps(message, JSON_COMPACT | JSON_PRESERVE_ORDER)
					 : NULL;

	json_decref(message);
	if (!string) {
		client->state = CLIENT_CLOSING;
		return;
	}
	text_append_string(outbox_begin(&client->output), string);
	end_answer(client);
}

void client_reply(struct client *client, json_t *parameters)
{
	if (client->oneway)
		json_decref(parameters);
	else
		write_json(client, json_pack("{so}", "parameters", parameters));
}

void client_fail(struct client *client, const char *error, json_t *parameters)
{
	if (client->oneway)
		json_decref(parameters);
	else
		write_json(client, json_pack("{ssso}", "error", error, "parameters", parameters));
}

struct text *client_begin_reply(struct client *client)
{
	struct text *text;

	if (client->oneway)
		return NULL;
	text = outbox_begin(&client->output);
	text_append_string(text, "{\"parameters\":");
	return text;
}

void client_end_reply(struct client *client)
{
	text_append(&client->output.text, "}", 1);
	end_answer(client);
}

static void end_pieces(struct client *client)
{
	struct answer *answer = take(client->answer);

	answer->free(answer);
}

/* Adds one piece. What has begun and cannot be ended is of no use: without memory the connection is
 * broken off. */
static void add_piece(struct client *client, bool first)
{
	struct text *text = outbox_begin(&client->output);
	bool last;

	if (first)
		text_append_string(text, "{\"parameters\":{");
	last = client->answer->next(client->answer, text);
	if (last) {
		text_append_string(text, "}}");
		text_append(text, &client->terminator, 1);
	}
	if (outbox_end(&client->output) < 0)
		client_break(client);
	if (last || client->output.broken)
		end_pieces(client);
}

void client_start_answer(struct client *client, struct answer *answer)
{
	client->answer = answer;
	if (client->oneway || client->output.broken)
		end_pieces(client);
	else
		add_piece(client, true);
}

void client_go_on(struct client *client)
{
	while (client->answer && client_has_room(client)) {
		add_piece(client, false);
		if (turns_over(&client->set->users.turns))
			break;
	}
}

void client_fail_message(struct client *client, const char *error, json_t *parameters)
{
	client->oneway = false;
	client_fail(client, error, parameters);
}
