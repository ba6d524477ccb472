/* What top knows of groups and handlers: the counters of the last look, their growth since the one
 * before, and the rates of the last minutes. Pure: JSON and times in. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/text.h"

/* Rounds that are kept for the sparkline. */
#define HISTORY_MAX 120

/* Different reasons of loss; more have no names. */
#define REASONS_MAX 64

/* Of a group: received and sent. Of a handler: received and delivered. */
enum counter { COUNTER_IN, COUNTER_IN_BYTES, COUNTER_OUT, COUNTER_OUT_BYTES, COUNTERS };

/* Datagrams lost for one reason. */
struct loss {
	const char *reason; /* owned by the model */
	int64_t count; /* as the daemon counts it */
	int64_t since; /* since top began, or model_forget_losses() */
	double rate;
};

enum row_state { ROW_GOOD, ROW_WAITING, ROW_FAILED };

struct row {
	char *name;
	char *label; /* the address and port of a group, the type of a handler */
	size_t name_columns, label_columns; /* of the escaped forms, on a terminal */
	char *remark; /* why it is not good, or NULL */
	enum row_state state;
	bool is_silent;
	char last[TIMESTAMP_MAX]; /* lastReceived; "": never. They compare as strings */
	int64_t counters[COUNTERS];
	double rates[COUNTERS];
	struct loss *losses; /* those that were ever counted */
	size_t loss_count;
	int64_t queued, queued_max; /* of a group: of the handler where most waits */
	double oldest_s; /* of a handler; below 0: nothing waits */
	uint64_t seen_ns; /* CLOCK_MONOTONIC */
	bool has_rates; /* it was seen twice without a restart in between */
	unsigned round; /* the last that it was in */
	/* Datagrams/s of IN, at model.at the latest; NAN for a round without; the sign bit is set
	 * where there was a loss. */
	float history[HISTORY_MAX];
};

/* Sorted by name. */
struct rows {
	struct row **items;
	size_t count;
	size_t next; /* the row behind the last one that was told: they come in their order */
};

struct model {
	struct rows groups, handlers;
	unsigned round;
	size_t at; /* of the histories */
	char *reasons[REASONS_MAX];
	size_t reason_count;
	double group_rates[COUNTERS]; /* of all groups */
	bool has_sent; /* any group */
	bool has_failed; /* without memory: some rows are missing */
};

/* Since the start of a round, every group and handler that there is must be told; handlers first,
 * as groups show where most of theirs waits. now_ns is CLOCK_MONOTONIC. */
void model_begin(struct model *model);
void model_put_handler(struct model *model, const json_t *handler, uint64_t now_ns);
void model_put_group(struct model *model, const json_t *group, uint64_t now_ns);
void model_end(struct model *model);

/* A round without an answer. */
void model_miss(struct model *model);

/* Losses count from here. */
void model_forget_losses(struct model *model);

void model_clear(struct model *model);

/* Sums of a row's losses. */
int64_t row_lost(const struct row *row);
double row_loss_rate(const struct row *row);
