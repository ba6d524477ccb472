#include "net/udp_header.h"

#include <string.h>

/* Adds bytes to a sum of words in network order (RFC 1071). All but the last bytes must come in
 * even numbers. */
static uint64_t add(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *at = data;
	uint32_t word;
	uint16_t half;

	for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	if (size >= sizeof(half)) {
		memcpy(&half, at, sizeof(half));
		sum += half;
		at += sizeof(half);
		size -= sizeof(half);
	}
	if (size) {
		half = 0;
		memcpy(&half, at, 1);
		sum += half;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* 0 stands for no checksum, so that a sum of 0 is sent as its other form. */
static uint16_t checksum_v4(const struct udphdr *header, const union endpoint *from,
	const union endpoint *to, const void *payload, size_t size)
{
	uint64_t sum = (uint64_t)htons(IPPROTO_UDP) + header->len;
	uint16_t result;

	sum = add(sum, &from->v4.sin_addr, sizeof(from->v4.sin_addr));
	sum = add(sum, &to->v4.sin_addr, sizeof(to->v4.sin_addr));
	sum = add(sum, header, sizeof(*header));
	sum = add(sum, payload, size);
	result = (uint16_t)~fold(sum);
	return result ? result : 0xffff;
}

void udp_header_write(struct udphdr *ret, const union endpoint *from, const union endpoint *to,
	const void *payload, size_t size)
{
	*ret = (struct udphdr){.source = htons(endpoint_port(from)),
		.dest = htons(endpoint_port(to)),
		.len = htons((uint16_t)(sizeof(*ret) + size))};
	if (to->any.sa_family == AF_INET)
		ret->check = checksum_v4(ret, from, to, payload, size);
}
