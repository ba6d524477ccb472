#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 4096
#define LIMIT_PERIOD_NS (10 * NS_PER_S)

/* Mutable state of the file, because stderr is the process's, and any code may log. All but the
 * lines below the lock is constant after log_open(). */
static struct {
	int fd; /* stderr, or a non-blocking description of the same pipe or terminal */
	bool is_socket;
	bool may_block; /* it could not be opened again: another user's */
	bool with_priority;
	bool errors_only;
	pthread_mutex_t lock;
	bool torn; /* the last line was written in part */
	uint64_t lost; /* lines */
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

/* $JOURNAL_STREAM is DEVICE:INODE of the journal's socket. Processes inherit it even if their
 * stderr is another file (systemd.exec(5)). */
static bool is_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       device == status->st_dev && inode == status->st_ino;
}

void log_open(void)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	log_state.with_priority = is_journal(&status);
	log_state.is_socket = S_ISSOCK(status.st_mode);
	/* Other processes share the open file description, and O_NONBLOCK with it. */
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
			log_state.fd = fd;
		log_state.may_block = fd < 0;
	}
}

void log_errors_only(void)
{
	log_state.errors_only = true;
}

static ssize_t write_some(const char *line, size_t length)
{
	struct pollfd room = {.fd = log_state.fd, .events = POLLOUT};

	if (log_state.is_socket)
		return send(log_state.fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A pipe with room has room for a line (pipe(7), PIPE_BUF). */
	if (log_state.may_block && poll(&room, 1, 0) <= 0)
		return -1;
	return write(log_state.fd, line, length);
}

/* Writes one whole line, or counts it as lost. The lock is held. */
static void write_line(const char *line, size_t length)
{
	ssize_t n;

	if (log_state.torn && write_some("\n", 1) != 1) {
		log_state.lost++;
		return;
	}
	log_state.torn = false;
	n = write_some(line, length);
	if (n == (ssize_t)length)
		return;
	log_state.torn = n > 0;
	log_state.lost++;
}

/* Writes a line, and before it the number of lines lost. */
static void write_message(const char *line, size_t length)
{
	char lost[64];

	pthread_mutex_lock(&log_state.lock);
	if (log_state.lost) {
		uint64_t before = log_state.lost;
		int n = snprintf(lost, sizeof(lost),
			"%s%" PRIu64 " log line%s lost: stderr is full\n",
			log_state.with_priority ? "<4>" : "", before, plural(before));

		write_line(lost, (size_t)n);
		if (log_state.lost == before)
			log_state.lost = 0;
	}
	write_line(line, length);
	pthread_mutex_unlock(&log_state.lock);
}

/* Replaces line feeds in the value: one would end the field. */
static void add_field(struct text *entry, const char *name, const char *value)
{
	if (!value)
		return;
	text_printf(entry, "%s=%s", name, value);
	for (size_t i = entry->length - strlen(value); i < entry->length; i++)
		if (entry->data[i] == '\n')
			entry->data[i] = ' ';
	text_append(entry, "\n", 1);
}

static int send_entry(const struct text *entry)
{
	static const struct sockaddr_un journal = {
		.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1
			   : sendto(fd, entry->data, entry->length, MSG_DONTWAIT | MSG_NOSIGNAL,
				     (const struct sockaddr *)&journal, sizeof(journal));

	return n < 0 ? -errno : 0;
}

/* Writes to the journal without waiting: sd_journal_send(3) blocks while journald does not read.
 * The protocol is one datagram of "FIELD=value" lines
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). line is as for stderr: "<N>", the text, and a line
 * feed. */
static int write_to_journal(
	int level, const struct log_fields *fields, const char *line, size_t length)
{
	AUTO_TEXT struct text entry = {0}, message = {0};

	text_append(&message, line + strlen("<N>"), length - strlen("<N>\n"));
	text_printf(&entry, "PRIORITY=%d\nSYSLOG_IDENTIFIER=mcastd\n", level);
	add_field(&entry, "MESSAGE", text_string(&message));
	add_field(&entry, "MESSAGE_ID", fields->message_id);
	add_field(&entry, "MCASTD_ABOUT_GROUP", fields->group);
	add_field(&entry, "MCASTD_ABOUT_INTERFACE", fields->interface);
	add_field(&entry, "MCASTD_ABOUT_HANDLER", fields->handler);
	return text_failed(&entry) ? -ENOMEM : send_entry(&entry);
}

static size_t format_line(char *line, int level, const char *format, va_list arguments)
{
	size_t length = 0;
	int n;

	if (log_state.with_priority)
		length = (size_t)snprintf(line, LINE_MAX_BYTES, "<%d>", level);
	n = vsnprintf(line + length, LINE_MAX_BYTES - length - 1, format, arguments);
	if (n > 0)
		length += (size_t)n;
	if (length > LINE_MAX_BYTES - 2)
		length = LINE_MAX_BYTES - 2;
	line[length++] = '\n';
	return length;
}

void log_event(int level, const struct log_fields *fields, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list arguments;
	size_t length;
	int saved_errno = errno;

	if (log_state.errors_only && level > LOG_ERR)
		return;
	va_start(arguments, format);
	length = format_line(line, level, format, arguments);
	va_end(arguments);
	if (!fields || !log_state.with_priority ||
		write_to_journal(level, fields, line, length) < 0)
		write_message(line, length);
	errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now < limit->next_ns)
		return false;
	limit->next_ns = now + LIMIT_PERIOD_NS;
	return true;
}

void log_lines(int level, const struct errors *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		log_message(level, "%s", lines->lines[i]);
	if (lines->omitted)
		log_message(level, "and %zu more", lines->omitted);
}
