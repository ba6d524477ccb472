#include "config/numbering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/words.h"
#include "net/address.h"

static const struct {
	const char *name;
	struct numbering numbering;
} formats[] = {
	{"rtp", {NUMBERING_RTP, .bits = 16}},
	{"moldudp64", {NUMBERING_MOLDUDP64, .bits = 64}},
	{"mpeg-ts", {NUMBERING_MPEG_TS, .bits = 0}},
	{"iperf", {NUMBERING_IPERF, .bits = 32}},
};

static const struct {
	const char *name;
	unsigned bits;
} integers[] = {{"u8", 8}, {"u16", 16}, {"u32", 32}, {"u64", 64}};

static int not_understood(const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	return because(why, -EINVAL,
		"'%s' is no way to number datagrams: write rtp, moldudp64, mpeg-ts, iperf, or an "
		"integer and its offset like u32@4 or u64le@8",
		shown(text, buffer));
}

/* What stands before the '@'. */
static bool parse_integer(const char *text, size_t length, struct numbering *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		size_t name = strlen(integers[i].name);

		if (length < name || strncmp(text, integers[i].name, name) != 0)
			continue;
		ret->bits = integers[i].bits;
		ret->is_little_endian = length == name + 2 && !strncmp(text + name, "le", 2);
		return length == name || (ret->is_little_endian && ret->bits > 8);
	}
	return false;
}

int numbering_parse(const char *text, struct numbering *ret, char why[static WHY_MAX])
{
	const char *at = strchr(text, '@');
	char buffer[SHOWN_MAX], *end;
	unsigned long offset;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(text, formats[i].name) != 0)
			continue;
		*ret = formats[i].numbering;
		return 0;
	}
	*ret = (struct numbering){.kind = NUMBERING_INTEGER};
	if (!at || at[1] < '0' || at[1] > '9' || !parse_integer(text, (size_t)(at - text), ret))
		return not_understood(text, why);
	errno = 0;
	offset = strtoul(at + 1, &end, 10);
	if (*end)
		return not_understood(text, why);
	if (errno || offset > DATAGRAM_MAX || offset + ret->bits / 8 > DATAGRAM_MAX)
		return because(why, -EINVAL, "'%s': no datagram has more than %u bytes",
			shown(text, buffer), (unsigned)DATAGRAM_MAX);
	ret->offset = (uint32_t)offset;
	return 0;
}
