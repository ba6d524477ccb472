/* The guard against rings of relays, and what arrives twice by two interfaces: whatever comes, in
 * whatever order and at whatever times, only what came before is a copy. Payloads are numbers. */
#include "data/loop_guard.h"
#include "data/twins.h"
#include "fuzz.h"

#define PAYLOADS 16
#define INTERFACES 4

/* When each payload came last by each interface; 0: never. */
static uint32_t heard_ms[PAYLOADS][INTERFACES];
static bool judged[PAYLOADS];

static void take_twin(struct twins *twins, uint32_t payload, unsigned ifindex, uint32_t now_ms)
{
	struct datagram datagram = {.payload = (const uint8_t *)&payload,
		.size = sizeof(payload),
		.source.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)}};
	uint32_t *heard = heard_ms[payload];
	unsigned other = 0;

	if (twins_take(twins, NULL, &datagram, ifindex + 1, now_ms, &other)) {
		CHECK(other && other != ifindex + 1 && other <= INTERFACES);
		CHECK(heard[other - 1] && now_ms - heard[other - 1] <= 2 * TWINS_WINDOW_MS);
	}
	heard[ifindex] = now_ms;
}

static void judge(struct loop_guard *guard, uint32_t payload, unsigned sender, uint64_t now_ns)
{
	struct address address = {.family = AF_INET, .v4.s_addr = htonl(0xc0000201 + sender)};

	if (loop_guard_judge(guard, &payload, sizeof(payload), &address, now_ns) != LOOP_NONE)
		CHECK(judged[payload]);
	judged[payload] = true;
}

/* Answers of the reader that is asked to pause. */
static void take_pause(struct loop_guard *guard, uint8_t way, uint64_t now_ns)
{
	if (!loop_guard_take_pause(guard))
		return;
	if (way & 1) {
		loop_guard_refuse_pause(guard);
		return;
	}
	loop_guard_end_pause(guard);
	loop_guard_was_queued(guard, way & 2, now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct loop_guard *guard = loop_guard_new();
	struct twins *twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS);
	uint64_t now_ms = 1;

	CHECK(guard && twins);
	memset(heard_ms, 0, sizeof(heard_ms));
	memset(judged, 0, sizeof(judged));
	while (input.size) {
		uint8_t what = input_byte(&input), which = input_byte(&input),
			times = input_byte(&input);

		/* 1 ms to 32 s; and the same payload many times, as in a ring. */
		now_ms += what & 16 ? 1u << (what & 15) : 0;
		for (unsigned i = 0; i <= times; i++) {
			judge(guard, which & 15, which >> 4, now_ms * 1000000 + i * 1000);
			if (what & 32)
				take_pause(guard, what >> 6, now_ms * 1000000 + i * 1000);
		}
		take_twin(twins, which & 15, which >> 4 & 3, (uint32_t)now_ms);
	}
	loop_guard_free(guard);
	free(twins);
	return 0;
}
