#include "ctl/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "base/clock.h"
#include "ctl/payload.h"

/* Requests and answers are written in pieces of about this size. */
#define UNSENT_MAX (64 * 1024)
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
	struct client *client = sender->session->client;
	struct text *parameters = &sender->session->parameters;
	size_t length = parameters->length;
	int r;

	payload_put(parameters, data, size);
	client_request(client, "Send", parameters, false);
	parameters->length = length;
	sender->submitted++;
	r = client_unsent(client) > UNSENT_MAX ? client_flush(client) : 0;
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

/* The time from now, for ppoll(2). */
static struct timespec until(uint64_t deadline_ns)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	return ns_timespec(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
}

void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd)
{
	struct client *client = sender->session->client;
	int r = client_flush(client), ready = 1;

	while (r == 0 && !sender->code && ready) {
		struct pollfd fds[] = {{.fd = client_fd(client), .events = POLLIN},
			{.fd = other_fd, .events = POLLIN},
			{.fd = sender->stop_fd, .events = POLLIN}};
		struct timespec timeout;

		take_ready(sender);
		if (sender->code || writer_flush(&sender->session->writer) < 0)
			return;
		timeout = until(deadline_ns);
		ready = ppoll(
			fds, ARRAY_SIZE(fds), deadline_ns == UINT64_MAX ? NULL : &timeout, NULL);
		if (ready < 0 && errno != EINTR)
			r = -errno;
		else if (ready > 0 && fds[0].revents)
			r = client_fill(client);
		if (ready > 0 && (fds[1].revents || fds[2].revents))
			break;
	}
	if (r == 0)
		take_ready(sender);
	else if (!sender->code)
		lose(sender, r);
}
