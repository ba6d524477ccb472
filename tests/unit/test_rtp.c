/* The header of RTP (RFC 3550, 5.1). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "formats/rtp.h"

/* Version, padding, extension and sources; marker and payload type; sequence 0x1234, timestamp
 * 0x89abcdef, SSRC 0xfedcba98. */
#define HEADER(first, second) first second "\x12\x34\x89\xab\xcd\xef\xfe\xdc\xba\x98"

/* The packet lies at the end of its memory, so that a read beyond it is seen. */
static bool parse(const char *packet, size_t size, struct rtp *ret)
{
	AUTO_FREE uint8_t *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	memcpy(copy, packet, size);
	return rtp_parse(copy, size, ret);
}

static void assert_payload(const char *packet, size_t size, const char *expected)
{
	struct rtp rtp;

	assert_true(parse(packet, size, &rtp));
	assert_int_equal(rtp.size, strlen(expected));
	assert_memory_equal(packet + rtp.offset, expected, rtp.size);
}

#define PAYLOAD(packet, expected) assert_payload(packet, sizeof(packet) - 1, expected)

static void assert_refused(const char *packet, size_t size)
{
	struct rtp rtp = {.offset = 1};

	assert_false(parse(packet, size, &rtp));
	assert_int_equal(rtp.offset, 1);
}

#define REFUSED(packet) assert_refused(packet, sizeof(packet) - 1)

static void all_fields_are_read(void **state)
{
	static const char packet[] = HEADER("\x80", "\xe1") "payload";
	struct rtp rtp;

	(void)state;
	assert_true(parse(packet, sizeof(packet) - 1, &rtp));
	assert_int_equal(rtp.payload_type, 97);
	assert_true(rtp.marker);
	assert_int_equal(rtp.sequence, 0x1234);
	assert_int_equal(rtp.timestamp, 0x89abcdef);
	assert_int_equal(rtp.ssrc, 0xfedcba98);
	assert_int_equal(rtp.offset, 12);
	assert_int_equal(rtp.size, 7);
}

static void the_payload_is_what_the_parts_leave(void **state)
{
	(void)state;
	PAYLOAD(HEADER("\x80", "\x21") "payload", "payload");
	PAYLOAD(HEADER("\x80", "\x21"), "");
	PAYLOAD(HEADER("\x82", "\x21") "SRC1SRC2payload", "payload");
	PAYLOAD(HEADER("\x90", "\x21") "\xbe\xde\0\1EXT1payload", "payload");
	PAYLOAD(HEADER("\x90", "\x21") "\xbe\xde\0\0payload", "payload");
	PAYLOAD(HEADER("\xa0", "\x21") "payload\1", "payload");
	PAYLOAD(HEADER("\xa0", "\x21") "payload\0\0\3", "payload");
	PAYLOAD(HEADER("\xa0", "\x21") "\0\0\0\4", "");
	PAYLOAD(HEADER("\xb1", "\x21") "SRC1\x10\0\0\2EXT1EXT2payload\0\2", "payload");
}

static void what_has_no_room_for_its_parts_is_refused(void **state)
{
	(void)state;
	REFUSED("");
	REFUSED("\x80\x21\x12\x34\x89\xab\xcd\xef\xfe\xdc\xba");
	REFUSED(HEADER("\x8f", "\x21") "SRC1SRC2");
	REFUSED(HEADER("\x90", "\x21"));
	REFUSED(HEADER("\x90", "\x21") "\xbe\xde\0");
	REFUSED(HEADER("\x90", "\x21") "\xbe\xde\0\2EXT1");
	REFUSED(HEADER("\x90", "\x21") "\xbe\xde\xff\xff");
	REFUSED(HEADER("\xa0", "\x21"));
	REFUSED(HEADER("\xa0", "\x21") "abc\0");
	REFUSED(HEADER("\xa0", "\x21") "abc\5");
	/* The padding may not reach into the other parts. */
	REFUSED(HEADER("\xa1", "\x21") "SRC1\2");
	REFUSED(HEADER("\xb0", "\x21") "\xbe\xde\0\1\0\0\0\1");
}

static void other_versions_are_refused(void **state)
{
	(void)state;
	REFUSED(HEADER("\x00", "\x21") "payload");
	REFUSED(HEADER("\x40", "\x21") "payload");
	REFUSED(HEADER("\xc0", "\x21") "payload");
	REFUSED("{\"event\": \"silence\"}");
}

/* By its packet types; a payload type that would look like one needs the marker to do so. */
static void rtcp_is_refused(void **state)
{
	char packet[] = HEADER("\x80", "\xc8") "twelve bytes";
	struct rtp rtp;

	(void)state;
	for (unsigned second = 0; second <= UINT8_MAX; second++) {
		packet[1] = (char)second;
		assert_int_equal(
			parse(packet, sizeof(packet) - 1, &rtp), second < 192 || second > 223);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_are_read),
		cmocka_unit_test(the_payload_is_what_the_parts_leave),
		cmocka_unit_test(what_has_no_room_for_its_parts_is_refused),
		cmocka_unit_test(other_versions_are_refused),
		cmocka_unit_test(rtcp_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
