#include "ctl/sender.h"

#include <errno.h>
#include <inttypes.h>

#include "ctl/payload.h"

/* Answers are written in pieces of about this size. */
#define UNWRITTEN_MAX (64 * 1024)

#define PREFIX_MAX 64

void sender_open(struct sender *sender, struct session *session, struct transmitter *transmitter,
	const char *unit)
{
	*sender = (struct sender){
		.session = session, .transmitter = transmitter, .unit = unit, .stop_fd = -1};
	sender->code = transmitter ? EXIT_DONE : session_connect(session);
}

bool sender_has_room(const struct sender *sender)
{
	return sender->submitted - sender->answered < SENDER_WINDOW;
}

static void lose(struct sender *sender, int error)
{
	sender->code = session_lost(sender->session, error);
}

/* Has the daemon send one. */
static void request(struct sender *sender, const void *data, size_t size)
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

/* "line 7: " for a message about the last answered one. */
static const char *prefix_of(const struct sender *sender, char prefix[static PREFIX_MAX])
{
	*prefix = '\0';
	if (sender->unit)
		snprintf(prefix, PREFIX_MAX, "%s %" PRIu64 ": ", sender->unit, sender->answered);
	return prefix;
}

static void bound_output(struct writer *writer)
{
	if (writer->out.length > UNWRITTEN_MAX)
		writer_flush(writer);
}

/* Without the daemon. The answer with --json is the one that the daemon would give. */
static void transmit(struct sender *sender, const void *data, size_t size)
{
	struct writer *writer = &sender->session->writer;
	char why[WHY_MAX], prefix[PREFIX_MAX];
	int r = transmitter_send(sender->transmitter, data, size, why);

	sender->answered = ++sender->submitted;
	if (r < 0) {
		sender->code = session_fail(
			sender->session, EXIT_REFUSED, "%s%s", prefix_of(sender, prefix), why);
		return;
	}
	sender->sent++;
	if (writer->json && !sender->silent)
		text_printf(&writer->out, "{\"bytes\":%zu}\n", size);
	bound_output(writer);
}

void sender_submit(struct sender *sender, const void *data, size_t size)
{
	if (sender->transmitter)
		transmit(sender, data, size);
	else
		request(sender, data, size);
}

/* Says once where what was sent has not left the daemon's host. */
static void note_stay(struct sender *sender, const json_t *answer)
{
	if (sender->stayed_here || !json_is_true(json_object_get(answer, "stayedHere")))
		return;
	sender->stayed_here = true;
	session_fail(sender->session, EXIT_DONE,
		"only this host receives it: no interface that the group sends on has a carrier");
}

/* Waits for one answer. */
static void take_answer(struct sender *sender)
{
	AUTO_REPLY struct reply reply = {0};
	struct writer *writer = &sender->session->writer;
	char prefix[PREFIX_MAX];
	int r = client_receive(sender->session->client, &reply);

	if (r < 0) {
		lose(sender, r);
		return;
	}
	sender->answered++;
	if (reply.error) {
		sender->code = session_refused(sender->session, &reply, prefix_of(sender, prefix));
	} else {
		sender->sent++;
		note_stay(sender, reply.parameters);
		if (writer->json && !sender->silent)
			writer_value(writer, reply.parameters);
	}
	bound_output(writer);
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

static void wait_for_answers(struct sender *sender, uint64_t deadline_ns, int other_fd)
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

/* The same without the daemon. */
static void wait_alone(struct sender *sender, uint64_t deadline_ns, int other_fd)
{
	struct pollfd fds[] = {
		{.fd = other_fd, .events = POLLIN}, {.fd = sender->stop_fd, .events = POLLIN}};

	if (writer_flush(&sender->session->writer) < 0)
		return;
	while (poll_until(fds, ARRAY_SIZE(fds), deadline_ns) == -EINTR)
		;
}

void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd)
{
	if (sender->transmitter)
		wait_alone(sender, deadline_ns, other_fd);
	else
		wait_for_answers(sender, deadline_ns, other_fd);
}
