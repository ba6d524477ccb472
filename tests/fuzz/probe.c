/* What comes in at the receiving end of a probe, from anybody: packets are written again as they
 * were read, and what is measured agrees. Each datagram is its size, the time since the last, and
 * so many bytes. */
#include "base/clock.h"
#include "ctl/probe/measure.h"
#include "ctl/probe/packet.h"
#include "fuzz.h"

static void read_packet(const uint8_t *payload, size_t size)
{
	uint8_t again[UINT8_MAX];
	struct probe_packet packet, other;

	if (!probe_packet_read(payload, size, &packet))
		return;
	CHECK(size >= PROBE_SIZE_MIN);
	probe_packet_write(&packet, again, size);
	CHECK(probe_packet_read(again, size, &other) && packet.ssrc == other.ssrc &&
		packet.number == other.number && packet.total == other.total &&
		packet.sent_ns == other.sent_ns && packet.ttl == other.ttl);
}

static void check(struct measure *measure, uint64_t taken)
{
	struct measured measured;

	measure_read(measure, &measured);
	CHECK(measured.received + measured.others == taken);
	CHECK(measured.is_begun || !measured.received);
	CHECK(measured.hops_least <= measured.hops_most);
	CHECK(measured.delay_p50_ns <= measured.delay_p99_ns &&
		measured.delay_p99_ns <= measured.delay_max_ns);
	CHECK(measured.duplicates + measured.reordered <= measured.received);
	CHECK(measured.received ==
		measured.sent - measured.lost + measured.duplicates + measured.late);
	CHECK(measured.lost_at_end <= measured.lost && measured.lost <= measured.sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct measure *measure = measure_new();
	uint64_t now_ns = NS_PER_S, taken = 0;

	CHECK(measure);
	while (input.size) {
		size_t wanted = input_byte(&input), got;
		uint8_t time = input_byte(&input);
		const uint8_t *payload = input_bytes(&input, wanted, &got);

		read_packet(payload, got);
		now_ns += 1ull << time % 48;
		measure_take(measure, payload, got, time, now_ns);
		taken++;
	}
	check(measure, taken);
	measure_free(measure);
	return 0;
}
