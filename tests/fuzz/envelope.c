/* The header of a message at a broker, which anybody may have written: what is read as an id is
 * written again as it was. */
#include "formats/envelope.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char again[ENVELOPE_ID_MAX];
	struct envelope_id id;
	size_t length;

	if (envelope_read_id(text, size, &id) < 0)
		return 0;
	CHECK(envelope_is_site(id.site, strlen(id.site)) && id.number > 0);
	length = envelope_write_id(again, id.site, id.run, id.number);
	CHECK(length == size && !memcmp(again, text, size));
	return 0;
}
