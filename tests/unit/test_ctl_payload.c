/* The parameters of Send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/json.h"
#include "control/framing.h"
#include "ctl/payload.h"

static void append(struct text *text, const void *data, size_t size)
{
	json_put_string(text, "group", "news");
	payload_put(text, data, size);
	assert_false(text_failed(text));
}

static void assert_parameters(const char *data, size_t size, const char *expected)
{
	struct text text = {0};

	append(&text, data, size);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void valid_utf8_is_text(void **state)
{
	(void)state;
	assert_parameters("hello", 5, "\"group\":\"news\",\"text\":\"hello\"");
	assert_parameters("", 0, "\"group\":\"news\",\"text\":\"\"");
	assert_parameters("a\0\n", 3, "\"group\":\"news\",\"text\":\"a\\u0000\\n\"");
	assert_parameters("\xc3\xa9", 2, "\"group\":\"news\",\"text\":\"\xc3\xa9\"");
}

static void other_bytes_are_base64(void **state)
{
	(void)state;
	assert_parameters("\xff\x00\xfe", 3, "\"group\":\"news\",\"base64\":\"/wD+\"");
}

/* 65,507 control characters would be 393,042 bytes of \u0001. */
static void text_that_grows_over_a_message_is_base64(void **state)
{
	static char bytes[DATAGRAM_MAX];
	struct text text = {0};

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	append(&text, bytes, sizeof(bytes));
	assert_true(text.length < MESSAGE_MAX - 128);
	assert_non_null(strstr(text_string(&text), "\"news\",\"base64\":\"AQEB"));
	text_free(&text);
}

/* What payload_read() makes of so many bytes in a file. */
static int read_file_of(size_t size, size_t *ret_length)
{
	char path[] = "/tmp/test_ctl_payload.XXXXXX";
	struct text text = {0};
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	r = payload_read(fd, &text);
	*ret_length = text.length;
	text_free(&text);
	close(fd);
	return r;
}

static void a_file_is_read_up_to_the_largest_payload(void **state)
{
	size_t length;

	(void)state;
	assert_int_equal(read_file_of(0, &length), 0);
	assert_int_equal(length, 0);
	assert_int_equal(read_file_of(DATAGRAM_MAX, &length), 0);
	assert_int_equal(length, DATAGRAM_MAX);
	assert_int_equal(read_file_of(DATAGRAM_MAX + 1, &length), -EFBIG);
	assert_int_equal(read_file_of((size_t)1 << 40, &length), -EFBIG);
}

static void a_closed_file_is_an_error(void **state)
{
	struct text text = {0};

	(void)state;
	assert_int_equal(payload_read(-1, &text), -EBADF);
	text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_utf8_is_text),
		cmocka_unit_test(other_bytes_are_base64),
		cmocka_unit_test(text_that_grows_over_a_message_is_base64),
		cmocka_unit_test(a_file_is_read_up_to_the_largest_payload),
		cmocka_unit_test(a_closed_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
