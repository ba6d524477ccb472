#include "formats/capture.h"

#include <string.h>

#include "base/cleanup.h"

#define MAGIC_SIZE PCAP_MAGIC_SIZE

#define CUT "the last packet is cut short, as when the capture was not ended but killed"

static const uint8_t section[MAGIC_SIZE] = {0x0a, 0x0d, 0x0d, 0x0a};

/* What else people give, and what makes a capture of it. */
static const char *why_not(const uint8_t *data, size_t size)
{
	static const struct {
		uint8_t magic[6];
		uint8_t length;
		const char *why;
	} others[] = {
#define COMPRESSED(with, cat) \
	"it is compressed with " with ": '" cat " FILE | mcastctl replay - ...' replays it"
		{{0x1f, 0x8b}, 2, COMPRESSED("gzip", "zcat")},
		{{0x28, 0xb5, 0x2f, 0xfd}, 4, COMPRESSED("zstd", "zstdcat")},
		{{0xfd, '7', 'z', 'X', 'Z', 0}, 6, COMPRESSED("xz", "xzcat")},
		{{'B', 'Z', 'h'}, 3, COMPRESSED("bzip2", "bzcat")},
		{{0x04, 0x22, 0x4d, 0x18}, 4, COMPRESSED("lz4", "lz4cat")},
#undef COMPRESSED
	};

	if (!size)
		return "it is empty: tcpdump writes to its file when it has much or ends, with -U "
		       "at once";
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (size >= others[i].length && !memcmp(data, others[i].magic, others[i].length))
			return others[i].why;
	return "it is neither a pcap nor a pcapng file: 'editcap FILE NEW.pcapng' converts what "
	       "else Wireshark reads";
}

static enum capture_format recognize(const uint8_t *data)
{
	if (!memcmp(data, section, MAGIC_SIZE))
		return CAPTURE_PCAPNG;
	return pcap_begins(data) ? CAPTURE_PCAP : CAPTURE_UNKNOWN;
}

/* Where a record would begin, another file may: 'zcat day.pcap0.gz day.pcap1.gz'. Within pcapng
 * another section is not another file. Returns PACKET_MORE where more bytes are needed. */
static enum packet_result begin_next_file(
	struct capture *capture, const uint8_t *data, size_t size, size_t *ret_size)
{
	bool is_pcap = capture->format == CAPTURE_PCAP;

	*ret_size = PCAP_RECORD_SIZE_MIN;
	if (size < MAGIC_SIZE || (!is_pcap && !pcap_begins(data)))
		return PACKET_NONE;
	if (size < PCAP_RECORD_SIZE_MIN)
		return PACKET_MORE;
	if (pcap_header_begins(data)) {
		capture->format = CAPTURE_PCAP;
		capture->pcap = (struct pcap){0};
	} else if (is_pcap && pcapng_begins(data)) {
		capture->format = CAPTURE_PCAPNG;
	}
	return PACKET_NONE;
}

enum packet_result capture_next(struct capture *capture, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet)
{
	enum packet_result result;

	if (capture->format == CAPTURE_UNKNOWN) {
		*ret_size = MAGIC_SIZE;
		if (size < MAGIC_SIZE)
			return PACKET_MORE;
		capture->format = recognize(data);
	} else if (begin_next_file(capture, data, size, ret_size) == PACKET_MORE) {
		return PACKET_MORE;
	}
	switch (capture->format) {
	case CAPTURE_PCAP:
		result = pcap_next(&capture->pcap, data, size, ret_size, ret_packet);
		capture->why = capture->pcap.why;
		return result;
	case CAPTURE_PCAPNG:
		result = pcapng_next(&capture->pcapng, data, size, ret_size, ret_packet);
		capture->why = capture->pcapng.why;
		return result;
	case CAPTURE_UNKNOWN:
		break;
	}
	capture->why = why_not(data, size);
	return PACKET_BAD;
}

const char *capture_end(const struct capture *capture, const uint8_t *data, size_t size)
{
	if (capture->format == CAPTURE_UNKNOWN)
		return why_not(data, size);
	return size ? CUT : NULL;
}

void capture_clear(struct capture *capture)
{
	pcapng_clear(&capture->pcapng);
	*capture = (struct capture){0};
}
