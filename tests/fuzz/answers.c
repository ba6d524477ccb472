/* mcastctl against whatever answers at the socket: each command ends, and shows nothing that a
 * terminal takes for a command. The first byte is the command line, and whether it is a terminal of
 * 80 columns; the rest is what the other side has written before it closed. */
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/text.h"
#include "ctl/command.h"
#include "fuzz.h"

static const char *const lines[][4] = {
	{"groups"},
	{"handlers"},
	{"stats"},
	{"status"},
	{"tail", "news"},
	{"tail", "--format=json", "--count=2"},
	{"tail", "--format=hex", "news"},
	{"send", "news", "hello"},
	{"join", "233.252.0.1:5004"},
	{"leave", "news"},
	{"reload"},
	{"reload", "--dry-run"},
	{"rotate"},
	{"--json", "groups"},
	{"--json", "handlers"},
	{"--json", "stats"},
	{"stats", "--check"},
	{"--json", "stats", "--check"},
	{"--json", "tail", "--count=3"},
	{"tail", "--where=sources=10.0.0.0/8", "--where=not.size_max=100", "news"},
	{"send", "--hex=00ff0a", "news"},
	{"send", "--hex=0", "news"},
	{"send", "--lines", "--count=2", "news"},
	{"send", "--interval=0", "news", "x"},
	{"send", "news,news", "x"},
};

static struct input answer;
static int output = -1;
static bool is_terminal;
static int peer = -1; /* open until the next input, for what mcastctl writes */

/* Instead of the C library's: the other side is here, and has answered already. */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int fds[2];

	(void)address, (void)size;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	CHECK(send(fds[1], answer.data, answer.size, MSG_DONTWAIT) == (ssize_t)answer.size);
	shutdown(fds[1], SHUT_WR);
	CHECK(dup2(fds[0], fd) == fd && close(fds[0]) == 0);
	closep(&peer);
	peer = fds[1];
	return 0;
}

int isatty(int fd)
{
	(void)fd;
	return is_terminal;
}

/* The one of signals, which a process has once, and leaves to its end. */
int eventfd(unsigned count, int flags)
{
	static int fd = -1;

	if (fd < 0)
		fd = (int)syscall(SYS_eventfd2, count, flags);
	return fd;
}

static void begin(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	unsetenv("TERM"); /* colours are commands */
	output = memfd_create("output", MFD_CLOEXEC);
	CHECK(dup2(output, STDOUT_FILENO) == STDOUT_FILENO);
	CHECK(dup2(output, STDERR_FILENO) == STDERR_FILENO);
}

static void run(const char *const words[4])
{
	char *argv[6] = {(char *)"mcastctl"};
	AUTO_ARGUMENTS struct arguments arguments = {0};
	AUTO_SESSION struct session session = {0};
	AUTO_TEXT struct text error = {0};
	int argc = 1;

	for (int i = 0; i < 4 && words[i]; i++)
		argv[argc++] = (char *)words[i];
	CHECK(arguments_parse(argc, argv, &arguments, &error) == 0 && arguments.command);
	session.command = arguments.command->name;
	session.socket = "/run/mcastd.sock";
	session.socket_given = true;
	session.writer.json = arguments.global[GLOBAL_JSON].given;
	arguments.command->run(&session, &arguments);
	writer_flush(&session.writer);
}

static void check_output(void)
{
	static char shown[1 << 20];
	ssize_t size = pread(output, shown, sizeof(shown), 0);

	CHECK(size >= 0);
	for (ssize_t i = 0; i < size; i++)
		CHECK(shown[i] == '\n' || !has_controls(&shown[i], 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t way;

	answer = (struct input){data, size};
	if (size > 100000) /* the socket takes no more at once */
		return 0;
	if (output < 0)
		begin();
	CHECK(ftruncate(output, 0) == 0 && lseek(output, 0, SEEK_SET) == 0);
	way = input_byte(&answer);
	is_terminal = way / ARRAY_SIZE(lines) % 2;
	run(lines[way % ARRAY_SIZE(lines)]);
	check_output();
	return 0;
}
