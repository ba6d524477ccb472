#include "engines/kafka/refusals.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#include "base/array.h"

static const struct refusal refusals[] = {
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, COUNTED_UNKNOWN_TOPIC, ": it has to be created"},
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, COUNTED_UNKNOWN_TOPIC, ": it has to be created"},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, COUNTED_NOT_AUTHORIZED,
		": the ACLs of the brokers do not let this user write to it"},
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, COUNTED_TOO_LARGE,
		": raise max.message.bytes of the topic"},
};

const struct refusal *refusal_find(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].error == error)
			return &refusals[i];
	return NULL;
}

const char *refusal_describe(const char *topic, int error, char ret[static WHY_MAX])
{
	const struct refusal *refusal = refusal_find(error);

	snprintf(ret, WHY_MAX, "topic %s: %s%s", topic, rd_kafka_err2str(error),
		refusal ? refusal->hint : "");
	return ret;
}
