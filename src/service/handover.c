#include "service/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct handover {
	char **names; /* of the descriptors from SD_LISTEN_FDS_START on */
	int count;
	int fds[]; /* -1: claimed */
};

static void free_names(char **names, int count)
{
	for (int i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
}

int handover_take(struct handover **ret)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	struct handover *handover;

	if (count < 0)
		return count;
	handover = calloc(1, sizeof(*handover) + (size_t)count * sizeof(int));
	if (!handover) {
		free_names(names, count);
		return -ENOMEM;
	}
	handover->names = names;
	handover->count = count;
	for (int i = 0; i < count; i++)
		handover->fds[i] = SD_LISTEN_FDS_START + i;
	*ret = handover;
	return 0;
}

int handover_claim(struct handover *handover, const char *name)
{
	for (int i = 0; i < handover->count; i++) {
		int fd = handover->fds[i];

		if (fd < 0 || strcmp(handover->names[i], name))
			continue;
		handover->fds[i] = -1;
		return fd;
	}
	return -ENOENT;
}

void handover_free(struct handover *handover)
{
	if (!handover)
		return;
	for (int i = 0; i < handover->count; i++)
		if (handover->fds[i] >= 0)
			close(handover->fds[i]);
	free_names(handover->names, handover->count);
	free(handover);
}
