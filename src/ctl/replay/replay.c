#include "ctl/replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "ctl/human.h"
#include "ctl/interrupt.h"
#include "ctl/pace.h"
#include "ctl/progress.h"
#include "ctl/replay/replayed.h"
#include "ctl/replay/routes.h"

struct replay {
	struct session *session;
	const struct replay_settings *settings;
	const char *name; /* of the recording, for people */
	struct recording recording;
	struct selection selection;
	struct routes routes;
	struct sender sender;
	struct pace pace;
	struct progress progress;
	struct replayed replayed;
	uint64_t passes; /* over the recording */
	uint64_t before; /* datagrams that were submitted before this pass */
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
	const struct recording *recording = &replay->recording;
	double part;

	if (recording->size == UINT64_MAX || !recording->size || !recording->offset)
		return;
	part = (double)recording->offset / (double)recording->size;
	if (replay->settings->loop) {
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
	const struct recording *recording = &replay->recording;
	char place[64] = "";

	if (error == -EBADMSG && recording->offset)
		snprintf(place, sizeof(place), "at byte %" PRIu64 ": ", recording->offset);
	session_fail(replay->session, EXIT_REFUSED, "%s: %s%s", replay->name, place,
		error == -EBADMSG ? recording->why : strerror(-error));
	if (!replay->sender.code)
		replay->sender.code = EXIT_REFUSED;
}

/* One datagram that was not sent does not end a replay. What will take no other one is closed:
 * where there is no group, or nobody may use it, and where the network has taken none yet. */
static enum refusal_answer on_refusal(void *context, struct destination *to, enum refusal refusal)
{
	struct replay *replay = context;
	struct route *route = (struct route *)to; /* its first member */
	bool was_said = route->said & 1U << refusal, was_closed = route->is_closed;

	replay->replayed.skipped[refusal == REFUSED_SIZE ? SKIP_TOO_LARGE : SKIP_REFUSED]++;
	route->said |= 1U << refusal;
	if (refusal == REFUSED_GROUP || (refusal == REFUSED_NETWORK && !to->sent))
		route->is_closed = true;
	if (was_said || was_closed)
		return REFUSAL_IS_SILENT;
	return routes_are_open(&replay->routes) ? REFUSAL_IS_SAID : REFUSAL_ENDS_RUN;
}

/* Datagrams that are due already go to the daemon many at once. */
static void send_one(struct replay *replay, const struct recorded *recorded, struct route *route)
{
	struct sender *sender = &replay->sender;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t due_ns = recorded->is_timed
				  ? pace_due(&replay->pace, recorded->timestamp_ns, now_ns)
				  : pace_due_untimed(&replay->pace, now_ns);

	wait_until(replay, due_ns);
	if (interrupt_came())
		return;
	sender_wait_for_room(sender);
	if (sender->code)
		return;
	sender_submit_to(sender, &route->to, recorded->datagram.data, recorded->datagram.size);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (replay->pace.speed && now_ns > due_ns && now_ns - due_ns > replay->replayed.latest_ns)
		replay->replayed.latest_ns = now_ns - due_ns;
}

static void skip(struct replay *replay, const struct recorded *recorded, enum skip reason,
	struct frequent *frequent)
{
	const struct dissected *datagram = &recorded->datagram;

	replay->replayed.skipped[reason]++;
	if (frequent)
		frequent_add(frequent, &datagram->destination, datagram->destination_port);
}

static void play_one(struct replay *replay, const struct recorded *recorded)
{
	struct replayed *replayed = &replay->replayed;
	enum selected selected = selection_has(&replay->selection, &replay->recording, recorded);
	struct route *route;

	show_progress(replay, clock_ns(CLOCK_MONOTONIC));
	if (selected != SELECTED) {
		replayed->untimely += selected == UNSELECTED_TIME;
		skip(replay, recorded, SKIP_UNSELECTED, &replayed->unselected);
		return;
	}
	switch (routes_find(&replay->routes, &recorded->datagram, &route)) {
	case ROUTE_FOUND:
		if (route->is_closed)
			skip(replay, recorded, SKIP_REFUSED, NULL);
		else
			send_one(replay, recorded, route);
		break;
	case ROUTE_NONE:
		skip(replay, recorded, SKIP_UNMATCHED, &replayed->unmatched);
		break;
	case ROUTE_SEVERAL:
		skip(replay, recorded, SKIP_SEVERAL, &replayed->several);
		break;
	case ROUTE_FAILED:
		replay->sender.code = EXIT_REFUSED;
		break;
	}
}

/* Returns 0 or an error of the recording. */
static int read_on(struct replay *replay)
{
	sender_wait_until(&replay->sender, UINT64_MAX, replay->recording.fd);
	if (replay->sender.code || interrupt_came())
		return 0;
	return recording_fill(&replay->recording);
}

/* At the end of the recording. Returns 1 when it repeats, 0 when done, or an error of the
 * recording. A pass that sends nothing would not be the last one that does. */
static int repeat(struct replay *replay)
{
	int r;

	if (!replay->settings->loop || replay->sender.submitted == replay->before)
		return 0;
	replay->before = replay->sender.submitted;
	pace_repeat(&replay->pace);
	replay->passes++;
	r = recording_rewind(&replay->recording);
	return r < 0 ? r : 1;
}

static void play(struct replay *replay)
{
	struct sender *sender = &replay->sender;
	int r = 1;

	progress_begin(&replay->progress, replay->settings->progress);
	while (r == 1 && !sender->code && !interrupt_came()) {
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
	progress_erase(&replay->progress);
	sender_finish(sender); /* a refusal of an earlier datagram comes first */
	if (r < 0)
		complain(replay, r);
	if (r == 1 && !replay->settings->loop && !sender->code)
		sender->code = session_fail(
			replay->session, EXIT_REFUSED, "interrupted before the end");
}

/* Returns the exit code. */
static int report(struct replay *replay)
{
	struct replayed *replayed = &replay->replayed;
	const struct recording *recording = &replay->recording;
	int code = replay->sender.code;

	replayed->sent = replay->sender.sent;
	replayed->bytes = replay->sender.sent_bytes;
	replayed->packets = recording->packets;
	for (size_t i = 0; i < DISSECT_RESULTS; i++)
		replayed->skipped[i] = recording->skipped[i];
	replayed_note(replayed, replay->session);
	if (replayed->sent && selection_begins_before(&replay->selection, recording))
		session_fail(replay->session, EXIT_DONE,
			"--from %s: the capture begins later that day, and was sent from its "
			"begin on; for another day, give the date, too",
			replay->settings->from->string);
	if (!replayed->sent) {
		if (!code)
			replayed_explain_nothing(
				replayed, recording, replay->session, replay->name);
		code = code ? code : EXIT_REFUSED;
	} else if (!code &&
		   (replayed->skipped[SKIP_TOO_LARGE] || replayed->skipped[SKIP_REFUSED])) {
		code = EXIT_REFUSED; /* which was said */
	}
	if (replayed->sent || replay->session->writer.json)
		replayed_show(replayed, recording, &replay->session->writer);
	return code;
}

static int refuse_loop(struct replay *replay)
{
	return session_fail(replay->session, EXIT_MISUSED,
		"%s cannot be repeated: --loop needs a file%s", replay->name,
		strcmp(replay->settings->path, "-") ? ", and this is a pipe" : "");
}

/* Whether the words are in the wrong order: the second one is a file. */
static bool are_swapped(const struct replay_settings *settings, int r)
{
	struct stat status;

	return r == -ENOENT && settings->word && stat(settings->word, &status) == 0 &&
	       S_ISREG(status.st_mode);
}

static int prepare(struct replay *replay)
{
	const struct replay_settings *settings = replay->settings;
	int r, code;

	replay->name = strcmp(settings->path, "-") ? settings->path : "standard input";
	replay->pace.speed = SPEED_OWN;
	if (settings->speed && speed_parse(settings->speed, &replay->pace.speed) < 0)
		return session_fail(replay->session, EXIT_MISUSED,
			"--speed: '%s' is neither a decimal from " SPEED_LIMITS " nor max",
			settings->speed);
	if (settings->loop && settings->path != replay->name)
		return refuse_loop(replay);
	code = selection_read(&replay->selection, replay->session, settings->only, settings->source,
		settings->from, settings->to);
	if (code)
		return code;
	r = recording_open(&replay->recording, settings->path);
	if (r < 0)
		return session_fail(replay->session, EXIT_REFUSED, "%s: %s%s", replay->name,
			strerror(-r), are_swapped(settings, r) ? "; the file comes first" : "");
	return settings->loop && !replay->recording.can_rewind ? refuse_loop(replay) : EXIT_DONE;
}

/* Connects to the daemon where it is needed. Returns an exit code. */
static int open_sender(struct replay *replay)
{
	struct sender *sender = &replay->sender;
	int fd;

	sender_open(sender, replay->session, routes_transmitter(&replay->routes), "datagram");
	if (sender->code)
		return sender->code;
	sender->on_refusal = on_refusal;
	sender->context = replay;
	sender->silent = true;
	fd = interrupt_catch();
	if (fd < 0)
		return session_fail(replay->session, EXIT_REFUSED, "%s", strerror(-fd));
	sender->stop_fd = fd;
	prctl(PR_SET_TIMERSLACK, 1ul); /* the default lets each wait be 50 us longer */
	return EXIT_DONE;
}

/* Returns the exit code. */
static int play_and_report(struct replay *replay)
{
	play(replay);
	if (replay->pace.start_ns)
		replay->replayed.elapsed_ns = clock_ns(CLOCK_MONOTONIC) - replay->pace.start_ns;
	return report(replay);
}

int replay_run(struct session *session, const struct replay_settings *settings)
{
	AUTO_FREE struct replay *replay = calloc(1, sizeof(*replay));
	int code;

	if (!replay)
		return session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	replay->session = session;
	replay->settings = settings;
	replay->recording.fd = -1;
	code = prepare(replay);
	if (!code)
		code = routes_open(
			&replay->routes, session, settings->word, settings->map, settings->ttl);
	if (!code)
		code = open_sender(replay);
	if (!code)
		code = play_and_report(replay);
	routes_clear(&replay->routes);
	selection_clear(&replay->selection);
	recording_clear(&replay->recording);
	return code;
}
