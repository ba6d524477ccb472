/* Frames from the wire: nothing is read beyond what was captured, and what is told of a frame fits
 * together. What has been cut short tells no more than the whole. The input: 4 bytes of context,
 * and the frame. */
#include "ctl/doctor/frame.h"
#include "fuzz.h"

static void check_records(const struct frame *frame)
{
	CHECK(frame->record_count <= FRAME_RECORDS_MAX);
	CHECK(frame->kind == FRAME_REPORT || frame->kind == FRAME_QUERY || !frame->record_count);
	for (size_t i = 0; i < frame->record_count; i++)
		CHECK(frame->records[i].group.family == frame->source.family);
	if (frame->kind == FRAME_QUERY)
		CHECK(frame->record_count <= 1);
	if (frame->kind == FRAME_QUERY || frame->kind == FRAME_REPORT)
		CHECK(frame->version >= 1 &&
			frame->version <= (frame->source.family == AF_INET ? 3 : 2));
	else
		CHECK(!frame->version);
}

static void check_frame(const struct frame *frame, const uint8_t *data, size_t size)
{
	CHECK(frame->vlan >= -1 && frame->vlan <= 0xfff);
	CHECK(frame->source.family == frame->destination.family);
	CHECK(frame->source.family != AF_UNSPEC || frame->kind == FRAME_OTHER);
	if (frame->payload)
		CHECK(frame->payload >= data && frame->payload_size <= size &&
			frame->payload + frame->payload_size <= data + size);
	if (frame->kind != FRAME_UDP)
		CHECK(!frame->bad_udp_checksum && !frame->bad_udp_length);
	CHECK(!frame->bad_udp_checksum || !frame->bad_udp_length);
	if (frame->kind == FRAME_FRAGMENT)
		CHECK(frame->fragment_offset || frame->more_fragments);
	if (frame->fragment_offset)
		CHECK(frame->kind != FRAME_UDP && !frame->destination_port && !frame->payload);
	check_records(frame);
}

/* Of exactly that size, so that the sanitizer sees who reads on. */
static void parse(
	const uint8_t *data, size_t size, const struct frame_context *context, struct frame *ret)
{
	AUTO_FREE uint8_t *copy = malloc(size ? size : 1);

	CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	frame_parse(copy, size, context, ret);
	check_frame(ret, copy, size);
	CHECK(!context->checksum_not_ready || !ret->bad_udp_checksum ||
		ret->source.family == AF_UNSPEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t flags = input_byte(&input), cut = input_byte(&input);
	uint8_t vlan = input_byte(&input), more = input_byte(&input);
	struct frame_context context = {
		.vlan = flags & 4 ? vlan : -1,
		.checksum_not_ready = flags & 2,
		.has_ethernet = !(flags & 1),
		.wire_size = input.size + more,
	};
	struct frame whole, shorter;
	size_t left = cut < input.size ? input.size - cut : 0;

	parse(input.data, input.size, &context, &whole);
	context.wire_size = input.size + more;
	parse(input.data, left, &context, &shorter);
	CHECK(shorter.kind == whole.kind || shorter.kind == FRAME_OTHER ||
		whole.kind == FRAME_OTHER);
	CHECK(!shorter.bad_udp_checksum || whole.bad_udp_checksum);
	CHECK(shorter.record_count <= whole.record_count || whole.kind == FRAME_OTHER);
	return 0;
}
