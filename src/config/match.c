#include "config/match.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/text.h"
#include "base/words.h"
#include "net/address.h"

/* Longer ones stand first, as they begin with the others. */
static const struct {
	const char *sign;
	enum match_order order;
} orders[] = {{"==", MATCH_EQUAL}, {"!=", MATCH_UNEQUAL}, {"<=", MATCH_UP_TO}, {">=", MATCH_FROM},
	{"<", MATCH_BELOW}, {">", MATCH_ABOVE}};

static const struct {
	const char *name;
	uint8_t size;
	bool is_little_endian;
} integers[] = {{"u8", 1, false}, {"u16le", 2, true}, {"u16", 2, false}, {"u32le", 4, true},
	{"u32", 4, false}, {"u64le", 8, true}, {"u64", 8, false}};

static int not_understood(const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	return because(why, -EINVAL,
		"'%s' is no condition: write like u16@2 == 7, u8@0 & 0xf0 == 0x40, bytes@4 == "
		"0x0a0b or contains ALARM",
		shown(text, buffer));
}

static const char *skip_spaces(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* Takes a word that is expected. Returns what follows, or NULL. */
static const char *take_word(const char *at, const char *word)
{
	size_t length = strlen(word);

	at = skip_spaces(at);
	return strncmp(at, word, length) ? NULL : at + length;
}

/* One that 64 bits do not hold is the greatest that they do, with errno ERANGE. */
static const char *take_number(const char *at, uint64_t *ret)
{
	char *end;

	at = skip_spaces(at);
	if (!isdigit((unsigned char)*at))
		return NULL;
	errno = 0;
	*ret = strtoull(at, &end, strncasecmp(at, "0x", 2) ? 10 : 16);
	return end;
}

static const char *take_order(const char *at, enum match_order *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		const char *end = take_word(at, orders[i].sign);

		if (!end)
			continue;
		*ret = orders[i].order;
		return end;
	}
	return NULL;
}

/* One beyond all datagrams stays so. */
static const char *take_offset(const char *at, uint32_t *ret)
{
	uint64_t offset;
	const char *end = *at == '@' ? take_number(at + 1, &offset) : NULL;

	if (!end)
		return NULL;
	*ret = offset > DATAGRAM_MAX ? DATAGRAM_MAX + 1 : (uint32_t)offset;
	return end;
}

/* Takes 0x and digits. */
static const char *take_bytes(const char *at, uint8_t bytes[static MATCH_BYTES_MAX], size_t *ret)
{
	AUTO_TEXT struct text decoded = {0};
	size_t length;

	at = take_word(at, "0x");
	if (!at)
		return NULL;
	length = strspn(at, "0123456789abcdefABCDEF");
	if (!length || text_append_hex_decoded(&decoded, at, length) < 0 || text_failed(&decoded) ||
		decoded.length > MATCH_BYTES_MAX)
		return NULL;
	memcpy(bytes, decoded.data, decoded.length);
	*ret = decoded.length;
	return at + length;
}

static bool ends(const char *at)
{
	return at && !*skip_spaces(at);
}

static bool parse_integer(const char *at, struct match *match)
{
	const char *masked;

	at = take_offset(at, &match->offset);
	match->mask = UINT64_MAX;
	masked = at ? take_word(at, "&") : NULL;
	errno = 0;
	at = masked ? take_number(masked, &match->mask) : at;
	match->is_too_large = masked && errno == ERANGE;
	at = at ? take_order(at, &match->order) : NULL;
	if (!at || !ends(take_number(at, &match->value)))
		return false;
	match->is_too_large |= errno == ERANGE;
	return true;
}

static bool parse_bytes(const char *at, struct match *match)
{
	size_t masked = 0;
	const char *mask;

	at = take_offset(at, &match->offset);
	memset(match->mask_bytes, 0xff, sizeof(match->mask_bytes));
	mask = at ? take_word(at, "&") : NULL;
	at = mask ? take_bytes(mask, match->mask_bytes, &masked) : at;
	at = at ? take_order(at, &match->order) : NULL;
	return at && match->order <= MATCH_UNEQUAL &&
	       ends(take_bytes(at, match->bytes, &match->length)) &&
	       (!mask || masked == match->length);
}

/* All that follows is the text, or 0x and the digits of bytes. */
static bool parse_contained(const char *at, struct match *match)
{
	if (!strncmp(at, "0x", 2))
		return ends(take_bytes(at, match->bytes, &match->length));
	match->length = strlen(at);
	if (!match->length || match->length > MATCH_BYTES_MAX)
		return false;
	memcpy(match->bytes, at, match->length);
	return true;
}

static bool parse(const char *text, struct match *ret)
{
	const char *at = skip_spaces(text), *rest;

	*ret = (struct match){0};
	if ((rest = take_word(at, "contains "))) {
		ret->kind = MATCH_CONTAINS;
		return parse_contained(rest, ret);
	}
	if ((rest = take_word(at, "bytes"))) {
		ret->kind = MATCH_BYTES;
		return parse_bytes(rest, ret);
	}
	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		rest = take_word(at, integers[i].name);
		if (!rest || *rest != '@')
			continue;
		ret->kind = MATCH_INTEGER;
		ret->size = integers[i].size;
		ret->is_little_endian = integers[i].is_little_endian;
		return parse_integer(rest, ret);
	}
	return false;
}

size_t match_size(const struct match *match)
{
	return match->kind == MATCH_CONTAINS  ? match->length
	       : match->kind == MATCH_INTEGER ? (size_t)match->offset + match->size
					      : (size_t)match->offset + match->length;
}

/* Whether each integer of these bits, or none of them, is so compared. */
static bool is_decided(const struct match *match, bool *ret)
{
	uint64_t value = match->value, most = match->mask;
	bool has_other_bits = value & ~match->mask;

	switch (match->order) {
	case MATCH_EQUAL:
		*ret = false;
		return has_other_bits;
	case MATCH_UNEQUAL:
		*ret = true;
		return has_other_bits;
	case MATCH_BELOW:
		*ret = value > most;
		return value > most || !value;
	case MATCH_UP_TO:
		*ret = true;
		return value >= most;
	case MATCH_ABOVE:
		*ret = false;
		return value >= most;
	default:
		*ret = !value;
		return value > most || !value;
	}
}

static bool are_bytes_decided(const struct match *match)
{
	for (size_t i = 0; i < match->length; i++)
		if (match->bytes[i] & ~match->mask_bytes[i])
			return true;
	return false;
}

/* Refuses what holds for no payload, and what holds for all that are long enough. */
static int refuse_decided(const char *text, const struct match *match, char why[static WHY_MAX])
{
	bool holds = match->order == MATCH_UNEQUAL;
	char buffer[SHOWN_MAX];

	shown(text, buffer);
	if (match_size(match) > DATAGRAM_MAX)
		return because(why, -EINVAL,
			"'%s': no datagram has more than %u bytes, use a smaller offset", buffer,
			(unsigned)DATAGRAM_MAX);
	if (match->kind == MATCH_INTEGER
			? !is_decided(match, &holds)
			: match->kind == MATCH_CONTAINS || !are_bytes_decided(match))
		return 0;
	if (holds)
		return because(why, -EINVAL,
			"'%s': every datagram of at least %zu bytes is like that, use min_size or "
			"another value",
			buffer, match_size(match));
	return because(why, -EINVAL, "'%s': no datagram is like that, %s", buffer,
		match->order == MATCH_EQUAL ? "the value has bits that the mask takes away"
					    : "use another value");
}

static int refuse_width(const char *text, const struct match *match, char why[static WHY_MAX])
{
	uint64_t most = match->size == 8 ? UINT64_MAX : (1ull << 8 * match->size) - 1;
	char buffer[SHOWN_MAX];

	return because(why, -EINVAL, "'%s': %u bits hold %llu at most", shown(text, buffer),
		8u * match->size, (unsigned long long)most);
}

int match_parse(const char *text, struct match *ret, char why[static WHY_MAX])
{
	uint64_t most;

	if (!parse(text, ret))
		return not_understood(text, why);
	if (ret->kind == MATCH_INTEGER) {
		most = ret->size == 8 ? UINT64_MAX : (1ull << 8 * ret->size) - 1;
		if (ret->is_too_large || ret->value > most ||
			(ret->mask != UINT64_MAX && ret->mask > most))
			return refuse_width(text, ret, why);
		ret->mask &= most;
	}
	return refuse_decided(text, ret, why);
}

/* The bits that a condition of == asks of the byte at an offset, and in *ret_mask which. */
static uint8_t wanted_byte(const struct match *match, size_t offset, uint8_t *ret_mask)
{
	size_t at = offset - match->offset;
	unsigned shift;

	*ret_mask = 0;
	if (offset < match->offset || offset >= match_size(match))
		return 0;
	if (match->kind == MATCH_BYTES) {
		*ret_mask = match->mask_bytes[at];
		return match->bytes[at];
	}
	shift = 8 * (unsigned)(match->is_little_endian ? at : match->size - 1 - at);
	*ret_mask = (uint8_t)(match->mask >> shift);
	return (uint8_t)(match->value >> shift);
}

bool match_contradicts(const struct match *a, const struct match *b)
{
	uint8_t left, right, left_mask, right_mask;

	if (a->kind == MATCH_CONTAINS || a->order != MATCH_EQUAL || b->kind == MATCH_CONTAINS ||
		b->order != MATCH_EQUAL)
		return false;
	for (size_t i = a->offset; i < match_size(a); i++) {
		left = wanted_byte(a, i, &left_mask);
		right = wanted_byte(b, i, &right_mask);
		if ((left ^ right) & left_mask & right_mask)
			return true;
	}
	return false;
}

static uint64_t read_integer(const struct match *match, const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < match->size; i++)
		value = value << 8 | bytes[match->is_little_endian ? match->size - 1u - i : i];
	return value;
}

static bool integer_holds(const struct match *match, const uint8_t *payload, size_t size)
{
	uint64_t value;

	if (size < match->offset + (size_t)match->size)
		return false;
	value = read_integer(match, payload + match->offset) & match->mask;
	switch (match->order) {
	case MATCH_EQUAL:
		return value == match->value;
	case MATCH_UNEQUAL:
		return value != match->value;
	case MATCH_BELOW:
		return value < match->value;
	case MATCH_UP_TO:
		return value <= match->value;
	case MATCH_ABOVE:
		return value > match->value;
	default:
		return value >= match->value;
	}
}

static bool bytes_hold(const struct match *match, const uint8_t *payload, size_t size)
{
	bool are_equal = true;

	if (size < match->offset + match->length)
		return false;
	for (size_t i = 0; i < match->length; i++)
		are_equal &= (payload[match->offset + i] & match->mask_bytes[i]) == match->bytes[i];
	return are_equal == (match->order == MATCH_EQUAL);
}

bool match_holds(const struct match *match, const void *payload, size_t size)
{
	switch (match->kind) {
	case MATCH_INTEGER:
		return integer_holds(match, payload, size);
	case MATCH_BYTES:
		return bytes_hold(match, payload, size);
	default:
		return memmem(payload, size, match->bytes, match->length);
	}
}
