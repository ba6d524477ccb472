#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/interrupt.h"
#include "ctl/pace.h"
#include "ctl/progress.h"
#include "ctl/recording.h"
#include "ctl/sender.h"
#include "ctl/targets.h"

enum { REPLAY_SPEED, REPLAY_LOOP, REPLAY_TTL };

static const struct option_row options[] = {
	[REPLAY_SPEED] = {"speed", 0, OPTION_STRING, "X",
		"Factor of the recorded speed, like 0.5 or 10; or max: no pauses"},
	[REPLAY_LOOP] = {"loop", 0, OPTION_FLAG, NULL, "Repeat until interrupted"},
	[REPLAY_TTL] = {"ttl", 0, OPTION_NUMBER, "N",
		"IP TTL or hop limit; default: the group's; of a target: 1", .max = 255},
	{0},
};

/* A delay over this is reported: the machine, or the daemon, cannot keep up. */
#define LATE_NS (10 * NS_PER_MS)

struct replay {
	struct session *session;
	struct sender sender;
	struct transmitter transmitter; /* of a target */
	struct recording *recording;
	struct pace pace;
	const char *name; /* of the recording, for people */
	bool loop;
	uint64_t bytes; /* of payload, submitted */
	uint64_t latest_ns; /* longest delay after the due time */
	struct progress progress;
	uint64_t passes; /* over the recording */
	uint64_t marked, marked_ns; /* datagrams that were submitted, and when, for their rate */
	double rate;
};

/* The rate is that of the last second, or a little more. */
static void measure_rate(struct replay *replay, uint64_t now_ns)
{
	uint64_t submitted = replay->sender.submitted;
	uint64_t since_ns = replay->marked_ns ? replay->marked_ns : replay->pace.start_ns;

	if (now_ns < since_ns + NS_PER_S - NS_PER_MS)
		return;
	replay->rate = (double)(submitted - replay->marked) / ((double)(now_ns - since_ns) / 1e9);
	replay->marked = submitted;
	replay->marked_ns = now_ns;
}

/* Of how much, as far as that is known: of a file by its bytes. */
static void append_part(const struct replay *replay, uint64_t elapsed_ns, struct text *line)
{
	const struct recording *recording = replay->recording;
	double part;

	if (recording->size == UINT64_MAX || !recording->size || !recording->offset)
		return;
	part = (double)recording->offset / (double)recording->size;
	if (replay->loop) {
		text_printf(line, ", %.0f %% of pass %" PRIu64, part * 100, replay->passes + 1);
		return;
	}
	text_printf(line, ", %.0f %%, ", part * 100);
	text_append_wait(line, (double)elapsed_ns / 1e9 * (1 - part) / part);
	text_append_string(line, " to go");
}

static void show_progress(struct replay *replay, uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns - replay->pace.start_ns, count = replay->sender.submitted;
	AUTO_TEXT struct text line = {0};

	if (!replay->pace.start_ns || !progress_is_due(&replay->progress, now_ns))
		return;
	measure_rate(replay, now_ns);
	text_append_wait(&line, (double)elapsed_ns / 1e9);
	append_part(replay, elapsed_ns, &line);
	text_printf(&line, ", %" PRIu64 " datagram%s, ", count, plural(count));
	text_append_rate(&line, replay->rate);
	text_append_string(&line, "/s");
	progress_show(&replay->progress, &line);
}

/* Waits until then, and shows meanwhile how far it is. */
static void wait_until(struct replay *replay, uint64_t due_ns)
{
	struct sender *sender = &replay->sender;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	while (now_ns < due_ns && !sender->code && !interrupt_came()) {
		uint64_t next_ns = replay->progress.next_ns;

		sender_wait_until(sender, next_ns < due_ns ? next_ns : due_ns, -1);
		now_ns = clock_ns(CLOCK_MONOTONIC);
		show_progress(replay, now_ns);
	}
}

/* Explains an error of the recording. */
static void complain(struct replay *replay, int error)
{
	const struct recording *recording = replay->recording;
	char place[64] = "";

	if (error == -EBADMSG && recording->parser.in_section)
		snprintf(place, sizeof(place), "at byte %" PRIu64 ": ", recording->offset);
	session_fail(replay->session, EXIT_REFUSED, "%s: %s%s", replay->name, place,
		error == -EBADMSG ? recording->why : strerror(-error));
	if (!replay->sender.code)
		replay->sender.code = EXIT_REFUSED;
}

/* Datagrams that are due already go to the daemon many at once. */
static void play_one(struct replay *replay, const struct recorded *recorded)
{
	struct sender *sender = &replay->sender;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t due_ns = pace_due(&replay->pace, recorded->timestamp_ns, now_ns);

	show_progress(replay, now_ns);
	wait_until(replay, due_ns);
	if (interrupt_came())
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
	sender_wait_until(&replay->sender, UINT64_MAX, replay->recording->fd);
	if (replay->sender.code || interrupt_came())
		return 0;
	return recording_fill(replay->recording);
}

/* At the end of the recording. Returns 1 when it repeats, 0 when done, or an error of the
 * recording. */
static int repeat(struct replay *replay)
{
	int r;

	if (!replay->loop)
		return 0;
	if (!replay->pace.count) {
		replay->sender.code = session_fail(replay->session, EXIT_REFUSED,
			"%s: there is no UDP datagram in it to repeat", replay->name);
		return 0;
	}
	pace_repeat(&replay->pace);
	replay->passes++;
	r = recording_rewind(replay->recording);
	return r < 0 ? r : 1;
}

static void play(struct replay *replay)
{
	int r = 1;

	progress_begin(&replay->progress);
	while (r == 1 && !replay->sender.code && !interrupt_came()) {
		struct recorded recorded;

		r = recording_next(replay->recording, &recorded);
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
	progress_erase(&replay->progress);
	sender_finish(&replay->sender); /* a refusal of an earlier datagram comes first */
	if (r < 0)
		complain(replay, r);
	if (r == 1 && !replay->loop && !replay->sender.code)
		replay->sender.code = session_fail(
			replay->session, EXIT_REFUSED, "interrupted before the end");
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
		plural(count), ms / 1000, ms % 1000);
	if (replay->latest_ns >= LATE_NS)
		text_printf(&line, ", up to %" PRIu64 " ms late", late_ms);
	append_skipped(&line, replay->recording);
	writer_line(&replay->session->writer, text_string(&line));
}

/* With --json this is all that is shown: the millions of answers to Send are of no interest. */
static void show_json(struct replay *replay, uint64_t elapsed_ns)
{
	struct text *out = &replay->session->writer.out;

	json_put_open(out, NULL, '{');
	json_put_number(out, "datagrams", replay->sender.sent);
	json_put_number(out, "bytes", replay->bytes);
	json_put_member(out, "seconds");
	text_printf(out, "%.17g", (double)elapsed_ns / 1e9);
	json_put_member(out, "late");
	text_printf(out, "%.17g", (double)replay->latest_ns / 1e9);
	json_put_open(out, "skipped", '{');
	for (size_t i = 0; i < SKIP_REASONS; i++)
		json_put_number(out, skip_names[i].key, replay->recording->skipped[i]);
	json_put_close(out, '}');
	json_put_close(out, '}');
	text_append(out, "\n", 1);
}

static int prepare(struct replay *replay, const struct arguments *arguments)
{
	const char *path = arguments->words[0], *speed = arguments->options[REPLAY_SPEED].string;
	int r;

	replay->name = strcmp(path, "-") ? path : "standard input";
	replay->loop = arguments->options[REPLAY_LOOP].given;
	replay->pace.speed = SPEED_OWN;
	if (speed && speed_parse(speed, &replay->pace.speed) < 0)
		return session_fail(replay->session, EXIT_MISUSED,
			"--speed: '%s' is neither a decimal from " SPEED_LIMITS " nor max", speed);
	if (replay->loop && path != replay->name)
		return session_fail(replay->session, EXIT_MISUSED,
			"standard input cannot be repeated: --loop needs a file");
	r = recording_open(replay->recording, path);
	return r < 0 ? session_fail(
			       replay->session, EXIT_REFUSED, "%s: %s", replay->name, strerror(-r))
		     : EXIT_DONE;
}

/* Connects to the daemon, or opens a socket of its own. Returns an exit code. */
static int open_sender(struct replay *replay, const char *word, const struct option_value *ttl)
{
	struct transmitter_options transmitter_options = {
		.source_key = "source", .ttl = ttl->given ? (int)ttl->number : -1};
	AUTO_TARGETS struct targets targets = {0};
	int fd, code = targets_read(replay->session, &word, 1, &targets);

	if (!code && targets.count)
		code = transmitter_open(
			&replay->transmitter, replay->session, targets.items, &transmitter_options);
	if (code)
		return code;
	session_put_name(replay->session, "group", word);
	if (ttl->given)
		json_put_number(&replay->session->parameters, "ttl", ttl->number);
	sender_open(&replay->sender, replay->session, targets.count ? &replay->transmitter : NULL,
		"datagram");
	if (replay->sender.code)
		return replay->sender.code;
	fd = interrupt_catch();
	if (fd < 0)
		return session_fail(replay->session, EXIT_REFUSED, "%s", strerror(-fd));
	replay->sender.stop_fd = fd;
	replay->sender.silent = true;
	prctl(PR_SET_TIMERSLACK, 1ul); /* the default lets each wait be 50 us longer */
	return EXIT_DONE;
}

/* Returns an exit code. */
static int replay_all(struct replay *replay)
{
	uint64_t elapsed_ns = 0;

	play(replay);
	if (replay->pace.start_ns)
		elapsed_ns = clock_ns(CLOCK_MONOTONIC) - replay->pace.start_ns;
	if (replay->sender.code && !replay->sender.sent)
		return replay->sender.code;
	if (replay->session->writer.json)
		show_json(replay, elapsed_ns);
	else
		show_words(replay, elapsed_ns);
	return replay->sender.code;
}

static int run(struct session *session, const struct arguments *arguments)
{
	AUTO_RECORDING struct recording recording = {.fd = -1};
	struct replay replay = {
		.session = session, .recording = &recording, .transmitter = NO_TRANSMITTER};
	int code = prepare(&replay, arguments);

	if (!code)
		code = open_sender(&replay, arguments->words[1], &arguments->options[REPLAY_TTL]);
	if (!code)
		code = replay_all(&replay);
	transmitter_close(&replay.transmitter);
	return code;
}

const struct command replay_command = {
	.name = "replay",
	.arguments = "FILE GROUP|TARGET",
	.words_min = 2,
	.words_max = 2,
	.help = "Send the datagrams of a recording (pcapng), with its own spacing; - is standard "
		"input",
	.options = options,
	.run = run,
};
