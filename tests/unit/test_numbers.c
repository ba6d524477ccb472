/* The numbers in datagrams, and the ways to number them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "data/datagram.h"
#include "data/jitter.h"
#include "data/spread.h"
#include "formats/mpeg_ts.h"
#include "formats/numbers.h"

static struct numbering parse(const char *text)
{
	struct numbering numbering;
	char why[WHY_MAX] = "";

	if (numbering_parse(text, &numbering, why) < 0)
		fail_msg("%s", why);
	return numbering;
}

/* As "STREAM FIRST+COUNT"; "none" without numbers. */
static const char *read_text(const char *format, const void *payload, size_t size)
{
	static char string[128];
	struct numbering numbering = parse(format);
	AUTO_TEXT struct text stream = {0};
	struct numbers numbers;

	if (!numbers_read(&numbering, payload, size, &numbers))
		return "none";
	numbers_append_stream(&numbering, numbers.stream, &stream);
	snprintf(string, sizeof(string), "%s %llu+%u", stream.length ? text_string(&stream) : "-",
		(unsigned long long)numbers.first, numbers.count);
	return string;
}

#define READ(format, payload) read_text(format, payload, sizeof(payload) - 1)

static void rtp_has_a_number_and_a_source(void **state)
{
	(void)state;
	assert_string_equal(READ("rtp", "\x80\x61\x12\x34\x00\x00\x00\x01\x00\x00\xab\xcd...."),
		"0000abcd 4660+1");
	assert_string_equal(
		READ("rtp", "\x40\x61\x12\x34\x00\x00\x00\x01\x00\x00\xab\xcd...."), "none");
	assert_string_equal(READ("rtp", "\x80\x61\x12\x34"), "none");
}

/* Of a large datagram there may be no more than its beginning. */
static void no_more_is_read_than_is_reached(void **state)
{
	static const char *const formats[] = {"rtp", "moldudp64", "iperf", "u32@4", "u64le@120"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct numbering numbering = parse(formats[i]);
		size_t reach = numbers_reach(&numbering);
		uint8_t *payload = calloc(1, reach);
		struct numbers numbers;

		assert_true(reach <= PAYLOAD_HEAD);
		payload[0] = i ? 0 : 0xbf; /* of RTP: padding, an extension and 15 sources */
		assert_true(numbers_read(&numbering, payload, 60000, &numbers));
		free(payload);
	}
	assert_int_equal(numbers_reach(&(struct numbering){
				 .kind = NUMBERING_INTEGER, .bits = 16, .offset = 1000}),
		1002);
	assert_true(numbers_reach(&(struct numbering){.kind = NUMBERING_MPEG_TS}) > 65536);
}

static void moldudp64_has_messages_of_a_session(void **state)
{
	(void)state;
	assert_string_equal(READ("moldudp64", "SESSION  1\0\0\0\0\0\0\x01\0\0\x02\0\x01x\0\x01y"),
		"SESSION  1 256+2");
	assert_string_equal(READ("moldudp64", "S         \0\0\0\0\0\0\x01\0\0\0"), "S 256+0");
	assert_string_equal(READ("moldudp64", "S         \0\0\0\0\0\0\x01\0\xff\xff"), "S 256+0");
	assert_string_equal(READ("moldudp64", "S         \0\0\0\0\0\0\x01\0\0\x02\0\x01x"), "none");
	assert_string_equal(READ("moldudp64", "S         \xff\0\0\0\0\0\x01\0\0\0"), "none");
	assert_string_equal(READ("moldudp64", "S         \0\0\0\0\0\0\x01\0\0"), "none");
}

static void iperf_ends_with_a_negated_number(void **state)
{
	(void)state;
	assert_string_equal(READ("iperf", "\0\0\0\x34........"), "- 52+1");
	assert_string_equal(READ("iperf", "\xff\xff\xff\xcb........"), "- 53+1");
	assert_string_equal(READ("iperf", "\0\0\0"), "none");
}

static void integers_stand_at_their_offset(void **state)
{
	(void)state;
	assert_string_equal(READ("u8@1", "\x01\x02"), "- 2+1");
	assert_string_equal(READ("u16@1", "\x01\x02\x03"), "- 515+1");
	assert_string_equal(READ("u32le@0", "\x01\x02\x03\x04"), "- 67305985+1");
	assert_string_equal(READ("u64@0", "\0\0\0\0\0\0\x01\x02"), "- 258+1");
	assert_string_equal(READ("u64@0", "\xff\0\0\0\0\0\x01\x02"), "none");
	assert_string_equal(READ("u16@1", "\x01\x02"), "none");
}

static void what_is_no_numbering_is_refused(void **state)
{
	static const char *const wrong[] = {"", "RTP", "u32", "u32@", "u32@-1", "u32@x", "u24@0",
		"u8le@0", "u32@4 ", "u32be@4", "@4", "u32@65524", "u32@99999999999999999999"};
	char why[WHY_MAX];
	struct numbering numbering;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (numbering_parse(wrong[i], &numbering, why) >= 0)
			fail_msg("'%s' was taken", wrong[i]);
	assert_int_equal(parse("u32@65523").offset, 65523);
}

/* A packet of the PID with payload. */
static void put_packet(uint8_t *at, unsigned pid, unsigned counter)
{
	memset(at, 0xff, MPEG_TS_PACKET);
	at[0] = 0x47;
	at[1] = (uint8_t)(pid >> 8);
	at[2] = (uint8_t)pid;
	at[3] = (uint8_t)(0x10 | (counter & 0xf));
}

static void a_missing_packet_of_a_pid_is_a_discontinuity(void **state)
{
	static struct mpeg_ts ts;
	uint8_t datagram[2 * MPEG_TS_PACKET];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		if (i == 50)
			continue;
		put_packet(datagram, 256, i);
		put_packet(datagram + MPEG_TS_PACKET, 257, i);
		assert_true(mpeg_ts_count(&ts, datagram, sizeof(datagram)));
	}
	assert_int_equal(ts.packets, 198);
	assert_int_equal(ts.discontinuities, 2);
}

static void what_may_be_so_is_no_discontinuity(void **state)
{
	static struct mpeg_ts ts;
	uint8_t packet[MPEG_TS_PACKET];

	(void)state;
	put_packet(packet, 256, 1);
	mpeg_ts_count(&ts, packet, sizeof(packet));
	mpeg_ts_count(&ts, packet, sizeof(packet)); /* repeated once */
	put_packet(packet, 256, 7);
	packet[3] = 0x20 | 7; /* without payload */
	mpeg_ts_count(&ts, packet, sizeof(packet));
	put_packet(packet, 256, 9);
	packet[3] |= 0x20;
	packet[4] = 1;
	packet[5] = 0x80; /* announced */
	mpeg_ts_count(&ts, packet, sizeof(packet));
	put_packet(packet, 0x1fff, 3); /* the null PID */
	mpeg_ts_count(&ts, packet, sizeof(packet));
	put_packet(packet, 0x1fff, 9);
	mpeg_ts_count(&ts, packet, sizeof(packet));
	assert_int_equal(ts.discontinuities, 0);
}

static void what_is_no_transport_stream_is_told(void **state)
{
	static struct mpeg_ts ts;
	uint8_t datagram[2 * MPEG_TS_PACKET];

	(void)state;
	put_packet(datagram, 1, 1);
	put_packet(datagram + MPEG_TS_PACKET, 1, 2);
	datagram[MPEG_TS_PACKET] = 0x46;
	assert_false(mpeg_ts_count(&ts, datagram, sizeof(datagram)));
	assert_false(mpeg_ts_count(&ts, datagram, MPEG_TS_PACKET - 1));
	assert_false(mpeg_ts_count(&ts, datagram, 0));
	assert_int_equal(ts.packets, 0);
}

static void jitter_is_that_of_rfc_3550(void **state)
{
	struct jitter jitter = {0};
	uint64_t ns;

	(void)state;
	/* 48 kHz, a millisecond each, every second one half a millisecond late. */
	for (uint32_t i = 0; i < 5000; i++)
		jitter_note(&jitter, i * 48, i * NS_PER_MS + (i & 1 ? NS_PER_MS / 2 : 0));
	assert_true(jitter_read(&jitter, &ns));
	assert_in_range(ns, NS_PER_MS * 49 / 100, NS_PER_MS * 51 / 100);
}

static void without_a_usual_clock_there_is_no_jitter(void **state)
{
	struct jitter jitter = {0};
	uint64_t ns;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		jitter_note(&jitter, i * 60, i * NS_PER_MS);
	assert_false(jitter_read(&jitter, &ns));
}

static void quantiles_are_right_within_an_eighth(void **state)
{
	static struct spread spread;

	(void)state;
	assert_int_equal(spread_quantile(&spread, 0.5), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		spread_add(&spread, i * 1000);
	assert_in_range(spread_quantile(&spread, 0.5), 50000000, 50000000 * 9ull / 8);
	assert_in_range(spread_quantile(&spread, 0.99), 99000000, 99000000 * 9ull / 8);
	spread_add(&spread, UINT64_MAX);
	assert_true(spread_quantile(&spread, 1) > 100000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtp_has_a_number_and_a_source),
		cmocka_unit_test(no_more_is_read_than_is_reached),
		cmocka_unit_test(moldudp64_has_messages_of_a_session),
		cmocka_unit_test(iperf_ends_with_a_negated_number),
		cmocka_unit_test(integers_stand_at_their_offset),
		cmocka_unit_test(what_is_no_numbering_is_refused),
		cmocka_unit_test(a_missing_packet_of_a_pid_is_a_discontinuity),
		cmocka_unit_test(what_may_be_so_is_no_discontinuity),
		cmocka_unit_test(what_is_no_transport_stream_is_told),
		cmocka_unit_test(jitter_is_that_of_rfc_3550),
		cmocka_unit_test(without_a_usual_clock_there_is_no_jitter),
		cmocka_unit_test(quantiles_are_right_within_an_eighth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
