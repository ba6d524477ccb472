/* The handler pcapng: what its statistics say that the kernel dropped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/io.h"
#include "formats/pcapng.h"
#include "handlers/handler.h"
#include "recorder/settings.h"

#define ORIGINS 500
#define BEYOND 20000 /* more than the handler stores */

extern const struct handler_kind pcapng_kind;

struct recording {
	char directory[32], path[64];
	void *handler;
	struct origin *origins[BEYOND];
	size_t count;
};

static struct recording recording;
static struct outcome outcome;

static int begin(void **state)
{
	char *settings = calloc(1, pcapng_kind.config.schema.size), why[WHY_MAX];
	const struct handler_context context = {.name = "test"};

	(void)state;
	strcpy(recording.directory, "/tmp/test_pcapng-XXXXXX");
	if (!settings || !mkdtemp(recording.directory))
		return -1;
	snprintf(recording.path, sizeof(recording.path), "%s/p.pcapng", recording.directory);
	*(struct recorder_settings *)settings = (struct recorder_settings){
		.path = recording.path, .flush = NS_PER_S};
	assert_int_equal(pcapng_kind.open(settings, &context, why, &recording.handler), 0);
	pcapng_kind.begin(recording.handler);
	free(settings);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < recording.count; i++)
		origin_unref(recording.origins[i]);
	unlink(recording.path);
	rmdir(recording.directory);
	recording = (struct recording){0};
	outcome = (struct outcome){0};
	return 0;
}

static struct origin *add_origin(void)
{
	const struct address address = {.family = AF_INET, .v4.s_addr = htonl(0xe9fc0001)};
	struct origin *origin = origin_new("news", &address, 5004, "eth0", 2);

	assert_non_null(origin);
	return recording.origins[recording.count++] = origin;
}

static void add_origins(size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_origin();
}

static void drop(struct origin *origin, uint64_t count)
{
	atomic_fetch_add(&origin->kernel_dropped, count);
}

/* Delivers one datagram. */
static void deliver(struct origin *origin)
{
	const struct datagram datagram = {.payload = (const uint8_t *)"x",
		.size = 1,
		.ttl = 1,
		.timestamp_ns = NS_PER_S,
		.source.v4 = {.sin_family = AF_INET}};
	const struct batch batch = {.origin = origin, .count = 1, .datagrams = &datagram};

	pcapng_kind.deliver(recording.handler, &batch, &outcome);
}

/* The option isb_osdrop of a block of statistics. */
static uint64_t read_osdrop(const char *block, size_t size)
{
	uint16_t code = 0, length = 0;
	uint64_t value = UINT64_MAX;

	for (size_t at = 20; at + 4 < size && code != PCAPNG_STATISTICS_KERNEL_DROPPED;
		at += 4 + pcapng_padded(length)) {
		memcpy(&code, block + at, 2);
		memcpy(&length, block + at + 2, 2);
		memcpy(&value, block + at + 4, sizeof(value));
	}
	return value;
}

/* Ends the recording. Returns what its last statistics say. */
static uint64_t finish(void)
{
	AUTO_TEXT struct text text = {0};
	uint64_t last = UINT64_MAX;
	struct pcapng_block block;

	pcapng_kind.finish(recording.handler, 0, &outcome);
	pcapng_kind.close(recording.handler);
	assert_int_equal(read_file(recording.path, 1 << 30, &text), 0);
	for (size_t at = 0; at < text.length; at += block.size) {
		block = pcapng_read_block(text.data + at);
		if (block.type == PCAPNG_BLOCK_STATISTICS)
			last = read_osdrop(text.data + at, block.size);
	}
	return last;
}

static void drops_of_many_groups_all_count(void **state)
{
	(void)state;
	add_origins(ORIGINS);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < ORIGINS; i++)
			deliver(recording.origins[i]);
		for (size_t i = 0; i < ORIGINS; i++)
			drop(recording.origins[i], 1);
	}
	assert_int_equal(finish(), 3 * ORIGINS);
}

static void drops_before_the_first_datagram_count(void **state)
{
	struct origin *origin = add_origin();

	(void)state;
	drop(origin, 5);
	deliver(origin);
	drop(origin, 2);
	assert_int_equal(finish(), 7);
}

static void drops_before_the_group_got_the_handler_do_not_count(void **state)
{
	struct origin *origin = add_origin();

	(void)state;
	drop(origin, 5);
	atomic_store(&origin->kernel_dropped_before, 5);
	drop(origin, 3);
	deliver(origin);
	assert_int_equal(finish(), 3);
}

static void drops_of_a_membership_that_has_gone_count(void **state)
{
	struct origin *origin = add_origin();

	(void)state;
	deliver(origin);
	drop(origin, 4);
	origin_unref(origin);
	recording.count = 0;
	assert_int_equal(finish(), 4);
}

/* Of groups beyond the number that is stored some count too little, but none counts twice. */
static void drops_are_never_counted_twice(void **state)
{
	uint64_t counted;

	(void)state;
	add_origins(BEYOND);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < BEYOND; i++)
			deliver(recording.origins[i]);
		for (size_t i = 0; i < BEYOND; i++)
			drop(recording.origins[i], 1);
	}
	counted = finish();
	assert_true(counted > BEYOND / 2 && counted <= 2 * BEYOND);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drops_of_many_groups_all_count, begin, end),
		cmocka_unit_test_setup_teardown(drops_before_the_first_datagram_count, begin, end),
		cmocka_unit_test_setup_teardown(
			drops_before_the_group_got_the_handler_do_not_count, begin, end),
		cmocka_unit_test_setup_teardown(
			drops_of_a_membership_that_has_gone_count, begin, end),
		cmocka_unit_test_setup_teardown(drops_are_never_counted_twice, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
