/* One end of a probe. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl/human.h"
#include "ctl/interrupt.h"
#include "ctl/probe/packet.h"
#include "ctl/probe/probe.h"
#include "ctl/progress.h"
#include "ctl/sender.h"
#include "ctl/targets.h"

/* An interrupted probe ends with this many datagrams more, this far apart: they have the number of
 * those that were really sent, and some may be lost. They are numbered as all are, since copies
 * would count as doubled, and an older receiver takes the total of new ones only. */
#define CLOSING_COUNT 5
#define CLOSING_NS (10 * NS_PER_MS)

struct sending {
	struct session *session;
	const struct probe_sending *wanted;
	struct sender sender;
	struct transmitter transmitter; /* of a target */
	struct progress progress;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint32_t ssrc;
	uint8_t ttl; /* 0: not known */
	uint8_t *payload;
};

static uint32_t random_number(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (uint32_t)clock_ns(CLOCK_MONOTONIC);
	return number;
}

/* The TTL of a group is not known here, unless it is given. */
static uint8_t sent_ttl(const struct sending *sending, bool is_target)
{
	int ttl = sending->wanted->ttl;

	if (ttl >= 0)
		return (uint8_t)ttl;
	return is_target ? 1 : 0;
}

static int open_sender(struct sending *sending)
{
	const struct probe_sending *wanted = sending->wanted;
	struct session *session = sending->session;
	AUTO_TARGETS struct targets targets = {0};
	int fd, code = targets_read(session, &wanted->word, 1, &targets);

	if (!code && targets.count)
		code = transmitter_open(&sending->transmitter, session, targets.items,
			&(struct transmitter_options){.source_key = "source", .ttl = wanted->ttl});
	if (code)
		return code;
	session_put_name(session, "group", wanted->word);
	if (wanted->ttl >= 0)
		json_put_number(&session->parameters, "ttl", (uint64_t)wanted->ttl);
	sender_open(&sending->sender, session, targets.count ? &sending->transmitter : NULL,
		"datagram");
	if (sending->sender.code)
		return sending->sender.code;
	fd = interrupt_catch();
	if (fd < 0)
		return session_fail(session, EXIT_REFUSED, "%s", strerror(-fd));
	sending->sender.stop_fd = fd;
	sending->sender.silent = true;
	sending->ttl = sent_ttl(sending, targets.count);
	prctl(PR_SET_TIMERSLACK, 1ul);
	return EXIT_DONE;
}

static void show_progress(struct sending *sending, uint64_t now_ns)
{
	AUTO_TEXT struct text line = {0};

	if (!progress_is_due(&sending->progress, now_ns))
		return;
	text_append_wait(&line, (double)(now_ns - sending->start_ns) / 1e9);
	text_printf(&line, ", %" PRIu64, sending->sender.submitted);
	if (sending->wanted->count)
		text_printf(&line, " of %" PRIu64, sending->wanted->count);
	text_append_string(&line, " datagrams sent");
	progress_show(&sending->progress, &line);
}

static void wait_until(struct sending *sending, uint64_t due_ns)
{
	struct sender *sender = &sending->sender;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	while (now_ns < due_ns && !sender->code && !interrupt_came()) {
		uint64_t next_ns = sending->progress.next_ns;

		sender_wait_until(sender, next_ns < due_ns ? next_ns : due_ns, -1);
		now_ns = clock_ns(CLOCK_MONOTONIC);
		show_progress(sending, now_ns);
	}
}

static void send_one(struct sending *sending, uint64_t number, uint64_t total)
{
	const struct probe_sending *wanted = sending->wanted;

	probe_packet_write(&(struct probe_packet){.ssrc = sending->ssrc,
				   .number = (uint32_t)number,
				   .total = (uint32_t)total,
				   .sent_ns = clock_ns(CLOCK_REALTIME),
				   .ttl = sending->ttl},
		sending->payload, wanted->size);
	sender_submit(&sending->sender, sending->payload, wanted->size);
}

/* Tells the other end how many were sent, where that is not what it was told before. Where no
 * number was told, it has nothing to correct. */
static void send_closing(struct sending *sending)
{
	struct sender *sender = &sending->sender;
	uint64_t number = sender->submitted, planned = sending->wanted->count;
	uint64_t total = number + CLOSING_COUNT < planned ? number + CLOSING_COUNT : planned;

	if (!number)
		return;
	sender->stop_fd = -1;
	for (; number < total && !sender->code; number++) {
		sender_wait_until(sender, clock_ns(CLOCK_MONOTONIC) + CLOSING_NS, -1);
		sender_wait_for_room(sender);
		if (!sender->code)
			send_one(sending, number, total);
	}
}

static void send_all(struct sending *sending)
{
	const struct probe_sending *wanted = sending->wanted;
	struct sender *sender = &sending->sender;

	progress_begin(&sending->progress, false);
	sending->start_ns = clock_ns(CLOCK_MONOTONIC);
	for (uint64_t i = 0; (!wanted->count || i < wanted->count) && !sender->code; i++) {
		wait_until(sending, sending->start_ns + i * wanted->interval_ns);
		sender_wait_for_room(sender);
		if (interrupt_came() || sender->code)
			break;
		send_one(sending, i, wanted->count);
	}
	send_closing(sending);
	progress_erase(&sending->progress);
	sender_finish(sender);
}

static void show(struct sending *sending)
{
	double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - sending->start_ns) / 1e9;
	struct session *session = sending->session;
	uint64_t count = sending->sender.sent;
	AUTO_TEXT struct text line = {0};

	if (session->writer.json) {
		struct text *out = &session->writer.out;

		json_put_open(out, NULL, '{');
		json_put_number(out, "sent", count);
		json_put_number(out, "size", sending->wanted->size);
		json_put_member(out, "seconds");
		text_printf(out, "%.17g", seconds);
		json_put_close(out, '}');
		text_append(out, "\n", 1);
		return;
	}
	text_printf(&line, "sent %" PRIu64 " datagram%s of %zu bytes in %.3f s", count,
		plural(count), sending->wanted->size, seconds);
	writer_line(&session->writer, text_string(&line));
}

int probe_send(struct session *session, const struct probe_sending *wanted)
{
	struct sending sending = {.session = session,
		.wanted = wanted,
		.transmitter = NO_TRANSMITTER,
		.ssrc = random_number(),
		.payload = malloc(wanted->size)};
	int code = sending.payload ? open_sender(&sending)
				   : session_fail(session, EXIT_REFUSED, "out of memory");

	if (!code) {
		send_all(&sending);
		if (sending.sender.sent || !sending.sender.code)
			show(&sending);
		code = sending.sender.code;
	}
	transmitter_close(&sending.transmitter);
	free(sending.payload);
	return code;
}
