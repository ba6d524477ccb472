#include "net/udp_sockets.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/io.h"

/* A line has 128 bytes (udp) to 172 (udp6). */
#define FILE_MAX (64u << 20)

static void skip_words(const char **at, int words)
{
	for (; words; words--) {
		*at += strspn(*at, " ");
		*at += strcspn(*at, " \n");
	}
}

/* Takes a number behind blanks. Never one of the next line. */
static bool take_number(const char **at, int base, uint64_t *ret)
{
	char *end;

	*at += strspn(*at, " :");
	if (!isxdigit((unsigned char)**at))
		return false;
	*ret = strtoull(*at, &end, base);
	if (end == *at)
		return false;
	*at = end;
	return true;
}

/* Each 32 bits of an address are a number in this host's byte order. */
static bool take_address(const char **at, sa_family_t family, struct address *ret)
{
	size_t words = family == AF_INET ? 1 : 4;
	char digits[9] = "";

	*at += strspn(*at, " :");
	*ret = (struct address){.family = family};
	for (size_t i = 0; i < words; i++, *at += 8) {
		if (strspn(*at, "0123456789ABCDEFabcdef") < 8)
			return false;
		memcpy(digits, *at, 8);
		ret->v6.s6_addr32[i] = (uint32_t)strtoul(digits, NULL, 16);
	}
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&ret->v6))
		*ret = (struct address){.family = AF_INET, .v4.s_addr = ret->v6.s6_addr32[3]};
	return true;
}

/* Lines such as "  411: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000
 * 1000        0 18231 2 0000000000000000 0": a number, local address and port, remote address and
 * port, state, bytes to be sent and read, two timers, user, timeout, inode, references, the
 * kernel's pointer, and drops (since Linux 2.6.27). */
static bool read_line(const char *line, sa_family_t family, struct udp_socket *ret)
{
	uint64_t ignored, port, queued, uid, inode, drops = 0;
	const char *at = line;

	if (!take_number(&at, 10, &ignored) || *at != ':' ||
		!take_address(&at, family, &ret->address) || *at != ':' ||
		!take_number(&at, 16, &port))
		return false;
	skip_words(&at, 2);
	if (!take_number(&at, 16, &ignored) || *at != ':' || !take_number(&at, 16, &queued))
		return false;
	skip_words(&at, 2);
	if (!take_number(&at, 10, &uid))
		return false;
	skip_words(&at, 1);
	if (!take_number(&at, 10, &inode))
		return false;
	skip_words(&at, 2);
	take_number(&at, 10, &drops);
	ret->port = (uint16_t)port;
	ret->queued = (uint32_t)queued;
	ret->uid = (uid_t)uid;
	ret->inode = inode;
	ret->drops = (uint32_t)drops;
	return port <= UINT16_MAX && uid <= UINT32_MAX;
}

int udp_sockets_parse(struct udp_sockets *sockets, sa_family_t family, const char *text)
{
	struct udp_socket socket;
	int r = 0;

	while (*text && r >= 0) {
		if (read_line(text, family, &socket))
			r = array_add(sockets, socket);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return r;
}

static int read_sockets(struct udp_sockets *sockets, sa_family_t family, const char *path)
{
	AUTO_TEXT struct text text = {0};
	int r = read_file(path, FILE_MAX, &text);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = udp_sockets_parse(sockets, family, text_string(&text));
	return text_failed(&text) ? -ENOMEM : r;
}

int udp_sockets_read(struct udp_sockets *ret)
{
	struct udp_sockets sockets = {0};
	int r = read_sockets(&sockets, AF_INET, "/proc/net/udp");

	r = r < 0 ? r : read_sockets(&sockets, AF_INET6, "/proc/net/udp6");
	if (r < 0) {
		udp_sockets_clear(&sockets);
		return r;
	}
	*ret = sockets;
	return 0;
}

void udp_sockets_clear(struct udp_sockets *sockets)
{
	free(sockets->items);
	*sockets = (struct udp_sockets){0};
}
