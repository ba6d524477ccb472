#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "ctl/command.h"
#include "ctl/probe/probe.h"
#include "net/address.h"

#define RATE "100/s"
#define COUNT 1000
#define SIZE 200
#define WAIT_NS (3 * NS_PER_S)

enum { PROBE_RATE, PROBE_COUNT, PROBE_SIZE, PROBE_TTL, PROBE_WAIT, PROBE_TIMEOUT };

static const struct option_row options[] = {
	[PROBE_RATE] = {"rate", 0, OPTION_STRING, "N/s",
		"send: datagrams in a second; default: " RATE},
	[PROBE_COUNT] = {"count", 'n', OPTION_NUMBER, "N",
		"send: how many datagrams, default: 1000; 0: until interrupted", .max = UINT32_MAX},
	[PROBE_SIZE] = {"size", 0, OPTION_NUMBER, "BYTES", "send: of each payload; default: 200",
		.min = PROBE_SIZE_MIN, .max = DATAGRAM_MAX_V4},
	[PROBE_TTL] = {"ttl", 0, OPTION_NUMBER, "N",
		"send: IP TTL or hop limit; default: the group's, of a target: 1", .max = 255},
	[PROBE_WAIT] = {"wait", 0, OPTION_DURATION, "TIME",
		"It is over this long after the last datagram; default: 3s"},
	[PROBE_TIMEOUT] = {"timeout", 0, OPTION_DURATION, "TIME",
		"Wait for the first datagram no longer than this; default: until interrupted"},
	{0},
};

static const struct {
	int option;
	bool is_of_send;
} kinds[] = {{PROBE_RATE, true}, {PROBE_COUNT, true}, {PROBE_SIZE, true}, {PROBE_TTL, true},
	{PROBE_WAIT, false}, {PROBE_TIMEOUT, false}};

static int check_options(
	const struct session *session, const struct arguments *arguments, bool sends)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (arguments->options[kinds[i].option].given && kinds[i].is_of_send != sends)
			return session_fail(session, EXIT_MISUSED, "--%s is for %s",
				options[kinds[i].option].name,
				sends ? "the end that receives" : "probe send");
	return EXIT_DONE;
}

static int run_send(struct session *session, const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;
	const char *rate = given[PROBE_RATE].given ? given[PROBE_RATE].string : RATE;
	struct probe_sending sending = {.word = arguments->words[1],
		.count = given[PROBE_COUNT].given ? given[PROBE_COUNT].number : COUNT,
		.size = given[PROBE_SIZE].given ? given[PROBE_SIZE].number : SIZE,
		.ttl = given[PROBE_TTL].given ? (int)given[PROBE_TTL].number : -1};

	if (parse_rate(rate, &sending.interval_ns) < 0)
		return session_fail(session, EXIT_MISUSED,
			"--rate: '%s' is no rate; write datagrams in a time, like 1000/s", rate);
	return probe_send(session, &sending);
}

static int run(struct session *session, const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;
	bool sends = arguments->word_count == 2;
	struct probe_receiving receiving = {.word = arguments->words[0],
		.wait_ns = given[PROBE_WAIT].given ? given[PROBE_WAIT].number : WAIT_NS,
		.timeout_ns = given[PROBE_TIMEOUT].number};
	int code;

	if (sends && strcmp(arguments->words[0], "send") != 0)
		return session_fail(session, EXIT_MISUSED,
			"'%s': write probe send %s, or probe %s at the other end",
			arguments->words[0], arguments->words[1], arguments->words[1]);
	code = check_options(session, arguments, sends);
	if (code)
		return code;
	return sends ? run_send(session, arguments) : probe_receive(session, &receiving);
}

const struct command probe_command = {
	.name = "probe",
	.arguments = "[send] GROUP|TARGET",
	.words_min = 1,
	.words_max = 2,
	.help = "Measure the way to another host: loss, order, delay, hops",
	.options = options,
	.run = run,
};
