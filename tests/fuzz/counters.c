/* The memory of counters as an earlier run may have left it: it is refused, or each record that is
 * taken is its owner's alone. The input is pieces of the file, so that they may be far apart. */
#include <stdio.h>

#include "data/counters.h"
#include "fuzz.h"

#define RECORDS 64
#define PAGE 4096

static const size_t sizes[] = {40, 72, 200, 16};

/* No run writes behind the first page that it does not use. */
static void cut_unused(int fd)
{
	uint64_t record_size = 0;
	off_t at = PAGE;

	while (pread(fd, &record_size, sizeof(record_size), at) == sizeof(record_size) &&
		record_size && record_size <= 64 * PAGE)
		at += (off_t)(sizeof(record_size) + record_size + PAGE - 1) / PAGE * PAGE;
	if (record_size <= 64 * PAGE)
		CHECK(ftruncate(fd, at) == 0);
}

/* [page][offset, 2 bytes][length] and the bytes. */
static int write_memory(struct input *input)
{
	int fd = memfd_create("counters", MFD_CLOEXEC);

	CHECK(fd >= 0);
	while (input->size) {
		unsigned page = input_byte(input) & 7, low = input_byte(input),
			 high = input_byte(input);
		size_t length;
		const uint8_t *bytes = input_bytes(input, input_byte(input), &length);

		CHECK(pwrite(fd, bytes, length, page * PAGE + ((low | high << 8) & (PAGE - 1))) ==
			(ssize_t)length);
	}
	cut_unused(fd);
	return fd;
}

static void *take_one(struct counters *counters, unsigned i)
{
	size_t size = sizes[i % ARRAY_SIZE(sizes)];
	char key[32];
	void *record;

	snprintf(key, sizeof(key), "group %u", i);
	record = counters_take(counters, key, size, 0);
	if (record)
		memset(record, (int)i, size);
	return record;
}

static void check_one(const uint8_t *record, unsigned i)
{
	for (size_t at = 0; record && at < sizes[i % ARRAY_SIZE(sizes)]; at++)
		CHECK(record[at] == i);
}

/* The run after this one finds what this one has left, once. */
static void check_next_run(struct counters *counters, void *const records[RECORDS])
{
	struct counters *next = NULL;

	CHECK(counters_open(dup(counters_fd(counters)), &next) == 0);
	for (unsigned i = 0; i < RECORDS; i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)];
		char key[32];

		if (!records[i])
			continue;
		check_one(counters_peek(next, counters_key(records[i]), size), i);
		snprintf(key, sizeof(key), "group %u", i);
		check_one(counters_take(next, key, size, 0), i);
		CHECK(!counters_peek(next, counters_key(records[i]), size));
	}
	counters_free(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct counters *counters = NULL;
	void *records[RECORDS];

	/* Takes the descriptor over, whatever it returns. */
	if (counters_open(write_memory(&input), &counters) < 0)
		return 0;
	for (unsigned i = 0; i < RECORDS; i++)
		records[i] = take_one(counters, i);
	for (unsigned i = 0; i < RECORDS; i += 3)
		counters_release(counters, records[i]);
	counters_settle(counters);
	for (unsigned i = 0; i < RECORDS; i += 3)
		records[i] = take_one(counters, i);
	for (unsigned i = 0; i < RECORDS; i++)
		check_one(records[i], i);
	counters_freeze(counters);
	check_next_run(counters, records);
	counters_free(counters);
	return 0;
}
