/* mcastctl send reads payloads from standard input: what it asks the daemon for, as jansson reads
 * it, is each line, or all of it, for each of its groups, and nothing else. The first byte says
 * which. */
#include <jansson.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/codec.h"
#include "base/text.h"
#include "ctl/command.h"
#include "fuzz.h"

/* What fits into the buffers of a socket that nobody reads meanwhile. */
#define INPUT_MAX 10000
#define REQUESTS_MAX 300

static const char *const groups[] = {"news", "alerts"};

static const struct way {
	const char *words[5];
	unsigned requests; /* to each group; 0: one for each line */
	unsigned groups;
	bool crlf; /* lines end in CR LF, whatever they ended in */
} ways[] = {
	{{"send", "--lines", "news"}, 0, 1, false},
	{{"send", "news"}, 1, 1, false},
	{{"--json", "send", "--lines", "news"}, 0, 1, false},
	{{"send", "--file=/dev/stdin", "news"}, 1, 1, false},
	{{"send", "--count=3", "news"}, 3, 1, false},
	{{"send", "--lines", "--crlf", "news"}, 0, 1, true},
	{{"send", "--lines", "news,alerts"}, 0, 2, false},
	{{"--json", "send", "--lines", "--crlf", "news,alerts"}, 0, 2, true},
	{{"send", "--count=2", "news,alerts"}, 2, 2, false},
};

static int peer = -1;

/* Instead of the C library's: the other side answers all that can be asked. */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	static const char answer[] = "{\"parameters\":{}}";
	char answers[REQUESTS_MAX * sizeof(answer)];
	int fds[2];

	(void)address, (void)size;
	for (size_t at = 0; at < sizeof(answers); at += sizeof(answer))
		memcpy(answers + at, answer, sizeof(answer));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	CHECK(send(fds[1], answers, sizeof(answers), MSG_DONTWAIT) == sizeof(answers));
	CHECK(dup2(fds[0], fd) == fd && close(fds[0]) == 0);
	closep(&peer);
	peer = fds[1];
	return 0;
}

/* The one of signals, which a process has once, and leaves to its end. */
int eventfd(unsigned count, int flags)
{
	static int fd = -1;

	if (fd < 0)
		fd = (int)syscall(SYS_eventfd2, count, flags);
	return fd;
}

static int run(const char *const words[5])
{
	char *argv[6] = {(char *)"mcastctl"};
	AUTO_ARGUMENTS struct arguments arguments = {0};
	AUTO_SESSION struct session session = {0};
	AUTO_TEXT struct text error = {0};
	int argc = 1, code;

	for (int i = 0; i < 5 && words[i]; i++)
		argv[argc++] = (char *)words[i];
	CHECK(arguments_parse(argc, argv, &arguments, &error) == 0 && arguments.command);
	session.command = arguments.command->name;
	session.socket = "/run/mcastd.sock";
	session.socket_given = true;
	session.writer.json = arguments.global[GLOBAL_JSON].given;
	code = arguments.command->run(&session, &arguments);
	writer_flush(&session.writer);
	return code;
}

/* Whether one request is a Send of these bytes to that group. */
static void check_request(const char *request, const char *group, const struct text *payload)
{
	json_t *root = json_loads(request, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *parameters = json_object_get(root, "parameters");
	const json_t *text = json_object_get(parameters, "text");
	const char *base64 = json_string_value(json_object_get(parameters, "base64"));
	AUTO_TEXT struct text decoded = {0};

	CHECK(!strcmp(json_string_value(json_object_get(root, "method")), "io.mcastd.Send"));
	CHECK(!strcmp(json_string_value(json_object_get(parameters, "group")), group));
	CHECK(json_object_size(parameters) == 2 && (text || base64));
	if (text)
		text_append(&decoded, json_string_value(text), json_string_length(text));
	else
		CHECK(text_append_base64_decoded(&decoded, base64, strlen(base64)) == 0);
	CHECK(decoded.length == payload->length &&
		(!decoded.length || !memcmp(decoded.data, payload->data, decoded.length)));
	json_decref(root);
}

/* Takes the next payload from the front of the input: a line of it, or all, which stays there. */
static void take_payload(const struct way *way, struct input *input, struct text *ret)
{
	const uint8_t *feed = input->size ? memchr(input->data, '\n', input->size) : NULL;
	size_t size = feed ? (size_t)(feed - input->data) : input->size;
	bool has_return = feed && size && feed[-1] == '\r';

	if (way->requests) {
		text_append(ret, (const char *)input->data, input->size);
		return;
	}
	if (way->crlf && size && input->data[size - 1] == '\r')
		text_append(ret, (const char *)input->data, size - 1);
	else
		text_append(ret, (const char *)input->data, size + (!way->crlf && has_return));
	if (way->crlf)
		text_append_string(ret, "\r\n");
	input->data += size + (feed != NULL);
	input->size -= size + (feed != NULL);
}

static void check_requests(const struct way *way, struct input input)
{
	static char requests[1 << 20];
	AUTO_TEXT struct text payload = {0};
	unsigned count = 0;
	size_t got = 0;
	ssize_t n;

	while ((n = recv(peer, requests + got, sizeof(requests) - got, MSG_DONTWAIT)) > 0)
		got += (size_t)n;
	for (size_t at = 0; at < got; at += strlen(requests + at) + 1, count++) {
		unsigned group = count % way->groups;

		CHECK(memchr(requests + at, '\0', got - at));
		if (!group) {
			text_clear(&payload);
			take_payload(way, &input, &payload);
		}
		check_request(requests + at, groups[group], &payload);
	}
	CHECK(count % way->groups == 0);
	CHECK(way->requests ? count == way->requests * way->groups : !input.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	const struct way *way = &ways[input_byte(&input) % ARRAY_SIZE(ways)];
	unsigned feeds = 0;

	for (size_t i = 0; i < input.size; i++)
		feeds += input.data[i] == '\n';
	if (input.size > INPUT_MAX || feeds >= REQUESTS_MAX / ARRAY_SIZE(groups))
		return 0;
	CHECK(dup2(fuzz_file(input.data, input.size), STDIN_FILENO) == STDIN_FILENO);
	if (run(way->words) == EXIT_DONE)
		check_requests(way, input);
	else
		CHECK(way->requests && !input.size); /* usually a mistake */
	return 0;
}
