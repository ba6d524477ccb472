/* mcastctl send reads payloads from standard input: what it asks the daemon for, as jansson reads
 * it, is each line, or all of it, and nothing else. The first byte says which. */
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

static const struct way {
	const char *words[5];
	unsigned requests; /* 0: one for each line */
} ways[] = {
	{{"send", "--lines", "news"}, 0},
	{{"send", "news"}, 1},
	{{"--json", "send", "--lines", "news"}, 0},
	{{"send", "--file=/dev/stdin", "news"}, 1},
	{{"send", "--count=3", "news"}, 3},
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

/* Whether one request is a Send of these bytes. */
static void check_request(const char *request, const uint8_t *data, size_t size)
{
	json_t *root = json_loads(request, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *parameters = json_object_get(root, "parameters");
	const json_t *text = json_object_get(parameters, "text");
	const char *base64 = json_string_value(json_object_get(parameters, "base64"));
	AUTO_TEXT struct text decoded = {0};

	CHECK(!strcmp(json_string_value(json_object_get(root, "method")), "io.mcastd.Send"));
	CHECK(!strcmp(json_string_value(json_object_get(parameters, "group")), "news"));
	CHECK(json_object_size(parameters) == 2 && (text || base64));
	if (text)
		text_append(&decoded, json_string_value(text), json_string_length(text));
	else
		CHECK(text_append_base64_decoded(&decoded, base64, strlen(base64)) == 0);
	CHECK(decoded.length == size && (!size || !memcmp(decoded.data, data, size)));
	json_decref(root);
}

static void check_requests(struct input input, unsigned wanted)
{
	static char requests[1 << 20];
	unsigned count = 0;
	size_t got = 0;
	ssize_t n;

	while ((n = recv(peer, requests + got, sizeof(requests) - got, MSG_DONTWAIT)) > 0)
		got += (size_t)n;
	for (size_t at = 0; at < got; at += strlen(requests + at) + 1, count++) {
		const uint8_t *feed = wanted || !input.size ? NULL
							    : memchr(input.data, '\n', input.size);
		size_t size = feed ? (size_t)(feed - input.data) : input.size;

		CHECK(memchr(requests + at, '\0', got - at));
		check_request(requests + at, input.data, size);
		if (wanted)
			continue;
		input.data += size + (feed != NULL);
		input.size -= size + (feed != NULL);
	}
	CHECK(wanted ? count == wanted : !input.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	const struct way *way = &ways[input_byte(&input) % ARRAY_SIZE(ways)];
	unsigned feeds = 0;

	for (size_t i = 0; i < input.size; i++)
		feeds += input.data[i] == '\n';
	if (input.size > INPUT_MAX || feeds >= REQUESTS_MAX)
		return 0;
	CHECK(dup2(fuzz_file(input.data, input.size), STDIN_FILENO) == STDIN_FILENO);
	if (run(way->words) == EXIT_DONE)
		check_requests(input, way->requests);
	else
		CHECK(way->requests && !input.size); /* usually a mistake */
	return 0;
}
