#include "engines/nats/subjects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engines/keys.h"

static int compare_subject(const void *key, const void *item)
{
	return strcmp(key, ((const struct subject *)item)->group);
}

static int add_subject(struct subjects *subjects, const char *pattern, const char *site,
	const char *group, size_t at)
{
	char address[ENGINE_ADDRESS_MAX];
	struct subject subject = {0};
	int r = engine_address(address, sizeof(address), pattern, group);

	if (r < 0)
		return r;
	subject.group = strdup(group);
	if (asprintf(&subject.name, "%s.%s", address, site) < 0)
		subject.name = NULL;
	r = subject.group && subject.name ? array_add(subjects, subject) : -ENOMEM;
	if (r < 0) {
		free(subject.group), free(subject.name);
		return r;
	}
	memmove(subjects->items + at + 1, subjects->items + at,
		(subjects->count - 1 - at) * sizeof(subject));
	subjects->items[at] = subject;
	return 0;
}

struct subject *subjects_find(
	struct subjects *subjects, const char *pattern, const char *site, const char *group)
{
	size_t at = subjects->last;

	if (at < subjects->count && !strcmp(subjects->items[at].group, group))
		return &subjects->items[at];
	at = lower_bound(
		group, subjects->items, subjects->count, sizeof(*subjects->items), compare_subject);
	if ((at == subjects->count || compare_subject(group, &subjects->items[at])) &&
		add_subject(subjects, pattern, site, group, at) < 0)
		return NULL;
	subjects->last = at;
	return &subjects->items[at];
}

void subjects_clear(struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++)
		free(subjects->items[i].group), free(subjects->items[i].name);
	free(subjects->items);
	*subjects = (struct subjects){0};
}
