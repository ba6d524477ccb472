#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "ctl/command.h"
#include "ctl/payload.h"
#include "ctl/sender.h"
#include "ctl/targets.h"

enum {
	SEND_FILE,
	SEND_HEX,
	SEND_LINES,
	SEND_TTL,
	SEND_INTERFACE,
	SEND_SOURCE,
	SEND_COUNT,
	SEND_INTERVAL
};

static const struct option_row options[] = {
	[SEND_FILE] = {"file", 0, OPTION_STRING, "FILE", "Send the contents of FILE"},
	[SEND_HEX] = {"hex", 0, OPTION_STRING, "HEX",
		"Send bytes that are given in hexadecimal, like 'de:ad be ef'"},
	[SEND_LINES] = {"lines", 0, OPTION_FLAG, NULL,
		"Send each line of standard input as a datagram, without its line feed"},
	[SEND_TTL] = {"ttl", 0, OPTION_NUMBER, "N",
		"IP TTL or hop limit; default: the group's; of a target: 1", .max = 255},
	[SEND_INTERFACE] = {"interface", 0, OPTION_LIST, "NAME",
		"Send on this interface; default: the group's; of a target: the kernel's route"},
	[SEND_SOURCE] = {"source", 0, OPTION_STRING, "ADDRESS",
		"Send from this address of this host; for a target"},
	[SEND_COUNT] = {"count", 0, OPTION_NUMBER, "N", "Send it N times", .min = 1,
		.max = INT64_MAX},
	[SEND_INTERVAL] = {"interval", 0, OPTION_DURATION, "TIME",
		"Repeat every TIME, like 250ms, until interrupted or --count is reached"},
	{0},
};

#define TOO_LARGE "a datagram holds at most %d bytes"

/* Reads a file, or standard input. Returns an exit code. */
static int read_payload(
	const struct session *session, const struct arguments *arguments, struct text *ret)
{
	const char *path = arguments->options[SEND_FILE].string;
	AUTO_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	const char *name = path ? path : "standard input";
	int r = path && fd < 0 ? -errno : payload_read(path ? fd : STDIN_FILENO, ret);

	if (r == -EFBIG)
		return session_fail(session, EXIT_REFUSED, "%s: " TOO_LARGE, name, DATAGRAM_MAX);
	if (r < 0)
		return session_fail(session, EXIT_REFUSED, "%s: %s", name, strerror(-r));
	/* Usually a mistake, such as a pipe from a program that failed. */
	if (!path && !ret->length)
		return session_fail(session, EXIT_REFUSED,
			"standard input is empty, nothing was sent; for an empty datagram: "
			"mcastctl send %s ''",
			arguments->words[0]);
	return EXIT_DONE;
}

static int get_payload(
	const struct session *session, const struct arguments *arguments, struct text *ret)
{
	const char *hex = arguments->options[SEND_HEX].string;

	if (arguments->word_count > 1)
		text_append_string(ret, arguments->words[1]);
	else if (!hex)
		return read_payload(session, arguments, ret);
	else if (text_append_hex_decoded(ret, hex, strlen(hex)) < 0)
		return session_fail(session, EXIT_MISUSED,
			"--hex: '%s' is not pairs of hexadecimal digits", hex);
	return EXIT_DONE;
}

/* The times lie on an absolute clock, so that the time that sending takes does not add up. */
static void send_repeatedly(
	struct sender *sender, const struct arguments *arguments, const struct text *payload)
{
	uint64_t interval_ns = arguments->options[SEND_INTERVAL].number;
	uint64_t slot_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t count = arguments->options[SEND_COUNT].number;

	if (!count)
		count = arguments->options[SEND_INTERVAL].given ? UINT64_MAX : 1;
	for (uint64_t i = 0; i < count && !sender->code && !sender->session->writer.error; i++) {
		if (i && interval_ns)
			sender_wait_until(sender, slot_ns += interval_ns, -1);
		sender_wait_for_room(sender);
		if (!sender->code)
			sender_submit(sender, payload->data, payload->length);
	}
}

/* Submits complete lines while there is room; at the end of input the last one needs no line feed.
 * Returns the number of bytes of input that were used. */
static size_t submit_lines(struct sender *sender, const struct text *input, bool ended)
{
	size_t taken = 0;

	while (taken < input->length && sender_has_room(sender) && !sender->code) {
		const char *line = input->data + taken;
		size_t rest = input->length - taken;
		const char *end = memchr(line, '\n', rest);
		size_t length = end ? (size_t)(end - line) : rest;

		if (length > DATAGRAM_MAX) {
			sender_finish(sender); /* a refusal of an earlier line comes first */
			if (!sender->code)
				session_fail(sender->session, EXIT_REFUSED,
					"line %" PRIu64 ": " TOO_LARGE, sender->submitted + 1,
					DATAGRAM_MAX);
			sender->code = EXIT_REFUSED;
		} else if (!end && !ended) {
			break;
		} else {
			sender_submit(sender, line, length);
			taken += length + (end != NULL);
		}
	}
	return taken;
}

static void send_lines(struct sender *sender)
{
	AUTO_TEXT struct text input = {0};
	int more = 1;

	while (!sender->code && !sender->session->writer.error) {
		size_t taken = submit_lines(sender, &input, more == 0);

		if (taken) {
			input.length -= taken;
			memmove(input.data, input.data + taken, input.length);
		}
		if (sender->code || (more == 0 && !input.length))
			break;
		if (!sender_has_room(sender)) {
			sender_wait_for_room(sender);
			continue;
		}
		sender_wait_until(sender, UINT64_MAX, STDIN_FILENO);
		if (!sender->code)
			more = payload_read_some(STDIN_FILENO, &input);
		if (more >= 0)
			continue;
		sender->code = session_fail(
			sender->session, EXIT_REFUSED, "standard input: %s", strerror(-more));
	}
}

static int check_usage(const struct session *session, const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;
	int payloads = (arguments->word_count > 1) + given[SEND_FILE].given +
		       given[SEND_HEX].given + given[SEND_LINES].given;
	bool repeats = given[SEND_COUNT].given || given[SEND_INTERVAL].given;

	if (payloads > 1)
		return session_fail(
			session, EXIT_MISUSED, "give only one of TEXT, --file, --hex and --lines");
	if (given[SEND_LINES].given && repeats)
		return session_fail(session, EXIT_MISUSED,
			"--lines cannot be combined with --count or --interval");
	if (given[SEND_INTERVAL].given && !given[SEND_INTERVAL].number && !given[SEND_COUNT].given)
		return session_fail(session, EXIT_MISUSED, "an --interval of 0 needs a --count");
	return EXIT_DONE;
}

/* What to call one of several payloads in a message; NULL: there is only one. */
static const char *unit_name(const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;

	if (given[SEND_LINES].given)
		return "line";
	return given[SEND_COUNT].given || given[SEND_INTERVAL].given ? "datagram" : NULL;
}

/* Sends with the daemon's help, or without where transmitter is not NULL. Returns an exit code. */
static int send_all(
	struct session *session, const struct arguments *arguments, struct transmitter *transmitter)
{
	AUTO_TEXT struct text payload = {0};
	struct sender sender;
	bool lines = arguments->options[SEND_LINES].given;
	int code = lines ? EXIT_DONE : get_payload(session, arguments, &payload);

	if (code)
		return code;
	sender_open(&sender, session, transmitter, unit_name(arguments));
	if (lines)
		send_lines(&sender);
	else
		send_repeatedly(&sender, arguments, &payload);
	sender_finish(&sender);
	return sender.code;
}

static int send_to_target(
	struct session *session, const struct arguments *arguments, struct target *target)
{
	const struct option_value *values = arguments->options;
	const struct option_value *interface = &values[SEND_INTERFACE];
	struct transmitter_options options = {.source_key = "--source",
		.ttl = values[SEND_TTL].given ? (int)values[SEND_TTL].number : -1};
	struct transmitter transmitter = NO_TRANSMITTER;
	int code;

	if (interface->given && target->interface && strcmp(interface->string, target->interface))
		return session_fail(session, EXIT_MISUSED,
			"the target says interface '%s', and --interface '%s'", target->interface,
			interface->string);
	code = target_take_interface(session, target, interface);
	if (!code)
		code = target_take_sources(
			session, target, &values[SEND_SOURCE].string, values[SEND_SOURCE].given);
	if (!code)
		code = transmitter_open(&transmitter, session, target, &options);
	if (!code)
		code = send_all(session, arguments, &transmitter);
	transmitter_close(&transmitter);
	return code;
}

static int send_to_group(struct session *session, const struct arguments *arguments)
{
	const struct option_value *ttl = &arguments->options[SEND_TTL];

	if (arguments->options[SEND_SOURCE].given)
		return session_fail(session, EXIT_MISUSED,
			"'%s' is a group of mcastd, which has its source_address: --source is for "
			"a target",
			arguments->words[0]);
	if (arguments->options[SEND_INTERFACE].count > 1)
		return session_fail(session, EXIT_MISUSED, "--interface is given twice");
	session_put_name(session, "group", arguments->words[0]);
	if (ttl->given)
		json_put_number(&session->parameters, "ttl", ttl->number);
	session_put_name(session, "interface", arguments->options[SEND_INTERFACE].string);
	return send_all(session, arguments, NULL);
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_TARGETS struct targets targets = {0};
	int code = check_usage(session, arguments);

	if (!code)
		code = targets_read(session, arguments->words, 1, &targets);
	if (code)
		return code;
	return targets.count ? send_to_target(session, arguments, targets.items)
			     : send_to_group(session, arguments);
}

const struct command send_command = {
	.name = "send",
	.arguments = "GROUP|TARGET [TEXT]",
	.words_min = 1,
	.words_max = 2,
	.help = "Send a datagram: TEXT, or all of standard input",
	.options = options,
	.run = run,
};
