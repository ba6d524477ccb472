/* The memory of counters as an earlier run may have left it: it is refused, or each record that is
 * taken is its owner's alone. The input is pieces of the file, so that they may be far apart. */
#include <stdio.h>

#include "data/counters.h"
#include "fuzz.h"

#define RECORDS 64
#define PAGE 4096

static const size_t sizes[] = {40, 72, 200, 16};

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
	counters_free(counters);
	return 0;
}
