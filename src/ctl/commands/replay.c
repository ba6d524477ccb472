#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/interrupt.h"
#include "ctl/json.h"
#include "ctl/pace.h"
#include "ctl/recording.h"
#include "ctl/sender.h"

enum { REPLAY_SPEED, REPLAY_LOOP };

static const struct option_row options[] = {
	[REPLAY_SPEED] = {"speed", 0, OPTION_STRING, "X",
		"So many times as fast, like 0.5 or 10, or max: without any pause"},
	[REPLAY_LOOP] = {"loop", 0, OPTION_FLAG, NULL, "Again and again, until interrupted"},
	{0},
};

/* What is sent later than this is told of: the machine, or the daemon, cannot keep up. */
#define LATE_NS (10 * NS_PER_MS)

struct replay {
	struct session *session;
	struct sender sender;
	struct recording recording;
	struct pace pace;
	const char *name; /* of the recording, for people */
	bool loop;
	uint64_t bytes; /* of payload, submitted */
	uint64_t latest_ns; /* the most that a datagram was sent after it was due */
};

static void replay_clear(struct replay *replay)
{
	recording_clear(&replay->recording);
	sender_clear(&replay->sender);
}

/* Says what is wrong with the recording. */
static void complain(struct replay *replay, int error)
{
	const struct recording *recording = &replay->recording;

	if (error != -EBADMSG)
		session_complain(replay->session, "%s: %s", replay->name, strerror(-error));
	else if (!recording->parser.in_section)
		session_complain(replay->session, "%s: %s", replay->name, recording->why);
	else
		session_complain(replay->session, "%s: at byte %" PRIu64 ": %s", replay->name,
			recording->offset, recording->why);
	if (!replay->sender.code)
		replay->sender.code = EXIT_REFUSED;
}

/* One that is due already is not waited for: then many go to the daemon at once. */
static void play_one(struct replay *replay, const struct recorded *recorded)
{
	struct sender *sender = &replay->sender;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t due_ns = pace_due(&replay->pace, recorded->timestamp_ns, now_ns);

	if (due_ns > now_ns)
		sender_wait_until(sender, due_ns, -1);
	if (interrupted())
		return;
	sender_wait_for_room(sender);
	if (sender->code)
		return;
	sender_submit(sender, recorded->payload.data, recorded->payload.size);
	replay->bytes += recorded->payload.size;
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (replay->pace.speed && now_ns > due_ns && now_ns - due_ns > replay->latest_ns)
		replay->latest_ns = now_ns - due_ns;
}

/* Returns 0 or an error of the recording. */
static int read_on(struct replay *replay)
{
	sender_wait_until(&replay->sender, UINT64_MAX, replay->recording.fd);
	if (replay->sender.code || interrupted())
		return 0;
	return recording_fill(&replay->recording);
}

/* At the end of the recording. Returns 1 when it goes on, 0, or an error of the recording. */
static int repeat(struct replay *replay)
{
	int r;

	if (!replay->loop)
		return 0;
	if (!replay->pace.count) {
		session_complain(replay->session, "%s: no UDP datagram is in it to be repeated",
			replay->name);
		replay->sender.code = EXIT_REFUSED;
		return 0;
	}
	pace_repeat(&replay->pace);
	r = recording_rewind(&replay->recording);
	return r < 0 ? r : 1;
}

static void play(struct replay *replay)
{
	int r = 1;

	while (r == 1 && !replay->sender.code && !interrupted()) {
		struct recorded recorded;

		r = recording_next(&replay->recording, &recorded);
		if (r == 1) {
			play_one(replay, &recorded);
		} else if (r == 0) {
			r = repeat(replay);
		} else if (r == -EAGAIN) {
			r = read_on(replay);
			if (r == 0)
				r = 1;
		}
	}
	sender_finish(&replay->sender); /* a refusal of an earlier datagram comes first */
	if (r < 0)
		complain(replay, r);
	if (r == 1 && !replay->loop && !replay->sender.code) {
		session_complain(replay->session, "interrupted before the end");
		replay->sender.code = EXIT_REFUSED;
	}
}

static void append_skipped(struct text *text, const struct recording *recording)
{
	const char *separator = "; skipped ";

	for (size_t i = 0; i < SKIP_REASONS; i++) {
		if (!recording->skipped[i])
			continue;
		text_printf(text, "%s%" PRIu64 " %s", separator, recording->skipped[i],
			skip_names[i].words);
		separator = ", ";
	}
}

static void show_words(struct replay *replay, uint64_t elapsed_ns)
{
	uint64_t count = replay->sender.sent, ms = elapsed_ns / NS_PER_MS;
	uint64_t late_ms = replay->latest_ns / NS_PER_MS;
	AUTO_TEXT struct text line = {0};

	text_printf(&line, "replayed %" PRIu64 " datagram%s in %" PRIu64 ".%03" PRIu64 " s", count,
		count == 1 ? "" : "s", ms / 1000, ms % 1000);
	if (replay->latest_ns >= LATE_NS)
		text_printf(&line, ", up to %" PRIu64 " ms late", late_ms);
	append_skipped(&line, &replay->recording);
	writer_line(&replay->session->writer, text_string(&line));
}

/* With --json this is all that is shown: millions of answers to Send would say nothing. */
static void show_json(struct replay *replay, uint64_t elapsed_ns)
{
	json_t *skipped = json_object();
	AUTO_JSON json_t *value = NULL;

	for (size_t i = 0; i < SKIP_REASONS; i++)
		json_object_set_new(skipped, skip_names[i].key,
			json_integer((json_int_t)replay->recording.skipped[i]));
	value = json_pack("{s:I, s:I, s:f, s:f, s:o}", "datagrams", (json_int_t)replay->sender.sent,
		"bytes", (json_int_t)replay->bytes, "seconds", (double)elapsed_ns / 1e9, "late",
		(double)replay->latest_ns / 1e9, "skipped", skipped);
	writer_value(&replay->session->writer, value);
}

static int prepare(struct replay *replay, const struct arguments *arguments)
{
	const char *path = arguments->words[0], *speed = arguments->options[REPLAY_SPEED].string;
	int r;

	replay->name = strcmp(path, "-") ? path : "standard input";
	replay->loop = arguments->options[REPLAY_LOOP].given;
	replay->pace.speed = SPEED_OWN;
	if (speed && speed_parse(speed, &replay->pace.speed) < 0)
		return session_misuse(replay->session,
			"--speed: '%s' is neither a decimal from " SPEED_LIMITS " nor max", speed);
	if (replay->loop && path != replay->name)
		return session_misuse(
			replay->session, "standard input cannot be repeated: --loop needs a file");
	r = recording_open(&replay->recording, path);
	if (r == 0)
		return EXIT_DONE;
	session_complain(replay->session, "%s: %s", replay->name, strerror(-r));
	return EXIT_REFUSED;
}

/* Opens the way to the daemon. Returns an exit code. */
static int open_sender(struct replay *replay, const char *group)
{
	AUTO_JSON json_t *parameters = json_pack("{s:s}", "group", group);
	int fd;

	if (!parameters)
		return session_misuse(replay->session, "the name of the group is not UTF-8");
	sender_open(&replay->sender, replay->session, parameters, "datagram");
	if (replay->sender.code)
		return replay->sender.code;
	fd = interrupt_catch();
	if (fd < 0) {
		session_complain(replay->session, "%s", strerror(-fd));
		return EXIT_REFUSED;
	}
	replay->sender.stop_fd = fd;
	replay->sender.silent = true;
	prctl(PR_SET_TIMERSLACK, 1ul); /* the default lets each wait be 50 us longer */
	return EXIT_DONE;
}

static int run(struct session *session, const struct arguments *arguments)
{
	CLEANUP(replay_clear) struct replay replay = {.session = session, .recording = {.fd = -1}};
	uint64_t elapsed_ns = 0;
	int code = prepare(&replay, arguments);

	if (!code)
		code = open_sender(&replay, arguments->words[1]);
	if (code)
		return code;
	play(&replay);
	if (replay.pace.start_ns)
		elapsed_ns = clock_ns(CLOCK_MONOTONIC) - replay.pace.start_ns;
	if (replay.sender.code && !replay.sender.sent)
		return replay.sender.code;
	if (session->writer.json)
		show_json(&replay, elapsed_ns);
	else
		show_words(&replay, elapsed_ns);
	return replay.sender.code;
}

const struct command replay_command = {
	.name = "replay",
	.arguments = "FILE.pcapng GROUP",
	.words_min = 2,
	.words_max = 2,
	.help = "Send the datagrams of a recording, with its own spacing; - is standard input",
	.options = options,
	.run = run,
};
