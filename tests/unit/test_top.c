/* What mcastctl top makes of the daemon's answers: rates, losses, frames and keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>

#include "ctl/human.h"
#include "ctl/top/keys.h"
#include "ctl/top/sparkline.h"
#include "ctl/top/view.h"

#define SECOND 1000000000ull

struct fixture {
	struct model model;
	struct session session;
	struct feed feed;
	struct view view;
	struct text frame;
	uint64_t now_ns;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->session.socket = "/run/mcastd.sock";
	fixture->feed.session = &fixture->session;
	fixture->feed.model = &fixture->model;
	fixture->view.has_utf8 = fixture->view.has_history = true;
	fixture->now_ns = SECOND;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	model_clear(&fixture->model);
	text_free(&fixture->feed.why);
	text_free(&fixture->frame);
	free(fixture);
	return 0;
}

/* A round with one group; another second is over. */
static struct row *look(struct fixture *fixture, const char *name, int received, int dropped)
{
	json_t *group = json_pack("{s:s, s:s, s:i, s:i, s:i, s:{s:i}, s:[s]}", "name", name,
		"address", "233.252.0.1", "port", 5004, "received", received, "receivedBytes",
		received * 100, "lost", "kernel", dropped, "handlers", "slow");

	fixture->now_ns += SECOND;
	model_begin(&fixture->model);
	model_put_group(&fixture->model, group, fixture->now_ns);
	model_end(&fixture->model);
	json_decref(group);
	return fixture->model.groups.items[0];
}

static const char *draw(struct fixture *fixture, size_t width, size_t height)
{
	fixture->view.width = width;
	fixture->view.height = height;
	text_clear(&fixture->frame);
	assert_int_equal(
		view_draw(&fixture->view, &fixture->feed, fixture->now_ns, &fixture->frame), 0);
	return text_string(&fixture->frame);
}

static void a_rate_is_growth_by_time(void **state)
{
	struct row *row = look(*state, "news", 1000, 0);

	assert_false(row->has_rates);
	row = look(*state, "news", 1250, 0);
	assert_true(row->has_rates);
	assert_float_equal(row->rates[COUNTER_IN], 250, 1e-6);
	assert_float_equal(row->rates[COUNTER_IN_BYTES], 25000, 1e-6);
}

static void counters_that_were_set_back_have_no_rate(void **state)
{
	struct row *row;

	look(*state, "news", 1000, 10);
	row = look(*state, "news", 3, 0);
	assert_false(row->has_rates);
	assert_float_equal(row->rates[COUNTER_IN], 0, 0);
	assert_int_equal(row_lost(row), 0);
	row = look(*state, "news", 8, 2);
	assert_float_equal(row->rates[COUNTER_IN], 5, 1e-6);
	assert_int_equal(row_lost(row), 2);
}

static void losses_count_from_the_start_of_top(void **state)
{
	struct row *row = look(*state, "news", 0, 100);

	assert_int_equal(row_lost(row), 0);
	row = look(*state, "news", 0, 107);
	assert_int_equal(row_lost(row), 7);
	assert_float_equal(row_loss_rate(row), 7, 1e-6);
	row = look(*state, "news", 0, 107);
	assert_int_equal(row_lost(row), 7);
	assert_float_equal(row_loss_rate(row), 0, 0);
	model_forget_losses(&((struct fixture *)*state)->model);
	assert_int_equal(row_lost(row), 0);
}

static void what_is_lost_is_what_the_daemon_says(void **state)
{
	struct fixture *fixture = *state;
	const struct row *row;

	for (int i = 0; i < 2; i++) {
		json_t *handler = json_pack("{s:s, s:{s:i, s:i, s:i}, s:{s:i}}", "name", "h",
			"dropped", "rate", 1000 * i, "strip", 600 * i, "queue", i, "lost", "queue",
			i);

		model_begin(&fixture->model);
		model_put_handler(&fixture->model, handler, fixture->now_ns += SECOND);
		model_end(&fixture->model);
		json_decref(handler);
	}
	row = fixture->model.handlers.items[0];
	assert_int_equal(row_lost(row), 1);
	assert_string_equal(row->losses[0].reason, "queue");
}

static void the_largest_counters_do_no_harm(void **state)
{
	struct fixture *fixture = *state;
	json_int_t counts[] = {INT64_MIN, INT64_MAX, INT64_MIN, -1, INT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		json_t *group = json_pack("{s:s, s:I, s:{s:I, s:I}}", "name", "x", "received",
			counts[i], "lost", "kernel", counts[i], "send", counts[i]);

		fixture->now_ns += SECOND;
		model_begin(&fixture->model);
		model_put_group(&fixture->model, group, fixture->now_ns);
		model_end(&fixture->model);
		json_decref(group);
		draw(fixture, 80, 24);
	}
}

static void a_group_that_has_gone_leaves_no_row(void **state)
{
	struct fixture *fixture = *state;

	look(fixture, "news", 1, 0);
	look(fixture, "other", 1, 0);
	assert_int_equal(fixture->model.groups.count, 1);
	assert_string_equal(fixture->model.groups.items[0]->name, "other");
}

static void answers_of_any_form_are_taken(void **state)
{
	static const char *const forms[] = {"{}", "[]", "null", "{\"name\":7}",
		"{\"name\":\"a\",\"memberships\":7,\"handlers\":[1,null],\"address\":[]}",
		"{\"name\":\"b\",\"memberships\":[1,{\"state\":\"failed\"}],\"received\":\"x\"}",
		"{\"name\":\"c\",\"lost\":[1],\"queued\":-7,\"lastReceived\":7}"};
	struct fixture *fixture = *state;

	for (int round = 0; round < 2; round++) {
		model_begin(&fixture->model);
		for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
			json_t *json = json_loads(forms[i], JSON_DECODE_ANY, NULL);

			model_put_handler(&fixture->model, json, fixture->now_ns);
			model_put_group(&fixture->model, json, fixture->now_ns);
			json_decref(json);
		}
		model_end(&fixture->model);
		fixture->now_ns += SECOND;
		draw(fixture, 80, 24);
	}
	assert_int_equal(fixture->model.groups.count, 3);
}

static void rows_are_sorted_whatever_the_order_of_the_answers(void **state)
{
	static const char *const names[] = {"c", "a", "d", "b", "a"};
	struct fixture *fixture = *state;

	model_begin(&fixture->model);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *json = json_pack("{s:s}", "name", names[i]);

		model_put_group(&fixture->model, json, SECOND);
		json_decref(json);
	}
	model_end(&fixture->model);
	assert_int_equal(fixture->model.groups.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fixture->model.groups.items[i]->name[0], "abcd"[i]);
}

/* Counts the lines, and fails for one that is wider than the screen. */
static size_t count_lines(const char *frame, size_t width)
{
	size_t count = 0;

	for (; *frame; count++) {
		size_t size = strcspn(frame, "\n");

		assert_true(text_columns(frame, size) <= width);
		frame += size + 1;
	}
	return count;
}

static void a_frame_fits_every_screen(void **state)
{
	struct fixture *fixture = *state;

	look(fixture, "a-name-that-is-longer-than-any-narrow-screen-has-room-for-at-all", 1, 0);
	look(fixture, "a-name-that-is-longer-than-any-narrow-screen-has-room-for-at-all", 99, 7);
	for (size_t width = 60; width < 250; width++)
		for (size_t height = 5; height < 30; height += 3)
			assert_int_equal(count_lines(draw(fixture, width, height), width), height);
	for (size_t width = 1; width < 60; width++) /* too narrow: no crash */
		draw(fixture, width, 1 + width % 5);
}

static void names_cannot_steer_the_terminal(void **state)
{
	struct fixture *fixture = *state;
	const char *frame;

	look(fixture, "\x1b]0;owned\a\r\n\u202egpj", 1, 0);
	fixture->feed.status = (struct daemon_status){.version = "\x1b[2J", .started = "\x1b"};
	text_append_string(&fixture->feed.why, "");
	frame = draw(fixture, 80, 24);
	for (; *frame; frame++)
		assert_true((unsigned char)*frame >= ' ' || *frame == '\n');
	for (frame = draw(fixture, 0, 0); *frame; frame++)
		assert_true((unsigned char)*frame >= ' ' || *frame == '\n');
	assert_non_null(
		strstr(draw(fixture, 200, 24), "\\x1b]0;owned\\x07\\r\\n\\xe2\\x80\\xaegpj"));
}

static void the_filter_finds_names_and_addresses(void **state)
{
	struct fixture *fixture = *state;

	look(fixture, "news", 1, 0);
	strcpy(fixture->view.filter, "EW");
	assert_non_null(strstr(draw(fixture, 80, 24), "\nnews"));
	strcpy(fixture->view.filter, "252.0");
	assert_non_null(strstr(draw(fixture, 80, 24), "\nnews"));
	strcpy(fixture->view.filter, "x");
	assert_null(strstr(draw(fixture, 80, 24), "\nnews"));
}

static void the_queue_of_a_group_is_that_of_its_fullest_handler(void **state)
{
	struct fixture *fixture = *state;
	json_t *handler = json_pack("{s:s, s:i}", "name", "slow", "queued", 4321);

	model_begin(&fixture->model);
	model_put_handler(&fixture->model, handler, SECOND);
	json_decref(handler);
	assert_int_equal(look(fixture, "news", 0, 0)->queued, 4321);
}

static const char *sparkline(struct fixture *fixture, size_t columns, bool has_utf8)
{
	text_clear(&fixture->frame);
	sparkline_append(&fixture->frame, &fixture->model, fixture->model.groups.items[0], columns,
		has_utf8, "", "");
	return text_string(&fixture->frame);
}

static void a_sparkline_has_the_latest_at_the_right(void **state)
{
	struct fixture *fixture = *state;
	int received = 0;

	look(fixture, "news", 0, 0);
	for (int i = 1; i <= 3; i++)
		look(fixture, "news", received += 100 * i, 0);
	assert_string_equal(sparkline(fixture, HISTORY_MAX, false) + HISTORY_MAX - 4, " -+#");
	assert_int_equal(strlen(sparkline(fixture, 10, false)), 10);
	for (int i = 0; i < 50; i++)
		look(fixture, "news", received, 0);
	assert_string_equal(sparkline(fixture, HISTORY_MAX, true) + 3 * (HISTORY_MAX - 4) -
				    2 * (HISTORY_MAX - 53),
		"\u2581\u2581\u2581\u2581");
}

static void keys_are_bytes_or_sequences(void **state)
{
	static const struct {
		const char *bytes;
		size_t taken;
		int key;
	} cases[] = {{"q", 1, 'q'}, {"\x1b", 1, KEY_ESCAPE}, {"\x1b[A", 3, KEY_UP},
		{"\x1bOB", 3, KEY_DOWN}, {"\x1b[5~x", 4, KEY_PAGE_UP},
		{"\x1b[6~", 4, KEY_PAGE_DOWN}, {"\x1b[1;5C", 6, KEY_OTHER}, {"\x1b[", 2, KEY_OTHER},
		{"\x1b[12", 4, KEY_OTHER}, {"\x1bq", 1, KEY_ESCAPE}, {"\xc3\xa4", 1, 0xc3}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int key;

		assert_int_equal(
			key_read(cases[i].bytes, strlen(cases[i].bytes), &key), cases[i].taken);
		assert_int_equal(key, cases[i].key);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_rate_is_growth_by_time),
		TEST(counters_that_were_set_back_have_no_rate),
		TEST(losses_count_from_the_start_of_top),
		TEST(what_is_lost_is_what_the_daemon_says),
		TEST(the_largest_counters_do_no_harm),
		TEST(a_group_that_has_gone_leaves_no_row),
		TEST(answers_of_any_form_are_taken),
		TEST(rows_are_sorted_whatever_the_order_of_the_answers),
		TEST(a_frame_fits_every_screen),
		TEST(names_cannot_steer_the_terminal),
		TEST(the_filter_finds_names_and_addresses),
		TEST(the_queue_of_a_group_is_that_of_its_fullest_handler),
		TEST(a_sparkline_has_the_latest_at_the_right),
		TEST(keys_are_bytes_or_sequences),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
