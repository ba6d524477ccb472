#include "ctl/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/json.h"
#include "ctl/payload.h"

/* This much is gathered before it is written. */
#define UNSENT_MAX (64 * 1024)
#define UNWRITTEN_MAX (64 * 1024)

void sender_open(
	struct sender *sender, struct session *session, const json_t *parameters, const char *unit)
{
	*sender = (struct sender){.session = session, .unit = unit, .stop_fd = -1};
	text_append_value(&sender->head, parameters);
	if (sender->head.length)
		sender->head.length--; /* the closing brace */
	sender->code = session_connect(session);
}

void sender_clear(struct sender *sender)
{
	text_free(&sender->head);
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
	AUTO_TEXT struct text parameters = {0};
	int r = 0;

	payload_append_parameters(&parameters, &sender->head, data, size);
	client_request(client, "Send", parameters.data, parameters.length, false);
	sender->submitted++;
	if (text_failed(&parameters) || text_failed(&sender->head))
		r = -ENOMEM;
	else if (client_unsent(client) > UNSENT_MAX)
		r = client_flush(client);
	if (r < 0)
		lose(sender, r);
}

/* Takes one answer, waiting for it. */
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

/* Takes the answers that are there. */
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

/* How long from now, for ppoll(2). */
static struct timespec until(uint64_t deadline_ns)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t rest_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	return (struct timespec){
		.tv_sec = (time_t)(rest_ns / NS_PER_S), .tv_nsec = (long)(rest_ns % NS_PER_S)};
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
