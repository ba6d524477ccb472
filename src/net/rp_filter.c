#include "net/rp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* More than the kernel writes; what is beyond is not read. */
#define TEXT_MAX (32 * 1024)

/* The next word of a line, or NULL at its end. */
static const char *next_word(const char *at, size_t *ret_length)
{
	at += strspn(at, " ");
	*ret_length = strcspn(at, " \n");
	return *ret_length ? at : NULL;
}

int rp_filter_parse(const char *text, uint64_t *ret)
{
	static const char protocol[] = "TcpExt:", name[] = "IPReversePathFilter";
	const char *names = NULL, *values = NULL;
	size_t name_length, value_length;

	for (const char *line = text; line && !values; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, protocol, strlen(protocol)) != 0)
			continue;
		*(names ? &values : &names) = line;
	}
	while (values && (names = next_word(names, &name_length)) &&
		(values = next_word(values, &value_length))) {
		if (name_length == strlen(name) && !strncmp(names, name, name_length))
			return sscanf(values, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
		names += name_length;
		values += value_length;
	}
	return -ENODATA;
}

int rp_filter_dropped(uint64_t *ret)
{
	AUTO_CLOSE int fd = open("/proc/net/netstat", O_RDONLY | O_CLOEXEC);
	char text[TEXT_MAX];
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (size < sizeof(text) - 1 && (n = read(fd, text + size, sizeof(text) - 1 - size))) {
		if (n < 0)
			return -errno;
		size += (size_t)n;
	}
	text[size] = '\0';
	return rp_filter_parse(text, ret);
}
