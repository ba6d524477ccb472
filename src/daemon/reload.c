#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>

#include "net/background.h"

struct reloads {
	struct background *background;
	const struct reload_callbacks *callbacks;
	void *argument;
	struct link requests; /* waiting */
	struct reload_request *current; /* being carried out, or NULL */
	bool works; /* in the background, where loaded and discarded belong to it, or applies */
	struct loaded loaded;
	struct config *discarded;
};

static void work(void *argument)
{
	struct reloads *reloads = argument;

	config_free(take(reloads->discarded));
	if (reloads->current)
		reloads->callbacks->load(reloads->argument, &reloads->loaded);
}

static void clear_loaded(struct loaded *loaded)
{
	config_free(loaded->config);
	config_changes_clear(&loaded->changes);
	errors_clear(&loaded->errors);
	*loaded = (struct loaded){0};
}

static void end_request(struct reloads *reloads, struct reload_request *request, int r)
{
	struct loaded *loaded = &reloads->loaded;

	request->done(request, r, &loaded->changes, &loaded->errors);
	clear_loaded(loaded);
}

static void begin_next(struct reloads *reloads)
{
	if (reloads->works)
		return;
	reloads->current = list_first(&reloads->requests, struct reload_request, link);
	if (!reloads->current && !reloads->discarded)
		return;
	if (reloads->current) {
		link_remove(&reloads->current->link);
		reloads->callbacks->begin(reloads->argument, reloads->current);
	}
	reloads->works = true;
	background_start(reloads->background);
}

static void on_done(void *argument)
{
	struct reloads *reloads = argument;

	if (reloads->current) {
		reloads->callbacks->apply(reloads->argument, reloads->current, &reloads->loaded);
		return;
	}
	reloads->works = false;
	begin_next(reloads);
}

void reloads_applied(struct reloads *reloads, int r, struct config *unused)
{
	reloads->discarded = unused;
	end_request(reloads, take(reloads->current), r);
	reloads->works = false;
	begin_next(reloads);
}

struct reloads *reloads_new(
	struct event_base *base, const struct reload_callbacks *callbacks, void *argument)
{
	struct reloads *reloads = calloc(1, sizeof(*reloads));

	if (!reloads)
		return NULL;
	list_init(&reloads->requests);
	reloads->callbacks = callbacks;
	reloads->argument = argument;
	reloads->background = background_new(base, true, work, on_done, reloads);
	if (!reloads->background) {
		free(reloads);
		return NULL;
	}
	return reloads;
}

void reloads_free(struct reloads *reloads)
{
	struct reload_request *request;

	if (!reloads)
		return;
	background_free(reloads->background);
	clear_loaded(&reloads->loaded);
	if (reloads->current)
		end_request(reloads, reloads->current, -ECANCELED);
	while ((request = list_first(&reloads->requests, struct reload_request, link))) {
		link_remove(&request->link);
		end_request(reloads, request, -ECANCELED);
	}
	config_free(reloads->discarded);
	free(reloads);
}

void reloads_add(struct reloads *reloads, struct reload_request *request)
{
	list_append(&reloads->requests, &request->link);
	begin_next(reloads);
}
