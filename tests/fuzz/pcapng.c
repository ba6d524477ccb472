/* pcapng files of any program, and the packets in them. */
#include <stdio.h>

#include "ctl/recording.h"
#include "fuzz.h"

static volatile uint8_t sum; /* of what is read, so that it is read */

static void try_recording(const uint8_t *data, size_t size)
{
	AUTO_RECORDING struct recording recording;
	struct recorded datagram;
	uint64_t count = 0, skipped = 0, fills = 0;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(data, size));
	CHECK(recording_open(&recording, path) == 0);
	while ((r = recording_next(&recording, &datagram)) == 1 || r == -EAGAIN)
		if (r == 1) {
			count++;
			for (size_t i = 0; i < datagram.payload.size; i++)
				sum = sum ^ datagram.payload.data[i];
		} else {
			CHECK(recording_fill(&recording) == 0 && ++fills <= size + 2);
		}
	CHECK(r == 0 || (r == -EBADMSG && recording.why));
	for (int i = 0; i < SKIP_REASONS; i++)
		skipped += recording.skipped[i];
	CHECK(count + skipped <= size / PCAPNG_HEADER_SIZE);
	CHECK(recording_rewind(&recording) == 0);
}

static void try_packet(const uint8_t *data, size_t size)
{
	static const uint16_t links[] = {0, 1, 12, 101, 108, 113, 228, 229, 276};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct payload payload;

		if (dissect(links[i], data, size, &payload) == DISSECT_UDP)
			CHECK(payload.data >= data && payload.size <= size &&
				payload.data + payload.size <= data + size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_recording(data, size);
	try_packet(data, size);
	return 0;
}
