/* Texts of /proc/net/udp and udp6, as kernels of several releases write them, and as none does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/doctor/udp_sockets.h"

#define HEAD                                                                             \
	"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt  " \
	" uid  timeout inode ref pointer drops            \n"
#define LINE                                                                           \
	" 4105: 010101EF:138C 00000000:0000 07 00000000:00034A00 00:00000000 00000000" \
	"   104        0 18231 2 0000000000000000 35         \n"

static struct udp_sockets sockets;

static int reset(void **state)
{
	(void)state;
	udp_sockets_clear(&sockets);
	return 0;
}

/* From memory of its own: what reads further is caught by the sanitizer. */
static size_t parse(sa_family_t family, const char *text)
{
	char *copy = strdup(text);

	assert_int_equal(udp_sockets_parse(&sockets, family, copy), 0);
	free(copy);
	return sockets.count;
}

static void check_address(size_t i, const char *wanted)
{
	char string[INET6_ADDRSTRLEN];

	assert_string_equal(address_format(&sockets.items[i].address, string), wanted);
}

static void a_line_tells_all_of_a_socket(void **state)
{
	(void)state;
	assert_int_equal(parse(AF_INET, HEAD LINE), 1);
	check_address(0, "239.1.1.1");
	assert_int_equal(sockets.items[0].port, 5004);
	assert_int_equal(sockets.items[0].uid, 104);
	assert_int_equal(sockets.items[0].inode, 18231);
	assert_int_equal(sockets.items[0].queued, 0x34a00);
	assert_int_equal(sockets.items[0].drops, 35);
}

static void an_address_of_ipv6_is_four_numbers(void **state)
{
	(void)state;
	assert_int_equal(parse(AF_INET6, HEAD
				 "  411: 000015FF000000000000000005000000:1F90 "
				 "00000000000000000000000000000000:0000 07 00000000:00000000 "
				 "00:00000000 00000000     0        0 77 2 0000000000000000 0\n"),
		1);
	check_address(0, "ff15::5");
	assert_int_equal(sockets.items[0].port, 8080);
	assert_int_equal(sockets.items[0].inode, 77);
}

static void an_ipv4_address_of_an_ipv6_socket_is_one_of_ipv4(void **state)
{
	(void)state;
	assert_int_equal(
		parse(AF_INET6, "  411: 0000000000000000FFFF0000010101EF:1F90 "
				"00000000000000000000000000000000:0000 07 00000000:00000000 "
				"00:00000000 00000000     0        0 77 2 0000000000000000 0\n"),
		1);
	check_address(0, "239.1.1.1");
}

static void a_second_text_adds_to_the_first(void **state)
{
	(void)state;
	parse(AF_INET, HEAD LINE LINE);
	assert_int_equal(parse(AF_INET6, HEAD), 2);
	assert_int_equal(parse(AF_INET, LINE), 3);
}

static void a_text_without_sockets_has_none(void **state)
{
	(void)state;
	assert_int_equal(parse(AF_INET, HEAD), 0);
	assert_int_equal(parse(AF_INET, ""), 0);
	assert_int_equal(parse(AF_INET, "\n\n\n"), 0);
}

static void kernels_without_a_column_of_drops_have_sockets(void **state)
{
	(void)state;
	assert_int_equal(
		parse(AF_INET, "  11: 010101EF:138C 00000000:0000 07 00000000:00000000 00:00000000 "
			       "00000000   104        0 18231 2 f7a3c000\n" LINE),
		2);
	assert_int_equal(sockets.items[0].inode, 18231);
	assert_int_equal(sockets.items[0].drops, 0);
}

static void columns_behind_the_known_ones_are_ignored(void **state)
{
	(void)state;
	assert_int_equal(
		parse(AF_INET, "  11: 010101EF:138C 00000000:0000 07 00000000:00000000 00:00000000 "
			       "00000000   104        0 18231 2 f7a3c000 9 88 new\n"),
		1);
	assert_int_equal(sockets.items[0].drops, 9);
}

/* Nothing is taken from the next line, and nothing is read behind the end. */
static void a_line_that_is_cut_is_no_socket(void **state)
{
	const size_t needed = strstr(LINE, "18231") - LINE;

	(void)state;
	for (size_t size = 0; size < needed; size++) {
		AUTO_TEXT struct text text = {0};

		udp_sockets_clear(&sockets);
		text_append(&text, LINE, size);
		assert_int_equal(parse(AF_INET, text_string(&text)), 0);
		text_append_string(&text, "\n" LINE);
		assert_int_equal(parse(AF_INET, text_string(&text)), 1);
		assert_int_equal(sockets.items[0].inode, 18231);
	}
}

static void what_is_no_socket_is_left_out(void **state)
{
	static const char *const lines[] = {
		"what is this\n",
		"  11: 010101EG:138C 00000000:0000 07 0:0 00:0 0 104 0 18231 2 0 0\n",
		"  11: 010101EF:1138C 00000000:0000 07 0:0 00:0 0 104 0 18231 2 0 0\n",
		"  11: 010101EF 138C 00000000:0000 07 0:0 00:0 0 104 0 18231 2 0 0\n",
		"  11: 010101EF:138C 00000000:0000 07 0:0 00:0 0 -1 0 18231 2 0 0\n",
		"  11: 010101EF:138C 00000000:0000 07 0:0 00:0 0 4294967296 0 18231 2 0 0\n",
		"  11: 010101EF:138C 00000000:0000 07 0:0 00:0 0 104 0 abc 2 0 0\n",
		"  11 010101EF:138C 00000000:0000 07 0:0 00:0 0 104 0 18231 2 0 0\n",
		"  : 010101EF:138C 00000000:0000 07 0:0 00:0 0 104 0 18231 2 0 0\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(parse(AF_INET, lines[i]), 0);
	/* Half of an address is none. */
	assert_int_equal(parse(AF_INET6, LINE), 0);
}

static void a_long_text_is_read_to_its_end(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		text_append_string(&text, LINE);
	assert_int_equal(parse(AF_INET, text_string(&text)), 1000);
}

static uint16_t open_socket(int *ret_fd)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*ret_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(*ret_fd >= 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.sin_port);
}

static void the_kernel_lists_a_socket_and_its_program(void **state)
{
	char owner[128], wanted[128], name[16] = "", tiny[12];
	int fd;
	uint16_t port = open_socket(&fd);
	const struct udp_socket *found = NULL;

	(void)state;
	prctl(PR_GET_NAME, name);
	prctl(PR_SET_NAME, "clear\033[2J");
	assert_int_equal(udp_sockets_read(&sockets), 0);
	for (size_t i = 0; i < sockets.count; i++)
		if (sockets.items[i].port == port &&
			sockets.items[i].address.v4.s_addr == htonl(INADDR_LOOPBACK))
			found = &sockets.items[i];
	assert_non_null(found);
	assert_int_equal(found->uid, getuid());
	udp_socket_owner(found, owner, sizeof(owner));
	udp_socket_owner(found, tiny, sizeof(tiny));
	snprintf(wanted, sizeof(wanted), "clear\\x1b[2J (pid %d)", getpid());
	assert_string_equal(owner, wanted);
	assert_string_equal(tiny, "clear\\x1b[2");
	prctl(PR_SET_NAME, name);
	close(fd);
}

static void a_socket_of_nobody_who_can_be_seen_is_its_users(void **state)
{
	struct udp_socket socket = {.uid = 0, .inode = UINT64_MAX};
	char owner[128] = "";

	(void)state;
	udp_socket_owner(&socket, owner, sizeof(owner));
	assert_string_equal(owner, "a program of user 0 (root) or the kernel (VXLAN, WireGuard)");
	*owner = '\0';
	socket.uid = 3999999999;
	udp_socket_owner(&socket, owner, sizeof(owner));
	assert_string_equal(owner, "a program of user 3999999999");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_line_tells_all_of_a_socket, reset),
		cmocka_unit_test_teardown(an_address_of_ipv6_is_four_numbers, reset),
		cmocka_unit_test_teardown(an_ipv4_address_of_an_ipv6_socket_is_one_of_ipv4, reset),
		cmocka_unit_test_teardown(a_second_text_adds_to_the_first, reset),
		cmocka_unit_test_teardown(a_text_without_sockets_has_none, reset),
		cmocka_unit_test_teardown(kernels_without_a_column_of_drops_have_sockets, reset),
		cmocka_unit_test_teardown(columns_behind_the_known_ones_are_ignored, reset),
		cmocka_unit_test_teardown(a_line_that_is_cut_is_no_socket, reset),
		cmocka_unit_test_teardown(what_is_no_socket_is_left_out, reset),
		cmocka_unit_test_teardown(a_long_text_is_read_to_its_end, reset),
		cmocka_unit_test_teardown(the_kernel_lists_a_socket_and_its_program, reset),
		cmocka_unit_test_teardown(a_socket_of_nobody_who_can_be_seen_is_its_users, reset),
	};

	return cmocka_run_group_tests_name("udp_sockets", tests, NULL, NULL);
}
