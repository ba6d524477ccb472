#include "ctl/sender.h"

#include <inttypes.h>

#include "ctl/payload.h"

/* Answers are written in pieces of about this size. */
#define UNWRITTEN_MAX (64 * 1024)

void sender_open(struct sender *sender, struct session *session, const char *unit)
{
	*sender = (struct sender){.session = session, .unit = unit, .stop_fd = -1};
	sender->code = session_connect(session);
}

bool sender_has_room(const struct sender *sender)
{
	return sender->submitted - sender->answered < SENDER_WINDOW;
}

static void lose(struct sender *sender, int error)
{
	sender->code = session_lost(sender->session, error);
}

void sender_submit(struct sender *sender, const void *data, size_t size)
{
	struct text *parameters = &sender->session->parameters;
	size_t length = parameters->length;
	int r;

	payload_put(parameters, data, size);
	r = client_request(sender->session->client, "Send", parameters, false);
	parameters->length = length;
	sender->submitted++;
	if (r < 0)
		lose(sender, r);
}

/* Waits for one answer. */
static void take_answer(struct sender *sender)
{
	AUTO_REPLY struct reply reply = {0};
	struct writer *writer = &sender->session->writer;
	char prefix[64] = "";
	int r = client_receive(sender->session->client, &reply);

	if (r < 0) {
		lose(sender, r);
		return;
	}
	sender->answered++;
	if (reply.error) {
		if (sender->unit)
			snprintf(prefix, sizeof(prefix), "%s %" PRIu64 ": ", sender->unit,
				sender->answered);
		sender->code = session_refused(sender->session, &reply, prefix);
	} else {
		sender->sent++;
		if (writer->json && !sender->silent)
			writer_value(writer, reply.parameters);
	}
	if (writer->out.length > UNWRITTEN_MAX)
		writer_flush(writer);
}

/* Takes the answers that have arrived. */
static void take_ready(struct sender *sender)
{
	while (!sender->code && sender->answered < sender->submitted &&
		client_ready(sender->session->client))
		take_answer(sender);
}

void sender_wait_for_room(struct sender *sender)
{
	while (!sender->code && !sender_has_room(sender)) {
		take_answer(sender);
		take_ready(sender);
	}
}

void sender_finish(struct sender *sender)
{
	while (!sender->code && sender->answered < sender->submitted)
		take_answer(sender);
}

void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd)
{
	struct client *client = sender->session->client;
	int r = client_flush(client);
	bool waiting = r == 0;

	while (waiting && !sender->code) {
		struct pollfd fds[] = {{0}, {.fd = other_fd, .events = POLLIN},
			{.fd = sender->stop_fd, .events = POLLIN}};

		take_ready(sender);
		if (sender->code || writer_flush(&sender->session->writer) < 0)
			return;
		r = client_wait(client, fds, ARRAY_SIZE(fds), deadline_ns);
		waiting = r > 0 && !fds[1].revents && !fds[2].revents;
	}
	if (r < 0 && !sender->code)
		lose(sender, r);
	else
		take_ready(sender);
}
