/* Both ways of a child's pipes: what it writes is logged in lines that can be shown, and the
 * records that it is given are framed so that it finds their ends. */
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>

#include "base/codec.h"
#include "base/escape.h"
#include "child/output.h"
#include "child/records.h"
#include "fuzz.h"

/* The log's lines, which are escaped bytes of the child behind words of ours. */
static void check_log(int log)
{
	static char lines[1 << 20];
	ssize_t size = pread(log, lines, sizeof(lines), 0);

	CHECK(size >= 0 && utf8_valid(lines, (size_t)size));
	for (ssize_t i = 0; i < size; i++)
		CHECK(lines[i] == '\n' || !has_controls(&lines[i], 1));
}

static void try_output(const uint8_t *data, size_t size)
{
	static int log = -1;
	struct output_budget budget = {.name = "tool"};
	struct output output;
	int fds[2];

	if (log < 0) {
		log = memfd_create("log", MFD_CLOEXEC);
		CHECK(dup2(log, STDERR_FILENO) == STDERR_FILENO);
	}
	CHECK(ftruncate(log, 0) == 0 && lseek(log, 0, SEEK_SET) == 0);
	CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	output_begin(&output, fds[0], 1, 0);
	for (size_t at = 0, piece; at < size; at += piece) {
		piece = (size_t)data[at] * 16 + 1;
		if (piece > size - at)
			piece = size - at;
		CHECK(write(fds[1], data + at, piece) == (ssize_t)piece);
		output_read(&output, &budget);
	}
	close(fds[1]);
	output_end(&output, &budget);
	check_log(log);
}

/* Whether a record is the payload in this framing. Returns its end in the stream. */
static size_t check_record(
	const char *stream, size_t size, enum framing framing, const struct datagram *datagram)
{
	size_t end = datagram->size;
	const char *feed;
	uint32_t length;

	switch (framing) {
	case FRAMING_LINES:
	case FRAMING_JSON:
		feed = memchr(stream, '\n', size);
		CHECK(feed && !has_controls(stream, (size_t)(feed - stream)));
		return (size_t)(feed - stream) + 1;
	case FRAMING_LENGTH:
		CHECK(size >= sizeof(length));
		memcpy(&length, stream, sizeof(length));
		CHECK(ntohl(length) == datagram->size && size - sizeof(length) >= end);
		CHECK(!end || !memcmp(stream + sizeof(length), datagram->payload, end));
		return end + sizeof(length);
	case FRAMING_NUL:
		CHECK(size > end && strlen(stream) == end);
		return end + 1;
	case FRAMING_RAW:
		CHECK(size >= end && (!end || !memcmp(stream, datagram->payload, end)));
		return end;
	}
	return 0;
}

/* Writes to a pipe with room for a page, which is read when it is full; or drops a record that was
 * written in part, as for a reader that has gone. All datagrams are counted. */
static void write_records(struct records *records, bool reader_goes)
{
	unsigned count = records->count;
	struct outcome outcome = {0};
	char page[4096];
	int fds[2], r;

	CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0 &&
		fcntl(fds[1], F_SETPIPE_SZ, sizeof(page)) >= 0);
	while (records_left(records) && (r = records_write(records, fds[1], &outcome)) < 0) {
		CHECK(r == -EAGAIN && read(fds[0], page, sizeof(page)) > 0);
		if (reader_goes)
			records_drop_torn(records, &outcome);
	}
	CHECK(outcome_total(&outcome) == count);
	CHECK(reader_goes || outcome.delivered == count);
	close(fds[0]);
	close(fds[1]);
}

/* Sends them to a socket that takes few at once. Its reader may go, and what is left with it. */
static void send_records(struct records *records, bool reader_goes)
{
	static char message[1 << 20];
	unsigned count = records->count, got = 0;
	struct outcome outcome = {0};
	int fds[2], r, least = 1;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) == 0);
	while ((r = records_send(records, fds[1], &outcome)) < 0) {
		CHECK(r == -EAGAIN && recv(fds[0], message, sizeof(message), 0) >= 0);
		got++;
		if (reader_goes)
			records_drop_all(records, DROP_ABSENT, &outcome);
	}
	while (got < outcome.delivered && recv(fds[0], message, sizeof(message), 0) >= 0)
		got++;
	CHECK(got == outcome.delivered && outcome_total(&outcome) == count);
	CHECK(reader_goes || outcome.delivered == count);
	close(fds[0]);
	close(fds[1]);
}

static void try_framing(enum framing framing, const struct batch *batch)
{
	struct records records = {0};
	unsigned refused = records_fill(&records, framing, batch);
	size_t at = 0;

	CHECK(refused + records.count == batch->count);
	CHECK(!refused || framing == FRAMING_NUL);
	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (framing == FRAMING_NUL && datagram->size &&
			memchr(datagram->payload, '\0', datagram->size))
			continue;
		at += check_record(
			records.bytes.data + at, records.bytes.length - at, framing, datagram);
	}
	CHECK(at == records.bytes.length);
	write_records(&records, batch->count & 1);
	CHECK(records_fill(&records, framing, batch) == refused);
	send_records(&records, batch->count & 1);
	records_clear(&records);
}

static void try_records(struct input input)
{
	static struct origin *origin;
	struct address group = {.family = AF_INET, .v4.s_addr = htonl(0xe9fc0001)};
	struct datagram datagrams[BATCH_MAX] = {0};
	struct batch batch = {.datagrams = datagrams};

	if (!origin)
		origin = origin_new("news", &group, 5004, "eth0", 2);
	batch.origin = origin;
	for (; input.size && batch.count < BATCH_MAX; batch.count++) {
		struct datagram *datagram = &datagrams[batch.count];
		size_t size;

		datagram->payload = input_bytes(&input, input_byte(&input), &size);
		datagram->size = (uint32_t)size;
	}
	for (enum framing framing = FRAMING_LINES; framing <= FRAMING_RAW; framing++)
		try_framing(framing, &batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 60000) /* a pipe takes no more at once */
		return 0;
	try_output(data, size);
	try_records((struct input){data, size});
	return 0;
}
