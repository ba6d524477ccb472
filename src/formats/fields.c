#include "formats/fields.h"

#include <inttypes.h>
#include <stdio.h>

#define STRING_ROW(id, name, value) \
	[FIELD_##id] = {name, sizeof(name) - 1, "MCASTD_" #id, FIELD_STRING},
#define NUMBER_ROW(id, name, value) \
	[FIELD_##id] = {name, sizeof(name) - 1, "MCASTD_" #id, FIELD_NUMBER},
#define FLAG_ROW(id, name, value) \
	[FIELD_##id] = {name, sizeof(name) - 1, "MCASTD_" #id, FIELD_FLAG},
const struct field_info field_infos[FIELDS] = {DATAGRAM_FIELDS(STRING_ROW, NUMBER_ROW, FLAG_ROW)};

#define READ_STRING(id, name, value) ret->values[FIELD_##id].string = (value);
#define READ_NUMBER(id, name, value) ret->values[FIELD_##id].number = (value);
void fields_read(struct fields *ret, const struct origin *origin, const struct datagram *datagram)
{
	struct address source = endpoint_address(&datagram->source);

	DATAGRAM_FIELDS(READ_STRING, READ_NUMBER, READ_NUMBER)
}

const char *fields_string(
	const struct fields *fields, enum field field, char buffer[static FIELD_NUMBER_MAX])
{
	if (field_infos[field].type == FIELD_FLAG)
		return "true";
	if (field_infos[field].type == FIELD_STRING)
		return fields->values[field].string;
	snprintf(buffer, FIELD_NUMBER_MAX, "%" PRIu64, fields->values[field].number);
	return buffer;
}
