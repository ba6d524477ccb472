#include "ctl/top/top.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "ctl/top/keys.h"
#include "ctl/top/report.h"
#include "ctl/top/screen.h"
#include "ctl/top/view.h"

/* Bytes of keys that are read at once. */
#define KEYS_SIZE 256

/* A round that takes more of the CPU than this part of the interval is not repeated as soon. */
#define CPU_SHARE 10

/* Without a screen, a daemon of which nothing comes for this long does not answer. */
#define SILENCE_NS (10 * NS_PER_S)

/* What ends the program, and what the terminal has to be taken over or measured again for. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

struct top {
	struct session *session;
	const struct top_options *options;
	struct model model;
	struct feed feed;
	struct view view;
	struct screen screen;
	struct text frame;
	int signal_fd;
	uint64_t tick_ns; /* when the next round begins; CLOCK_MONOTONIC */
	uint64_t cpu_ns; /* CLOCK_PROCESS_CPUTIME_ID at the start of the last one */
	bool has_ended;
	int ended_by; /* a signal, or 0 */
	int error; /* negative errno */
};

static void clear_top(struct top *top)
{
	screen_close(&top->screen);
	feed_clear(&top->feed);
	model_clear(&top->model);
	text_free(&top->frame);
	closep(&top->signal_fd);
}

/* ---- Rounds ---- */

/* Waits for the end of the round under way. Returns whether it has succeeded. */
static bool finish_round(struct top *top)
{
	struct feed *feed = &top->feed;
	int r = 0;

	while (feed->is_busy && r == 0) {
		uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + SILENCE_NS;
		struct pollfd poll_fd;

		r = client_ready(feed->client) ? 1 : client_wait(feed->client, &poll_fd, 1, end_ns);
		if (r <= 0)
			feed_lose(feed, r ? r : -ETIMEDOUT);
		else
			r = feed_take(feed);
	}
	return r > 0;
}

/* Begins a round when it is time. Returns whether there is no answer since the last time: the round
 * takes longer than the interval, or nobody answers. */
static bool tick(struct top *top, uint64_t now_ns)
{
	bool is_late = top->feed.is_busy;

	if (now_ns < top->tick_ns)
		return false;
	top->tick_ns += top->options->interval_ns;
	if (top->tick_ns < now_ns)
		top->tick_ns = now_ns + top->options->interval_ns;
	if (!is_late) {
		top->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		feed_begin(&top->feed);
	}
	return is_late || top->feed.why.length;
}

/* With thousands of groups a round may cost much: whoever watches a busy daemon must not be what
 * keeps it busy. Rates are right whatever the time between two rounds is. */
static void save_cpu(struct top *top)
{
	uint64_t cost_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - top->cpu_ns;
	uint64_t earliest_ns = top->feed.begun_ns + cost_ns * CPU_SHARE;

	if (top->tick_ns < earliest_ns)
		top->tick_ns = earliest_ns;
}

/* ---- Without a screen ---- */

static int explain(struct top *top)
{
	AUTO_TEXT struct text why = {0};

	feed_explain(&top->feed, &why);
	return session_fail(top->session, EXIT_REFUSED, "%s", text_string(&why));
}

/* One line of JSON a round, or one frame. Rates need two rounds. */
static int run_plain(struct top *top)
{
	struct writer *writer = &top->session->writer;
	uint64_t shown = 0;
	int r = 0;

	for (unsigned round = 0; r == 0 && !(top->options->is_once && shown); round++) {
		bool has_answer;

		poll_until(NULL, 0, top->tick_ns);
		tick(top, clock_ns(CLOCK_MONOTONIC));
		has_answer = finish_round(top);
		if (!has_answer && (!round || top->options->is_once))
			return explain(top);
		if (!round)
			continue;
		if (writer->json)
			report_append(&writer->out, &top->feed);
		else
			r = view_draw(
				&top->view, &top->feed, clock_ns(CLOCK_MONOTONIC), &writer->out);
		if (r == 0)
			r = writer_flush(writer);
		shown++;
	}
	return EXIT_DONE; /* main() explains what the writer could not write */
}

/* ---- On a screen ---- */

static void draw(struct top *top)
{
	if (!screen_is_ready(&top->screen))
		return;
	text_clear(&top->frame);
	top->view.width = top->screen.width;
	top->view.height = top->screen.height;
	if (view_draw(&top->view, &top->feed, clock_ns(CLOCK_MONOTONIC), &top->frame) == 0)
		screen_draw(&top->screen, &top->frame);
}

static void type(struct view *view, int key)
{
	size_t length = strlen(view->filter);

	if (key == '\r' || key == '\n') {
		view->is_typing = false;
	} else if (key == KEY_ESCAPE) {
		view->is_typing = false;
		*view->filter = '\0';
	} else if (key == 0x7f || key == '\b') {
		while (length && (view->filter[length - 1] & 0xc0) == 0x80) /* of UTF-8 */
			length--;
		view->filter[length ? length - 1 : 0] = '\0';
	} else if (key == ('U' & 0x1f)) {
		*view->filter = '\0';
	} else if (key >= ' ' && key < 0x100 && length < FILTER_MAX) {
		view->filter[length] = (char)key;
		view->filter[length + 1] = '\0';
	}
	view->offset = 0;
}

static void scroll(struct view *view, size_t rows, bool is_up)
{
	if (!is_up)
		view->offset += rows; /* view_draw() limits it */
	else
		view->offset = view->offset > rows ? view->offset - rows : 0;
}

static void set_sort(struct view *view, int key)
{
	for (const struct sort_key *sort = sort_keys; sort->key; sort++) {
		if (sort->key != key)
			continue;
		view->sort = sort->sort;
		view->is_reversed = false;
		view->offset = 0;
	}
}

static void act(struct top *top, int key)
{
	struct view *view = &top->view;

	if (view->is_typing) {
		type(view, key);
		return;
	}
	switch (key) {
	case 'q':
		top->has_ended = true;
		break;
	case '/':
		view->is_typing = true;
		break;
	case KEY_ESCAPE:
		*view->filter = '\0';
		break;
	case 'h':
	case '\t':
		view->shows_handlers = !view->shows_handlers;
		view->offset = 0;
		break;
	case 'R':
		view->is_reversed = !view->is_reversed;
		break;
	case 'z':
		model_forget_losses(&top->model);
		break;
	case 'L' & 0x1f:
		screen_measure(&top->screen);
		break;
	case KEY_UP:
	case KEY_DOWN:
		scroll(view, 1, key == KEY_UP);
		break;
	case KEY_PAGE_UP:
	case KEY_PAGE_DOWN:
		scroll(view, view->page, key == KEY_PAGE_UP);
		break;
	case ' ':
		scroll(view, view->page, false);
		break;
	case KEY_HOME:
		view->offset = 0;
		break;
	case KEY_END:
		view->offset = SIZE_MAX / 2;
		break;
	default:
		set_sort(view, key);
	}
}

static void read_keys(struct top *top)
{
	char bytes[KEYS_SIZE];
	ssize_t n = read(top->screen.fd, bytes, sizeof(bytes));
	int key;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* hung up */
		top->has_ended = true;
		return;
	}
	for (size_t at = 0; at < (size_t)n; act(top, key))
		at += key_read(bytes + at, (size_t)n - at, &key);
}

/* Lets the signal have its own effect. */
static void raise_unblocked(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void read_signals(struct top *top)
{
	struct signalfd_siginfo info;

	if (read(top->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGTSTP:
		screen_leave(&top->screen);
		raise_unblocked(SIGTSTP); /* and here it goes on */
		top->error = screen_enter(&top->screen);
		break;
	case SIGCONT: /* the shell may have set the terminal as it likes it */
		top->error = screen_enter(&top->screen);
		break;
	case SIGWINCH:
		screen_measure(&top->screen);
		break;
	default:
		top->ended_by = (int)info.ssi_signo;
	}
}

enum { FD_CLIENT, FD_SCREEN, FD_SIGNAL, FDS };

/* Waits until something happens or the next round is due. */
static void wait_for_more(struct top *top, struct pollfd fds[static FDS])
{
	struct feed *feed = &top->feed;
	int r;

	fds[FD_SCREEN] = (struct pollfd){.fd = top->screen.fd,
		.events = (short)(POLLIN | (top->screen.unsent.length ? POLLOUT : 0))};
	fds[FD_SIGNAL] = (struct pollfd){.fd = top->signal_fd, .events = POLLIN};
	if (feed->client)
		r = client_wait(feed->client, fds, FDS, top->tick_ns);
	else
		r = poll_until(fds + FD_SCREEN, FDS - FD_SCREEN, top->tick_ns);
	if (r < 0 && feed->client && r != -EINTR)
		feed_lose(feed, r);
}

static void run_once(struct top *top)
{
	struct pollfd fds[FDS] = {0};
	bool is_changed = false, is_answered;

	wait_for_more(top, fds);
	if (fds[FD_SIGNAL].revents) {
		read_signals(top);
		is_changed = true;
	}
	if (fds[FD_SCREEN].revents & (POLLIN | POLLERR | POLLHUP)) {
		read_keys(top);
		is_changed = true;
	}
	is_answered = top->feed.client && feed_take(&top->feed) != 0;
	is_changed |= is_answered;
	is_changed |= tick(top, clock_ns(CLOCK_MONOTONIC));
	if (is_changed && !top->ended_by && !top->has_ended && !top->error)
		draw(top);
	if (is_answered)
		save_cpu(top);
	if (!top->error)
		top->error = screen_flush(&top->screen);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int run_on_screen(struct top *top)
{
	int r = screen_open(&top->screen);

	if (r < 0)
		return session_fail(top->session, EXIT_MISUSED,
			r == -ENOTTY    ? "standard output is no terminal: use --once or --json"
			: r == -ENOTSUP ? "this terminal ($TERM) cannot be drawn on: use --once or "
					  "--json"
					: "the terminal: %s",
			strerror(-r));
	/* What is wrong at the start is said where it can be read afterwards; and a signal ends the
	 * wait for a daemon that does not answer. */
	tick(top, clock_ns(CLOCK_MONOTONIC));
	if (!finish_round(top))
		return explain(top);
	top->signal_fd = open_signals();
	if (top->signal_fd < 0)
		return session_fail(top->session, EXIT_REFUSED, "%s", strerror(-top->signal_fd));
	top->error = screen_enter(&top->screen);
	draw(top);
	while (!top->has_ended && !top->ended_by && !top->error)
		run_once(top);
	screen_leave(&top->screen);
	if (top->ended_by)
		raise_unblocked(top->ended_by);
	if (top->error)
		return session_fail(
			top->session, EXIT_REFUSED, "the terminal: %s", strerror(-top->error));
	return EXIT_DONE;
}

int top_run(struct session *session, const struct top_options *options)
{
	CLEANUP(clear_top)
	struct top top = {
		.session = session,
		.options = options,
		.feed = {.session = session,
			.names = options->names,
			.name_count = options->name_count},
		.view = {.sort = SORT_IN, .has_utf8 = session->writer.has_utf8},
		.screen = NO_SCREEN,
		.signal_fd = -1,
		.tick_ns = clock_ns(CLOCK_MONOTONIC),
	};
	int code = session_connect(session);

	if (code)
		return code;
	top.feed.model = &top.model;
	top.feed.client = take(session->client);
	client_end_patience(top.feed.client); /* the screen says what does not answer */
	top.view.has_color = writer_has_color();
	top.view.has_history = true;
	if (!options->is_once && !session->writer.json)
		return run_on_screen(&top);
	top.view.has_color = top.view.has_history = false; /* of one interval there is none */
	top.view.width = writer_width();
	return run_plain(&top);
}
