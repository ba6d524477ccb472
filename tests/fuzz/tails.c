/* The end of a recorder's file after a run that was killed: what is cut off is no more than the
 * last record, and what is left is whole. */
#include <ctype.h>
#include <sys/stat.h>

#include "formats/pcapng.h"
#include "fuzz.h"
#include "recorder/file.h"

static bool is_record(const char *data, size_t size)
{
	static const char form[] = "{\"group\":\"";

	return !memcmp(data, form, size < sizeof(form) - 1 ? size : sizeof(form) - 1);
}

static int measure_lines(int fd, uint64_t size, uint64_t *ret_whole)
{
	return recorder_measure_lines(fd, size, is_record, ret_whole);
}

static uint64_t size_of(int fd)
{
	struct stat status;

	CHECK(fstat(fd, &status) == 0);
	return (uint64_t)status.st_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static recorder_measure *const ways[] = {
		pcapng_measure, pcapng_measure_ethernet, measure_lines, NULL};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct recorder_file file = {.fd = fuzz_file(data, size), .regular = true};
		uint64_t cut = 0, again = 0;

		if (recorder_file_repair(&file, ways[i], &cut) < 0) {
			CHECK(size_of(file.fd) == size);
			continue;
		}
		CHECK(cut <= size && cut <= RECORDER_TAIL_MAX && size_of(file.fd) == size - cut);
		CHECK(ways[i] || !cut);
		CHECK(recorder_file_repair(&file, ways[i], &again) == 0 && again == 0);
	}
	return 0;
}
