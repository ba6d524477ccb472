/* A bit for each of the last SITES_WINDOW numbers of a run, at its number modulo the window. */
#include "data/sites.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"

#define WORD_BITS 64
#define WORDS (SITES_WINDOW / WORD_BITS)
#define BUCKETS SITES_RUNS_MAX

struct run {
	struct link of_bucket;
	struct link of_sites; /* the one that was silent for longest first */
	uint64_t run;
	uint64_t first; /* number that was seen; those before it are no gaps */
	uint64_t highest; /* number that was seen */
	uint64_t seen[WORDS];
	char site[];
};

struct sites {
	struct hash_key key; /* names come from the network */
	struct link buckets[BUCKETS];
	struct link runs;
	size_t count;
};

struct sites *sites_new(void)
{
	struct sites *sites = calloc(1, sizeof(*sites));

	if (!sites)
		return NULL;
	hash_key_init(&sites->key);
	list_init(&sites->runs);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&sites->buckets[i]);
	return sites;
}

static void run_free(struct run *run)
{
	link_remove(&run->of_bucket);
	link_remove(&run->of_sites);
	free(run);
}

void sites_free(struct sites *sites)
{
	struct run *run;

	if (!sites)
		return;
	list_for_each(run, &sites->runs, of_sites)
		run_free(run);
	free(sites);
}

static struct link *bucket_of(struct sites *sites, const char *site, uint64_t run)
{
	uint64_t hash = hash_keyed(&sites->key, site, strlen(site));

	return &sites->buckets[hash_mix(hash ^ sites->key.words[0], run ^ sites->key.words[1]) %
			       BUCKETS];
}

static struct run *find(const struct link *bucket, const char *site, uint64_t number)
{
	struct run *run, *found = NULL;

	list_for_each(run, bucket, of_bucket)
		if (run->run == number && !strcmp(run->site, site))
			found = run;
	return found;
}

static struct run *add(struct sites *sites, struct link *bucket, const char *site, uint64_t number)
{
	struct run *run = calloc(1, sizeof(*run) + strlen(site) + 1);

	if (!run)
		return NULL;
	if (sites->count == SITES_RUNS_MAX)
		run_free(list_first(&sites->runs, struct run, of_sites));
	else
		sites->count++;
	run->run = number;
	strcpy(run->site, site);
	list_append(bucket, &run->of_bucket);
	list_append(&sites->runs, &run->of_sites);
	return run;
}

static uint64_t *word_of(struct run *run, uint64_t number)
{
	return &run->seen[number % SITES_WINDOW / WORD_BITS];
}

static uint64_t bit_of(uint64_t number)
{
	return 1ull << number % WORD_BITS;
}

/* Forgets what the numbers up to the new highest one replace. */
static void advance(struct run *run, uint64_t number)
{
	if (number - run->highest >= SITES_WINDOW)
		memset(run->seen, 0, sizeof(run->seen));
	else
		for (uint64_t i = run->highest + 1; i != number; i++)
			*word_of(run, i) &= ~bit_of(i);
	run->highest = number;
}

static bool see(struct run *run, uint64_t number, int64_t *ret_gaps)
{
	uint64_t *word = word_of(run, number), bit = bit_of(number), missing;

	*ret_gaps = 0;
	if (number > run->highest) {
		missing = number - run->highest - 1;
		*ret_gaps = missing > INT64_MAX ? INT64_MAX : (int64_t)missing;
		advance(run, number);
	} else if (run->highest - number >= SITES_WINDOW || *word & bit) {
		return false;
	} else if (number > run->first) {
		*ret_gaps = -1;
	}
	*word |= bit;
	return true;
}

bool sites_see(
	struct sites *sites, const char *site, uint64_t run, uint64_t number, int64_t *ret_gaps)
{
	struct link *bucket = bucket_of(sites, site, run);
	struct run *found = find(bucket, site, run);

	*ret_gaps = 0;
	if (!found) {
		found = add(sites, bucket, site, run);
		if (!found)
			return true;
		found->first = found->highest = number;
		*word_of(found, number) |= bit_of(number);
		return true;
	}
	link_remove(&found->of_sites);
	list_append(&sites->runs, &found->of_sites);
	return see(found, number, ret_gaps);
}
