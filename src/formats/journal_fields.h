/* The members of a payload that is a JSON object, as fields of the journal: JSON_TEMPERATURE=21.5.
 * Whatever a sender writes, the names begin with JSON_, so that they are none of the journal's and
 * the daemon's own. Pure: bytes in, bytes out. */
#pragma once

#include <stddef.h>

#include "base/text.h"

#define JOURNAL_PREFIX "JSON_" /* of each name */
#define JOURNAL_FIELDS_MAX 64 /* of one payload */
#define JOURNAL_NAME_MAX 64 /* bytes; the journal takes no longer ones */
#define JOURNAL_VALUE_MAX 4000 /* bytes; "journalctl -o json" shows no field of 4096 and more */

struct journal_fields {
	struct journal_field {
		size_t start, size; /* of "NAME=value", within text */
		size_t name_size;
	} items[JOURNAL_FIELDS_MAX];
	unsigned count;
	unsigned left_out; /* members: there were too many, or the name or the value is too long */
};

/* Appends the fields to text. The name is that of the member, in capitals, with _ for all that is
 * no ASCII letter or digit; a member of a member has both names, with _ between them. Of two
 * members that have the same name so, the later one counts. The value is the text of a string, and
 * any other value as it stands in the payload: numbers, true, false, null and arrays.
 *
 * Returns 0; or -EINVAL with no field, and text as it was: not JSON in UTF-8, not an object, or
 * nested deeper than SCAN_DEPTH. Whether memory sufficed says text_failed(). */
int journal_fields_read(
	struct journal_fields *ret, struct text *text, const void *payload, size_t size);
