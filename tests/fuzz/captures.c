/* Captures of any program, pcapng and pcap, and the packets in them, whole and in fragments. */
#include <stdio.h>

#include "ctl/recording.h"
#include "formats/pcapng.h"
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
			for (size_t i = 0; i < datagram.datagram.size; i++)
				sum = sum ^ datagram.datagram.data[i];
		} else {
			CHECK(recording_fill(&recording) == 0 && ++fills <= size + 2);
		}
	CHECK(r == 0 || (r == -EBADMSG && recording.why));
	for (int i = 0; i < DISSECT_RESULTS; i++)
		skipped += recording.skipped[i];
	CHECK(count + skipped <= recording.packets);
	CHECK(recording.packets <= size / PCAPNG_HEADER_SIZE);
	CHECK(recording.reassembly.open.count == 0);
	CHECK(recording_rewind(&recording) == 0);
}

/* The time of the first packet, as a recorder asks its file. */
static void try_first_time(const uint8_t *data, size_t size)
{
	uint64_t ns = 0;

	CHECK(pcapng_first_time(fuzz_file(data, size), size, &ns) <= 0);
}

static bool is_within(const uint8_t *data, size_t size, const struct dissected *datagram)
{
	return datagram->data >= data && datagram->size <= size &&
	       datagram->data + datagram->size <= data + size;
}

static void try_packet(const uint8_t *data, size_t size)
{
	static const uint16_t links[] = {
		0, 1, 9, 12, 14, 50, 51, 101, 108, 113, 127, 228, 229, 276};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const struct captured_packet packet = {
			.link_type = links[i], .data = data, .size = size};
		struct dissected datagram;
		enum dissect_result result = dissect(&packet, &datagram);

		if (result == DISSECT_UDP || result == DISSECT_FRAGMENT)
			CHECK(is_within(data, size, &datagram));
	}
}

/* Fragments of a few packets, each with four bytes that say which and where, and its size. What
 * becomes whole must have a payload within, and not more be held than there is room for. */
static void try_fragments(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct reassembly reassembly = {0};

	while (input.size) {
		struct dissected part = {.source.family = AF_INET6, .destination.family = AF_INET6};
		enum dissect_result result;
		const uint8_t *whole;
		uint8_t which = input_byte(&input);
		size_t whole_size;

		part.fragment = (struct fragment){.identification = which & 0x3f,
			.offset = (uint32_t)input_byte(&input) * 8,
			.more = which & 0x40,
			.protocol = which & 0x80 ? IPPROTO_UDP : IPPROTO_DSTOPTS};
		part.data = input_bytes(&input, input_byte(&input), &part.size);
		if (!part.size || (part.fragment.more && part.size % 8))
			continue;
		if (reassembly_take(&reassembly, &part, 0, (uint64_t)which << 30, &whole,
			    &whole_size) == 1) {
			result = dissect_whole(whole, whole_size, &part);
			CHECK(result == DISSECT_UDP || result == DISSECT_NOT_UDP ||
				result == DISSECT_FRAGMENT);
			if (result == DISSECT_UDP)
				CHECK(is_within(whole, whole_size, &part));
			else if (result == DISSECT_FRAGMENT)
				reassembly_reject(&reassembly);
		}
		CHECK(reassembly.open.count <= REASSEMBLY_MAX);
		CHECK(reassembly.whole.count <= REASSEMBLY_MAX);
	}
	reassembly_clear(&reassembly);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_recording(data, size);
	try_first_time(data, size);
	try_packet(data, size);
	try_fragments(data, size);
	return 0;
}
