#include "data/loop_meter.h"

void loop_meter_begin(struct loop_meter *meter, uint64_t processor_ns)
{
	meter->ended_ns = processor_ns;
}

void loop_meter_round(struct loop_meter *meter, uint64_t processor_ns)
{
	uint64_t took = processor_ns - meter->ended_ns;

	meter->ended_ns = processor_ns;
	meter->rounds++;
	meter->busy_ns += took;
	if (took > meter->longest_ns)
		meter->longest_ns = took;
}

uint64_t loop_meter_longest(struct loop_meter *meter, uint64_t now_ns)
{
	if (now_ns >= meter->window_end_ns) {
		meter->window_end_ns = now_ns + LOOP_METER_SHOWN_NS;
		meter->longest_before_ns = meter->longest_ns;
		meter->longest_ns = 0;
	}
	return meter->longest_ns > meter->longest_before_ns ? meter->longest_ns
							    : meter->longest_before_ns;
}
