/* The header of any payload: over IPv4 its checksum is right, as a receiver adds it up (RFC 768).
 */
#include "net/udp_header.h"
#include "fuzz.h"

/* Byte by byte, unlike the code under test. */
static uint32_t add(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	union endpoint from = {0}, to = {0};
	struct udphdr header;
	uint32_t sum;

	input_take(&input, &from, sizeof(from));
	input_take(&input, &to, sizeof(to));
	from.any.sa_family = to.any.sa_family = input_byte(&input) & 1 ? AF_INET6 : AF_INET;
	if (input.size > datagram_max(from.any.sa_family))
		return 0;
	udp_header_write(&header, &from, &to, input.data, input.size);
	CHECK(ntohs(header.len) == sizeof(header) + input.size);
	CHECK(header.source == htons(endpoint_port(&from)) &&
		header.dest == htons(endpoint_port(&to)));
	if (to.any.sa_family == AF_INET6) {
		CHECK(!header.check);
		return 0;
	}
	CHECK(header.check);
	sum = IPPROTO_UDP + ntohs(header.len);
	sum = add(sum, &from.v4.sin_addr, sizeof(from.v4.sin_addr));
	sum = add(sum, &to.v4.sin_addr, sizeof(to.v4.sin_addr));
	sum = add(sum, &header, sizeof(header));
	sum = add(sum, input.data, input.size);
	CHECK((sum & 0xffff) + (sum >> 16) == 0xffff);
	return 0;
}
