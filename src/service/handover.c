#include "service/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"

struct item {
	char *name;
	int fd; /* -1: claimed */
};

struct handover {
	size_t count;
	struct item items[]; /* sorted by name: there may be thousands */
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

int handover_take(struct handover **ret)
{
	AUTO_FREE char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	struct handover *handover;

	if (count < 0)
		return count;
	handover = calloc(1, sizeof(*handover) + (size_t)count * sizeof(*handover->items));
	if (!handover)
		return -ENOMEM;
	handover->count = (size_t)count;
	for (int i = 0; i < count; i++)
		handover->items[i] = (struct item){.name = names[i], .fd = SD_LISTEN_FDS_START + i};
	qsort(handover->items, handover->count, sizeof(*handover->items), compare_names);
	*ret = handover;
	return 0;
}

int handover_claim(struct handover *handover, const char *name)
{
	struct item wanted = {.name = (char *)name};
	struct item *found = bsearch(
		&wanted, handover->items, handover->count, sizeof(wanted), compare_names);

	if (!found || found->fd < 0)
		return -ENOENT;
	return take_fd(found->fd);
}

int handover_claim_next(struct handover *handover, const char *prefix, const char **ret_name)
{
	for (size_t i = 0; i < handover->count; i++) {
		struct item *item = &handover->items[i];

		if (item->fd < 0 || strncmp(item->name, prefix, strlen(prefix)))
			continue;
		*ret_name = item->name;
		return take_fd(item->fd);
	}
	return -ENOENT;
}

void handover_free(struct handover *handover)
{
	if (!handover)
		return;
	for (size_t i = 0; i < handover->count; i++) {
		closep(&handover->items[i].fd);
		free(handover->items[i].name);
	}
	free(handover);
}
