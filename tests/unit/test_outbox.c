/* What waits to be written to a connection that is read slowly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/outbox.h"
#include "range.h"

static struct user user = {.privileged = true};
static struct outbox outbox;
static int reader, writer;
static unsigned added, seen; /* bytes, of a sequence that repeats after 251 */

static int set_up(void **state)
{
	int fds[2], size = 16 * 1024;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	reader = fds[0];
	writer = fds[1];
	assert_int_equal(setsockopt(writer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	outbox_init(&outbox, &user);
	added = seen = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	outbox_clear(&outbox);
	assert_int_equal(user.held[MEMORY_OUTPUT], 0);
	close(reader);
	close(writer);
	return 0;
}

static void answer(unsigned size)
{
	struct text *text = outbox_begin(&outbox);

	while (size--) {
		char byte = (char)(added++ % 251);

		text_append(text, &byte, 1);
	}
	assert_int_equal(outbox_end(&outbox), 0);
}

static void read_some(void)
{
	uint8_t data[16 * 1024];
	ssize_t n = recv(reader, data, sizeof(data), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(data[i], seen++ % 251);
}

static void what_was_written_takes_no_memory(void **state)
{
	(void)state;
	answer(60 * 1024);
	assert_int_equal(outbox_write(&outbox, writer), -EAGAIN);
	assert_in_range(outbox.size, 1, 60 * 1024 - 1);
	assert_int_equal(outbox.text.capacity, outbox.size);
	assert_int_equal(user.held[MEMORY_OUTPUT], outbox.size);
}

static void all_comes_in_its_order_however_slowly_it_is_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		answer(i % 7 * 3000 + 1);
		outbox_write(&outbox, writer);
		assert_int_equal(user.held[MEMORY_OUTPUT], outbox.size);
		if (i % 2)
			read_some();
	}
	while (outbox_write(&outbox, writer) == -EAGAIN)
		read_some();
	while (seen < added)
		read_some();
	assert_int_equal(outbox.size, 0);
}

/* However much is always left. */
static void memory_is_bounded_by_what_waits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		while (outbox.size < 400 * 1024)
			answer(20 * 1024);
		while (outbox.size > 200 * 1024) {
			read_some();
			assert_int_equal(outbox_write(&outbox, writer), -EAGAIN);
		}
		assert_in_range(outbox.text.capacity, outbox.size, 2 * 1024 * 1024);
	}
}

/* What is moved is no more than what was written since the last time. */
static void much_is_not_moved_for_little(void **state)
{
	const char *before;

	(void)state;
	answer(4 << 20);
	before = outbox.text.data;
	assert_int_equal(outbox_write(&outbox, writer), -EAGAIN);
	assert_ptr_equal(outbox.text.data, before);
	assert_in_range(outbox.written, 1, 1 << 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_written_takes_no_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			all_comes_in_its_order_however_slowly_it_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_is_bounded_by_what_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(much_is_not_moved_for_little, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
