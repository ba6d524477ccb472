#include "ctl/replay/replay.h"

enum {
	REPLAY_SPEED,
	REPLAY_LOOP,
	REPLAY_TTL,
	REPLAY_ONLY,
	REPLAY_SOURCE,
	REPLAY_FROM,
	REPLAY_TO,
	REPLAY_MAP,
	REPLAY_PROGRESS
};

static const struct option_row options[] = {
	[REPLAY_SPEED] = {"speed", 0, OPTION_STRING, "X",
		"Factor of the recorded speed, like 0.5 or 10; or max: no pauses"},
	[REPLAY_LOOP] = {"loop", 0, OPTION_FLAG, NULL, "Repeat until interrupted"},
	[REPLAY_TTL] = {"ttl", 0, OPTION_NUMBER, "N",
		"IP TTL or hop limit; default: the group's; of a target: 1", .max = 255},
	[REPLAY_ONLY] = {"only", 0, OPTION_LIST, "ADDRESS",
		"Only what went to ADDRESS or ADDRESS:PORT; may be repeated"},
	[REPLAY_SOURCE] = {"source", 0, OPTION_LIST, "ADDRESS",
		"Only what came from ADDRESS or ADDRESS:PORT; may be repeated"},
	[REPLAY_FROM] = {"from", 0, OPTION_STRING, "TIME",
		"Only from TIME on, like 2026-11-24T20:15:00Z, 20:15, or +5m after the begin"},
	[REPLAY_TO] = {"to", 0, OPTION_STRING, "TIME", "Only before TIME"},
	[REPLAY_MAP] = {"map", 0, OPTION_LIST, "ADDRESS=GROUP",
		"Send what went to ADDRESS or ADDRESS:PORT to GROUP or a TARGET; may be repeated"},
	[REPLAY_PROGRESS] = {"progress", 0, OPTION_FLAG, NULL,
		"Show how far it is also where standard error is no terminal"},
	{0},
};

static int run(struct session *session, const struct arguments *arguments)
{
	const struct option_value *given = arguments->options;
	const struct replay_settings settings = {
		.path = arguments->words[0],
		.word = arguments->word_count > 1 ? arguments->words[1] : NULL,
		.speed = given[REPLAY_SPEED].string,
		.loop = given[REPLAY_LOOP].given,
		.progress = given[REPLAY_PROGRESS].given,
		.ttl = &given[REPLAY_TTL],
		.only = &given[REPLAY_ONLY],
		.source = &given[REPLAY_SOURCE],
		.from = &given[REPLAY_FROM],
		.to = &given[REPLAY_TO],
		.map = &given[REPLAY_MAP],
	};

	return replay_run(session, &settings);
}

const struct command replay_command = {
	.name = "replay",
	.arguments = "FILE [GROUP|TARGET]",
	.words_min = 1,
	.words_max = 2,
	.help = "Send what a capture (pcap, pcapng) has, each datagram to its group or all to one",
	.options = options,
	.run = run,
};
