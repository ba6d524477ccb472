/* Local users at the control socket: those who take what they can, and one who only asks.
 *
 *     greedy SOCKET UID ATTACK PROCESSES [ATTACK PROCESSES ...]   attacks until it is killed
 *     greedy SOCKET UID ask SECONDS                               prints what was measured
 *
 * Attacks as groups of "news" allow them; each process repeats its own until it is killed. "ask"
 * calls GetStatus, on one connection and on a new one each time, and prints the number of answers
 * and the longest time in ms of each. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELD 900 /* connections that one process holds */
#define MESSAGE (128 * 1024)

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char message[MESSAGE + 1];

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int connect_to(int flags)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Writes all of it unless the other side closes. */
static bool write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

/* Reads up to the end of one answer. */
static bool read_answer(int fd)
{
	char data[16 * 1024];
	ssize_t n;

	do
		n = recv(fd, data, sizeof(data), 0);
	while (n > 0 && data[n - 1] != '\n');
	return n > 0;
}

static void append(const char *text)
{
	strncat(message, text, MESSAGE - strlen(message));
}

/* The message: a head, as many middles as there is room for, and a tail. */
static size_t compose(const char *head, const char *middle, const char *tail)
{
	size_t at = strlen(head), size = strlen(middle), end = MESSAGE - strlen(tail) - 1;

	strcpy(message, head);
	for (; at + size < end; at += size)
		memcpy(message + at, middle, size);
	message[at] = '\0';
	append(tail);
	append("\n");
	return strlen(message);
}

/* Connects and closes. */
static void attack_connects(void)
{
	for (;;) {
		int fd = connect_to(0);

		if (fd >= 0)
			close(fd);
	}
}

/* Connects, and holds what it gets; what is refused it replaces. */
static void attack_holds(void)
{
	static int held[HELD];

	for (unsigned i = 0;; i = (i + 1) % HELD) {
		if (held[i] > 0 && recv(held[i], &(char){0}, 1, MSG_DONTWAIT) < 0)
			continue;
		if (held[i] > 0)
			close(held[i]);
		held[i] = connect_to(SOCK_NONBLOCK);
	}
}

/* Repeats a message that is answered on one connection. */
static void repeat(size_t size)
{
	for (;;) {
		int fd = connect_to(0);

		while (fd >= 0 && write_all(fd, message, size) && read_answer(fd))
			;
		close(fd);
	}
}

#define SUBSCRIBE "{\"method\":\"io.mcastd.Subscribe\",\"more\":true,\"parameters\":{\"groups\":["

static void attack_subscribes(void)
{
	repeat(compose(SUBSCRIBE, "\"g\",", "\"nobody\"]}}"));
}

static void attack_values(void)
{
	repeat(compose(
		"{\"method\":\"io.mcastd.GetStatus\",\"parameters\":{\"x\":[", "1,", "1]}}"));
}

static void attack_nests(void)
{
	static char open[2001], close_[2001], middle[4010];

	memset(open, '[', 1000);
	memset(close_, ']', 1000);
	snprintf(middle, sizeof(middle), "%s%s,", open, close_);
	repeat(compose(
		"{\"method\":\"io.mcastd.GetStatus\",\"parameters\":{\"x\":[", middle, "1]}}"));
}

static void attack_escapes(void)
{
	repeat(compose("{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"",
		"\\u0041", "\"}}"));
}

/* Many calls with a long answer each, which it reads. */
static void attack_calls(void)
{
	repeat(compose("", "{\"method\":\"io.mcastd.GetStats\"}\n", ""));
}

/* Halves of a message on all the connections that it gets. */
static void attack_halves(void)
{
	static int held[HELD];
	size_t size = compose(SUBSCRIBE, "\"g\",", "") - 1;

	for (unsigned i = 0;; i = (i + 1) % HELD) {
		if (held[i] > 0 && recv(held[i], &(char){0}, 1, MSG_DONTWAIT) < 0 &&
			errno == EAGAIN)
			continue;
		if (held[i] > 0)
			close(held[i]);
		held[i] = connect_to(SOCK_NONBLOCK);
		if (held[i] > 0)
			send(held[i], message, size, MSG_NOSIGNAL);
	}
}

/* Asks for much, and goes at once. */
static void attack_dies(void)
{
	size_t size = compose(SUBSCRIBE, "\"g\",", "\"nobody\"]}}");

	for (;;) {
		int fd = connect_to(0);

		if (fd >= 0)
			send(fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
	}
}

/* Asks on all the connections that it gets, and never reads. */
static void attack_unread(void)
{
	static int held[HELD];
	size_t size = compose("",
		"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
		"\"interface\":\"io.mcastd\"}}\n",
		"");

	for (unsigned i = 0;; i = (i + 1) % HELD) {
		if (held[i] <= 0)
			held[i] = connect_to(SOCK_NONBLOCK);
		if (held[i] > 0 && send(held[i], message, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
			errno != EAGAIN) {
			close(held[i]);
			held[i] = 0;
		}
	}
}

/* Subscribes with a list of its own and reads all. */
static void attack_reads(void)
{
	char text[256], data[64 * 1024];
	int fd = connect_to(0);

	snprintf(text, sizeof(text), SUBSCRIBE "\"g\",\"g%d\",\"g%d\"]}}\n", (int)getpid() % 100,
		(int)getpid() / 100 % 100);
	write_all(fd, text, strlen(text));
	while (recv(fd, data, sizeof(data), 0) > 0)
		;
	pause();
}

/* Subscribes to all groups, and goes. */
static void attack_taps(void)
{
	static const char all[] =
		"{\"method\":\"io.mcastd.Subscribe\",\"more\":true}\n{\"method\":\"x\"}\n";

	for (;;) {
		int fd = connect_to(0);

		write_all(fd, all, sizeof(all) - 1);
		shutdown(fd, SHUT_WR);
		usleep(1000);
		close(fd);
	}
}

static int connect_to_group(void)
{
	struct sockaddr_un group = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(group.sun_path, sizeof(group.sun_path), "%.*s/run/groups/g",
		(int)(strrchr(address.sun_path, '/') - address.sun_path), address.sun_path);
	if (connect(fd, (struct sockaddr *)&group, sizeof(group)) < 0)
		err(1, "%s", group.sun_path);
	return fd;
}

/* Reads the group's socket. */
static void attack_listens(void)
{
	int fd = connect_to_group();

	while (recv(fd, message, sizeof(message), 0) > 0)
		;
}

/* Writes to the group's socket. */
static void attack_writes(void)
{
	int fd = connect_to_group();

	while (send(fd, message, 64, MSG_NOSIGNAL) > 0)
		;
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {{"connects", attack_connects}, {"holds", attack_holds},
	{"subscribes", attack_subscribes}, {"values", attack_values}, {"nests", attack_nests},
	{"escapes", attack_escapes}, {"calls", attack_calls}, {"halves", attack_halves},
	{"dies", attack_dies}, {"unread", attack_unread}, {"reads", attack_reads},
	{"taps", attack_taps}, {"listens", attack_listens}, {"writes", attack_writes}};

static void start(const char *name, int processes)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		if (strcmp(attacks[i].name, name))
			continue;
		while (processes--) {
			if (fork())
				continue;
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			attacks[i].run();
			_exit(0);
		}
		return;
	}
	errx(2, "there is no attack %s", name);
}

static double call(int fd, double since)
{
	static const char request[] = "{\"method\":\"io.mcastd.GetStatus\"}\n";

	if (!write_all(fd, request, sizeof(request) - 1) || !read_answer(fd))
		errx(1, "no answer");
	return now_ms() - since;
}

static void ask(int seconds)
{
	double start = now_ms(), end, kept_max, new_max = 0;
	int kept = connect_to(0);
	unsigned count = 0;

	if (kept < 0)
		err(1, "connect");
	kept_max = call(kept, start);
	end = now_ms() + seconds * 1e3;

	while (now_ms() < end) {
		double took = call(kept, now_ms()), since;
		int fd;

		if (took > kept_max)
			kept_max = took;
		since = now_ms();
		fd = connect_to(0);
		if (fd < 0)
			err(1, "connect");
		took = call(fd, since);
		if (took > new_max)
			new_max = took;
		close(fd);
		count++;
		usleep(5000);
	}
	printf("%u %.1f %.1f\n", count, kept_max, new_max);
}

int main(int argc, char **argv)
{
	struct rlimit limit = {HELD + 100, HELD + 100};

	if (argc < 5)
		errx(2, "usage: greedy SOCKET UID ATTACK PROCESSES ... | greedy SOCKET UID ask "
			"SECONDS");
	setrlimit(RLIMIT_NOFILE, &limit);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (atoi(argv[2]) && (setgroups(0, NULL) < 0 || setgid((gid_t)atoi(argv[2])) < 0 ||
				     setuid((uid_t)atoi(argv[2])) < 0))
		err(1, "setuid");
	if (!strcmp(argv[3], "ask")) {
		ask(atoi(argv[4]));
		return 0;
	}
	for (int i = 3; i + 1 < argc; i += 2)
		start(argv[i], atoi(argv[i + 1]));
	puts("attacking");
	fflush(stdout);
	pause();
}
