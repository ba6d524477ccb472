#include "engines/nats/trash.h"

void trash_empty(struct trash *trash)
{
	for (unsigned i = 0; i < trash->count; i++)
		natsMsg_Destroy(trash->messages[i]);
	trash->count = 0;
	trash->bytes = 0;
}

void trash_add(struct trash *trash, natsMsg *message)
{
	if (!message)
		return;
	trash->messages[trash->count++] = message;
	trash->bytes += (uint64_t)natsMsg_GetDataLength(message);
	if (trash->count == TRASH_MESSAGES_MAX || trash->bytes > TRASH_BYTES_MAX)
		trash_empty(trash);
}
