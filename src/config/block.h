/* A { } of a file, read by the rows of schemas. Internal to reading: config_setting_t is
 * libconfig's, and incomplete for whoever does not include <libconfig.h>. */
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "config/prescan.h"
#include "config/report.h"

struct config_setting_t;

/* One file that is being read. */
struct reader {
	struct config *config;
	const struct config_kind *const *kinds;
	struct errors *errors;
	const char *file;
	struct odd_lines odd;
};

/* Rows, and where their values go. */
struct target {
	const struct schema *schema;
	void *settings;
	struct key_mark *marks; /* one a row, zeroed */
};

#define TARGETS_MAX 3

/* What may stand in it. */
struct block {
	struct subject subject;
	struct target targets[TARGETS_MAX];
	size_t target_count;
	const char *const *others; /* what may stand there, too, but is no value; NULL at the end */
	bool is_open; /* other keys may be right or required, there is no telling */
};

/* Reads one setting, or all those of a { } and checks that nothing is missing. Errors go to
 * reader->errors. Returns 0 or -ENOMEM. */
int read_setting(
	struct reader *reader, const struct block *block, const struct config_setting_t *setting);
int read_block(
	struct reader *reader, const struct block *block, const struct config_setting_t *setting);

/* Whether the setting is a { }; says so if it is not. */
bool expect_group(struct reader *reader, const struct subject *subject,
	const struct config_setting_t *setting);
