/* The header of RTP, which any sender may have written: its parts and the payload fill the packet,
 * and the fields are written again as they were. What is refused has no place for one of the parts,
 * or is none of RTP. */
#include "formats/rtp.h"
#include "fuzz.h"

/* Cuts the parts off one by one, unlike the code under test. Returns whether all of them are there,
 * with the payload in *ret. */
static bool cut(struct input packet, struct input *ret)
{
	uint8_t header[12], extension[4], last;
	size_t size, wanted;

	if (input_take(&packet, header, sizeof(header)) < sizeof(header))
		return false;
	wanted = 4u * (header[0] % 16);
	input_bytes(&packet, wanted, &size);
	if (size < wanted)
		return false;
	if (header[0] & 16) {
		if (input_take(&packet, extension, sizeof(extension)) < sizeof(extension))
			return false;
		wanted = 4u * (256u * extension[2] + extension[3]);
		input_bytes(&packet, wanted, &size);
		if (size < wanted)
			return false;
	}
	if (header[0] & 32) {
		if (!packet.size)
			return false;
		last = packet.data[packet.size - 1];
		if (last < 1 || last > packet.size)
			return false;
		packet.size -= last;
	}
	*ret = packet;
	return true;
}

static void check_fields(const struct rtp *rtp, const uint8_t *packet)
{
	uint8_t again[] = {packet[0], (uint8_t)((rtp->marker ? 128 : 0) + rtp->payload_type),
		(uint8_t)(rtp->sequence / 256), (uint8_t)(rtp->sequence % 256),
		(uint8_t)(rtp->timestamp >> 24), (uint8_t)(rtp->timestamp >> 16),
		(uint8_t)(rtp->timestamp >> 8), (uint8_t)rtp->timestamp, (uint8_t)(rtp->ssrc >> 24),
		(uint8_t)(rtp->ssrc >> 16), (uint8_t)(rtp->ssrc >> 8), (uint8_t)rtp->ssrc};

	CHECK(rtp->payload_type < 128 && !memcmp(again, packet, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input payload = {0};
	struct rtp rtp = {0};
	bool is_rtp = rtp_parse(data, size, &rtp);
	bool is_whole = cut((struct input){data, size}, &payload);

	if (!is_rtp) {
		CHECK(!rtp.offset && !rtp.size);
		CHECK(!is_whole || data[0] / 64 != 2 || (data[1] >= 192 && data[1] < 224));
		return 0;
	}
	CHECK(is_whole && data[0] / 64 == 2 && (data[1] < 192 || data[1] >= 224));
	CHECK(data + rtp.offset == payload.data && rtp.size == payload.size);
	check_fields(&rtp, data);
	return 0;
}
