#include "ctl/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "ctl/payload.h"

/* Answers are written in pieces of about this size. */
#define UNWRITTEN_MAX (64 * 1024)

void sender_open_all(struct sender *sender, struct session *session,
	struct destination *destinations, size_t count, const char *unit)
{
	*sender = (struct sender){.session = session,
		.destinations = destinations,
		.count = count,
		.is_alone = destinations->transmitter,
		.unit = unit,
		.stop_fd = -1};
	sender->code = sender->is_alone ? EXIT_DONE : session_connect(session);
}

void sender_open(struct sender *sender, struct session *session, struct transmitter *transmitter,
	const char *unit)
{
	struct destination only = {.transmitter = transmitter, .parameters = &session->parameters};

	sender_open_all(sender, session, &only, 1, unit);
	sender->only = only;
	sender->destinations = &sender->only;
}

static size_t unanswered(const struct sender *sender)
{
	return (size_t)(sender->asked - sender->answered);
}

bool sender_has_room(const struct sender *sender)
{
	return unanswered(sender) + sender->count <= SENDER_WINDOW;
}

/* Of the connection to the daemon. */
static void lose(struct sender *sender, int error)
{
	sender->code = session_lost(sender->session, error);
}

/* Has the daemon send one. */
static void request(
	struct sender *sender, struct destination *destination, const void *data, size_t size)
{
	struct text *parameters = destination->parameters;
	size_t length = parameters->length, i = sender->asked++ % SENDER_WINDOW;
	int r;

	payload_put(parameters, data, size);
	r = client_request(sender->session->client, "Send", parameters, false);
	parameters->length = length;
	sender->waiting[i].destination = destination;
	sender->waiting[i].number = sender->submitted;
	sender->waiting[i].size = size;
	if (r < 0)
		lose(sender, r);
}

/* "news: line 7: " for a message about that one. */
static const char *prefix_of(const struct sender *sender, const struct destination *destination,
	uint64_t number, struct text *prefix)
{
	if (destination->name)
		text_printf(prefix, "%s: ", destination->name);
	if (sender->unit)
		text_printf(prefix, "%s %" PRIu64 ": ", sender->unit, number);
	return text_string(prefix);
}

/* The destination gets no more, and after the last one's end the run is over. */
static void fail(struct sender *sender, struct destination *destination)
{
	bool is_over = true;

	destination->code = EXIT_REFUSED;
	for (size_t i = 0; i < sender->count; i++)
		is_over &= sender->destinations[i].code != EXIT_DONE;
	if (is_over)
		sender->code = EXIT_REFUSED;
}

static enum refusal refusal_of(int error)
{
	switch (error) {
	case EMSGSIZE:
		return REFUSED_SIZE;
	case ENOBUFS:
		return REFUSED_BUSY;
	default:
		return REFUSED_NETWORK;
	}
}

/* Decides what a refusal means. Returns whether it is to be said. */
static bool take_refusal(
	struct sender *sender, struct destination *destination, enum refusal refusal)
{
	enum refusal_answer answer;

	if (!sender->on_refusal) {
		if (destination->code)
			return false; /* of what was under way when it failed */
		fail(sender, destination);
		return true;
	}
	answer = sender->on_refusal(sender->context, destination, refusal);
	if (answer == REFUSAL_ENDS_RUN)
		sender->code = EXIT_REFUSED;
	return answer != REFUSAL_IS_SILENT;
}

static void count_sent(struct sender *sender, struct destination *destination, size_t size)
{
	sender->sent++;
	sender->sent_bytes += size;
	destination->sent++;
}

static void bound_output(struct writer *writer)
{
	if (writer->out.length > UNWRITTEN_MAX)
		writer_flush(writer);
}

/* Without the daemon. The answer with --json is the one that the daemon would give. */
static void transmit(
	struct sender *sender, struct destination *destination, const void *data, size_t size)
{
	struct writer *writer = &sender->session->writer;
	AUTO_TEXT struct text prefix = {0};
	char why[WHY_MAX];
	int r = transmitter_send(destination->transmitter, data, size, why);

	if (r < 0) {
		if (take_refusal(sender, destination, refusal_of(-r)))
			session_fail(sender->session, EXIT_REFUSED, "%s%s",
				prefix_of(sender, destination, sender->submitted, &prefix), why);
		return;
	}
	count_sent(sender, destination, size);
	if (!writer->json || sender->silent)
		return;
	json_put_open(&writer->out, NULL, '{');
	json_put_number(&writer->out, "bytes", size);
	if (destination->name)
		json_put_string(&writer->out, "group", destination->name);
	json_put_close(&writer->out, '}');
	text_append(&writer->out, "\n", 1);
	bound_output(writer);
}

static void give(
	struct sender *sender, struct destination *destination, const void *data, size_t size)
{
	if (destination->transmitter)
		transmit(sender, destination, data, size);
	else
		request(sender, destination, data, size);
}

void sender_submit(struct sender *sender, const void *data, size_t size)
{
	sender->submitted++;
	for (size_t i = 0; i < sender->count && !sender->code; i++)
		if (!sender->destinations[i].code)
			give(sender, &sender->destinations[i], data, size);
}

void sender_submit_to(
	struct sender *sender, struct destination *destination, const void *data, size_t size)
{
	sender->submitted++;
	give(sender, destination, data, size);
}

/* Says once where what was sent has not left the daemon's host. */
static void note_stay(
	const struct sender *sender, struct destination *destination, const json_t *answer)
{
	const char *name = destination->name;

	if (destination->stayed_here || !json_is_true(json_object_get(answer, "stayedHere")))
		return;
	destination->stayed_here = true;
	session_fail(sender->session, EXIT_DONE,
		"%s%sonly this host receives it: no interface that the group sends on has a "
		"carrier",
		name ? name : "", name ? ": " : "");
}

static void show_answer(
	struct writer *writer, const struct destination *destination, const struct reply *reply)
{
	json_t *answer = json_object_get(reply->message, "parameters");

	if (destination->name)
		json_object_set_new(answer, "group", json_string(destination->name));
	writer_value(writer, answer);
}

/* What the daemon's refusal of one means. */
static enum refusal refusal_in(const struct reply *reply)
{
	if (!strcmp(reply->error, "io.mcastd.PayloadTooLarge"))
		return REFUSED_SIZE;
	if (strcmp(reply->error, "io.mcastd.SendFailed") != 0)
		return REFUSED_GROUP;
	return refusal_of((int)json_integer_value(json_object_get(reply->parameters, "errno")));
}

/* Waits for one answer. */
static void take_answer(struct sender *sender)
{
	AUTO_REPLY struct reply reply = {0};
	AUTO_TEXT struct text prefix = {0};
	struct writer *writer = &sender->session->writer;
	size_t i = sender->answered % SENDER_WINDOW;
	struct destination *destination = sender->waiting[i].destination;
	int r = client_receive(sender->session->client, &reply);

	if (r < 0) {
		lose(sender, r);
		return;
	}
	sender->answered++;
	if (!reply.error) {
		count_sent(sender, destination, sender->waiting[i].size);
		note_stay(sender, destination, reply.parameters);
		if (writer->json && !sender->silent)
			show_answer(writer, destination, &reply);
	} else if (take_refusal(sender, destination, refusal_in(&reply))) {
		session_refused(sender->session, &reply,
			prefix_of(sender, destination, sender->waiting[i].number, &prefix));
	}
	bound_output(writer);
}

/* Takes the answers that have arrived. */
static void take_ready(struct sender *sender)
{
	while (!sender->code && unanswered(sender) && client_ready(sender->session->client))
		take_answer(sender);
}

void sender_wait_for_room(struct sender *sender)
{
	while (!sender->code && !sender_has_room(sender)) {
		take_answer(sender);
		take_ready(sender);
	}
}

void sender_wait_for_all(struct sender *sender)
{
	while (!sender->code && unanswered(sender))
		take_answer(sender);
}

void sender_finish(struct sender *sender)
{
	sender_wait_for_all(sender);
	for (size_t i = 0; i < sender->count && !sender->code; i++)
		sender->code = sender->destinations[i].code;
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
	if (sender->is_alone)
		wait_alone(sender, deadline_ns, other_fd);
	else
		wait_for_answers(sender, deadline_ns, other_fd);
}
