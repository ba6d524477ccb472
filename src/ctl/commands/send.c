#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

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
	SEND_CRLF,
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
		"Send each line of standard input as a datagram: without its LF, but with its CR "
		"LF"},
	[SEND_CRLF] = {"crlf", 0, OPTION_FLAG, NULL,
		"End each of the --lines, or TEXT, with CR LF, as NMEA 0183 has it"},
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

#define CRLF "\r\n"
#define TOO_LARGE "a datagram holds at most %d bytes, and %d with IPv4"

/* Whether a word, or the name of a file, stands for standard input. */
static bool is_input(const char *word)
{
	return !strcmp(word, "-");
}

/* TEXT; NULL: there is none, and what is sent comes from somewhere else. */
static const char *given_text(const struct arguments *arguments)
{
	const char *word = arguments->word_count > 1 ? arguments->words[1] : NULL;

	return word && !is_input(word) ? word : NULL;
}

/* Reads a file, or standard input. Returns an exit code. */
static int read_payload(
	const struct session *session, const struct arguments *arguments, struct text *ret)
{
	const char *file = arguments->options[SEND_FILE].string;
	const char *path = file && !is_input(file) ? file : NULL;
	AUTO_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	const char *name = path ? path : "standard input";
	int r = path && fd < 0 ? -errno : payload_read(path ? fd : STDIN_FILENO, ret);

	if (r == -EFBIG)
		return session_fail(session, EXIT_REFUSED, "%s: " TOO_LARGE, name, DATAGRAM_MAX,
			DATAGRAM_MAX_V4);
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

/* Appends a line; with crlf it ends in CR LF, whatever it ended in. */
static void put_line(struct text *text, const char *line, size_t length, bool crlf)
{
	if (crlf && length && line[length - 1] == '\n')
		length--;
	if (crlf && length && line[length - 1] == '\r')
		length--;
	text_append(text, line, length);
	text_append_string(text, crlf ? CRLF : "");
}

static int get_payload(
	const struct session *session, const struct arguments *arguments, struct text *ret)
{
	const char *given = arguments->options[SEND_HEX].string;
	const char *hex = given && !strncasecmp(given, "0x", 2) ? given + 2 : given;
	const char *text = given_text(arguments);

	if (text)
		put_line(ret, text, strlen(text), arguments->options[SEND_CRLF].given);
	else if (!hex)
		return read_payload(session, arguments, ret);
	else if (text_append_hex_decoded(ret, hex, strlen(hex)) < 0)
		return session_fail(session, EXIT_MISUSED,
			"--hex: '%s' is not pairs of hexadecimal digits", given);
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

/* Standard input that is sent line by line. */
struct lines {
	struct sender *sender;
	bool crlf; /* each is sent with CR LF, whatever it ends in */
	struct text input; /* what is not sent yet */
	struct text line; /* scratch */
};

/* Submits a line of input, which ended in LF or with the input itself. A CR LF is part of what is
 * sent: protocols whose lines end in it have it on the wire, too. */
static void submit_line(struct lines *lines, const char *line, size_t length, bool ended_in_lf)
{
	struct sender *sender = lines->sender;

	text_clear(&lines->line);
	if (!lines->crlf && ended_in_lf && length && line[length - 1] == '\r')
		length++;
	put_line(&lines->line, line, length, lines->crlf);
	if (text_failed(&lines->line)) {
		sender->code = session_fail(sender->session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	} else if (lines->line.length > DATAGRAM_MAX) {
		sender_wait_for_all(sender); /* a refusal of an earlier line comes first */
		if (!sender->code)
			session_fail(sender->session, EXIT_REFUSED, "line %" PRIu64 ": " TOO_LARGE,
				sender->submitted + 1, DATAGRAM_MAX, DATAGRAM_MAX_V4);
		sender->code = EXIT_REFUSED;
	} else {
		sender_submit(sender, lines->line.data, lines->line.length);
	}
}

/* Submits complete lines while there is room; at the end of input the last one needs no line feed.
 * Returns the number of bytes of input that were used. */
static size_t submit_lines(struct lines *lines, bool ended)
{
	const struct text *input = &lines->input;
	size_t taken = 0;

	while (taken < input->length && sender_has_room(lines->sender) && !lines->sender->code) {
		const char *line = input->data + taken;
		size_t rest = input->length - taken;
		const char *end = memchr(line, '\n', rest);
		size_t length = end ? (size_t)(end - line) : rest;

		if (!end && !ended && length <= DATAGRAM_MAX + strlen(CRLF))
			break;
		submit_line(lines, line, length, end);
		taken += length + (end != NULL);
	}
	return taken;
}

static void send_input(struct lines *lines)
{
	struct sender *sender = lines->sender;
	struct text *input = &lines->input;
	int more = 1;

	while (!sender->code && !sender->session->writer.error) {
		size_t taken = submit_lines(lines, more == 0);

		if (taken) {
			input->length -= taken;
			memmove(input->data, input->data + taken, input->length);
		}
		if (sender->code || (more == 0 && !input->length))
			break;
		if (!sender_has_room(sender)) {
			sender_wait_for_room(sender);
			continue;
		}
		sender_wait_until(sender, UINT64_MAX, STDIN_FILENO);
		if (!sender->code)
			more = payload_read_some(STDIN_FILENO, input);
		if (more >= 0)
			continue;
		sender->code = session_fail(
			sender->session, EXIT_REFUSED, "standard input: %s", strerror(-more));
	}
}

/* No line is no failure: a program in front may have found none. */
static void send_lines(struct sender *sender, bool crlf)
{
	struct lines lines = {.sender = sender, .crlf = crlf};

	send_input(&lines);
	if (!sender->submitted && !sender->code)
		session_fail(
			sender->session, EXIT_DONE, "standard input is empty, nothing was sent");
	text_free(&lines.input);
	text_free(&lines.line);
}

static int check_usage(const struct session *session, const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;
	const char *text = given_text(arguments);
	bool has_word = arguments->word_count > 1 && (text || !given[SEND_LINES].given);
	int payloads = has_word + given[SEND_FILE].given + given[SEND_HEX].given +
		       given[SEND_LINES].given;
	bool repeats = given[SEND_COUNT].given || given[SEND_INTERVAL].given;

	if (payloads > 1)
		return session_fail(
			session, EXIT_MISUSED, "give only one of TEXT, --file, --hex and --lines");
	if (given[SEND_CRLF].given && !given[SEND_LINES].given && !text)
		return session_fail(session, EXIT_MISUSED,
			"--crlf is for --lines and TEXT: what else is sent stays as it is");
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

/* Where some of several destinations failed: which did not. */
static void tell_others(const struct sender *sender)
{
	AUTO_TEXT struct text names = {0};
	size_t count = 0;

	for (size_t i = 0; i < sender->count; i++) {
		const struct destination *destination = &sender->destinations[i];

		if (destination->code)
			continue;
		text_printf(&names, "%s%s", count ? ", " : "", destination->name);
		count++;
	}
	if (count && count < sender->count)
		session_fail(sender->session, EXIT_DONE, "sent to %zu of %zu: %s", count,
			sender->count, text_string(&names));
}

/* Sends with the daemon's help, or without where the destinations have transmitters. Returns an
 * exit code. */
static int send_all(struct session *session, const struct arguments *arguments,
	struct destination *destinations, size_t count)
{
	AUTO_TEXT struct text payload = {0};
	struct sender sender;
	bool lines = arguments->options[SEND_LINES].given;
	int code = lines ? EXIT_DONE : get_payload(session, arguments, &payload);

	if (code)
		return code;
	sender_open_all(&sender, session, destinations, count, unit_name(arguments));
	if (lines)
		send_lines(&sender, arguments->options[SEND_CRLF].given);
	else
		send_repeatedly(&sender, arguments, &payload);
	sender_finish(&sender);
	tell_others(&sender);
	return sender.code;
}

/* What the options add to a target. Returns an exit code. */
static int add_options(
	struct session *session, const struct arguments *arguments, struct target *target)
{
	const struct option_value *interface = &arguments->options[SEND_INTERFACE];
	const struct option_value *source = &arguments->options[SEND_SOURCE];
	int code;

	if (interface->given && target->interface && strcmp(interface->string, target->interface))
		return session_fail(session, EXIT_MISUSED,
			"the target says interface '%s', and --interface '%s'", target->interface,
			interface->string);
	code = target_take_interface(session, target, interface);
	return code ? code : target_take_sources(session, target, &source->string, source->given);
}

/* Those that cannot be sent to are told of, and the others are. Returns an exit code. */
static int send_to_targets(
	struct session *session, const struct arguments *arguments, const struct targets *targets)
{
	const struct option_value *ttl = &arguments->options[SEND_TTL];
	struct transmitter_options options = {
		.source_key = "--source", .ttl = ttl->given ? (int)ttl->number : -1};
	AUTO_FREE struct transmitter *transmitters = calloc(targets->count, sizeof(*transmitters));
	struct destination destinations[DESTINATIONS_MAX] = {0};
	size_t opened = 0;
	int code = transmitters ? EXIT_DONE
				: session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));

	for (size_t i = 0; i < targets->count && !code; i++)
		code = add_options(session, arguments, &targets->items[i]);
	for (size_t i = 0; i < targets->count && !code; i++) {
		struct destination *destination = &destinations[i];

		transmitters[i] = (struct transmitter)NO_TRANSMITTER;
		*destination = (struct destination){
			.name = targets->count > 1 ? targets->items[i].name : NULL,
			.transmitter = &transmitters[i]};
		destination->code = transmitter_open(
			&transmitters[i], session, &targets->items[i], &options);
		opened += !destination->code;
	}
	if (!code)
		code = opened ? send_all(session, arguments, destinations, targets->count)
			      : destinations[0].code;
	for (size_t i = 0; i < targets->count && destinations[i].transmitter; i++)
		transmitter_close(&transmitters[i]);
	return code;
}

static int send_to_groups(
	struct session *session, const struct arguments *arguments, const struct names *names)
{
	const struct option_value *ttl = &arguments->options[SEND_TTL];
	struct destination destinations[DESTINATIONS_MAX] = {0};
	struct text parameters[DESTINATIONS_MAX] = {0};
	int code;

	if (arguments->options[SEND_SOURCE].given)
		return session_fail(session, EXIT_MISUSED,
			"'%s' is a group of mcastd, which has its source_address: --source is for "
			"a target",
			names->items[0]);
	if (arguments->options[SEND_INTERFACE].count > 1)
		return session_fail(session, EXIT_MISUSED, "--interface is given twice");
	for (size_t i = 0; i < names->count; i++) {
		session_put_name(session, "group", names->items[i]);
		if (ttl->given)
			json_put_number(&session->parameters, "ttl", ttl->number);
		session_put_name(session, "interface", arguments->options[SEND_INTERFACE].string);
		parameters[i] = session->parameters;
		session->parameters = (struct text){0};
		destinations[i] = (struct destination){
			.name = names->count > 1 ? names->items[i] : NULL,
			.parameters = &parameters[i]};
	}
	code = send_all(session, arguments, destinations, names->count);
	for (size_t i = 0; i < names->count; i++)
		text_free(&parameters[i]);
	return code;
}

/* Returns an exit code. */
static int check_names(const struct session *session, const struct names *names)
{
	if (names->count > DESTINATIONS_MAX)
		return session_fail(session, EXIT_MISUSED, "there are %zu names: at most %d",
			names->count, DESTINATIONS_MAX);
	for (size_t i = 0; i < names->count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(names->items[i], names->items[j]))
				return session_fail(session, EXIT_MISUSED, "'%s' is named twice",
					names->items[i]);
	return EXIT_DONE;
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_NAMES struct names names = {0};
	AUTO_TARGETS struct targets targets = {0};
	int code = check_usage(session, arguments);

	if (!code)
		code = names_split(session, arguments->words, 1, &names);
	if (!code)
		code = check_names(session, &names);
	if (!code)
		code = targets_read(
			session, (const char *const *)names.items, names.count, &targets);
	if (code)
		return code;
	return targets.count ? send_to_targets(session, arguments, &targets)
			     : send_to_groups(session, arguments, &names);
}

const struct command send_command = {
	.name = "send",
	.arguments = "GROUP|TARGET[,...] [TEXT]",
	.words_min = 1,
	.words_max = 2,
	.help = "Send a datagram: TEXT, or all of standard input",
	.options = options,
	.run = run,
};
