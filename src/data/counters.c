/* A page holds records of one size, after its header; a record that is larger has several pages:
 *
 *     page 0           struct head
 *     page 1, 2, ...   struct page, record, record, ...      record: key, data
 *
 * The key is a hash of the name and the layout, or 0 in a free record, whose data is then the link
 * to the next one. */
#include "data/counters.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/array.h"
#include "base/cleanup.h"

#define PAGE_SIZE ((size_t)4096)
#define SIZES_MAX 8 /* different sizes of records */

/* Bytes of a record, with its key. */
#define RECORD_MAX (64 * PAGE_SIZE)

struct head {
	char magic[8];
	uint64_t version; /* of the structure of pages; records have their own layout */
};

struct page {
	uint64_t record_size; /* with its key; 0: the page was never used */
};

struct record {
	uint64_t key;
	uint64_t data[];
};

/* A record of the earlier run. */
struct restored {
	struct record *record;
	bool taken;
};

struct counters {
	int fd;
	uint8_t *memory;
	size_t used; /* bytes in pages that have records */
	struct {
		size_t record_size;
		struct record *free;
	} sizes[SIZES_MAX];
	bool frozen; /* records are not freed any more */
	pthread_mutex_t lock; /* records are released by threads, too */
	struct {
		struct restored *items;
		size_t count;
	} restored; /* sorted by key; empty after counters_settle() */
};

static const struct head head = {.magic = "mcastd\n", .version = 1};

static uint64_t hash(const char *key, uint64_t layout)
{
	uint64_t value = hash_bytes(layout, key, strlen(key));

	return value ? value : 1;
}

static struct record **free_list(struct counters *counters, size_t record_size)
{
	for (size_t i = 0; i < SIZES_MAX; i++) {
		if (!counters->sizes[i].record_size)
			counters->sizes[i].record_size = record_size;
		if (counters->sizes[i].record_size == record_size)
			return &counters->sizes[i].free;
	}
	return NULL;
}

static void put_free(struct record **list, struct record *record)
{
	record->key = 0;
	memcpy(record->data, list, sizeof(*list));
	*list = record;
}

static struct record *take_free(struct record **list)
{
	struct record *record = *list;

	memcpy(list, record->data, sizeof(*list));
	return record;
}

/* The size of a page with records of this size. */
static size_t page_size(size_t record_size)
{
	return (sizeof(struct page) + record_size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
}

/* Adds a page of free records. */
static int add_page(struct counters *counters, size_t record_size, struct record **list)
{
	struct page *page = (struct page *)(counters->memory + counters->used);
	size_t size = page_size(record_size);

	if (size > COUNTERS_MEMORY - counters->used)
		return -ENOMEM;
	counters->used += size;
	page->record_size = record_size;
	for (size_t at = sizeof(*page); at + record_size <= size; at += record_size)
		put_free(list, (struct record *)((uint8_t *)page + at));
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t left = ((const struct restored *)a)->record->key,
		 right = ((const struct restored *)b)->record->key;

	return left < right ? -1 : left > right;
}

/* Lists the records of a page of the earlier run. */
static int read_page(struct counters *counters, struct page *page)
{
	struct record **list = free_list(counters, page->record_size);
	size_t size = page_size(page->record_size);

	if (!list)
		return -ENOMEM;
	for (size_t at = sizeof(*page); at + page->record_size <= size; at += page->record_size) {
		struct record *record = (struct record *)((uint8_t *)page + at);

		if (!record->key)
			put_free(list, record);
		else if (array_add(&counters->restored, (struct restored){.record = record}) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Returns 0, -EPROTO if this is not the memory of counters, or -ENOMEM. */
static int read_all(struct counters *counters)
{
	if (memcmp(counters->memory, &head, sizeof(head)))
		return -EPROTO;
	counters->used = PAGE_SIZE;
	while (counters->used < COUNTERS_MEMORY) {
		struct page *page = (struct page *)(counters->memory + counters->used);

		if (!page->record_size)
			break;
		if (page->record_size < sizeof(struct record) + sizeof(void *) ||
			page->record_size > RECORD_MAX || page->record_size % sizeof(uint64_t) ||
			page_size(page->record_size) > COUNTERS_MEMORY - counters->used)
			return -EPROTO;
		if (read_page(counters, page) < 0)
			return -ENOMEM;
		counters->used += page_size(page->record_size);
	}
	if (counters->restored.count)
		qsort(counters->restored.items, counters->restored.count, sizeof(struct restored),
			compare_keys);
	return 0;
}

static int map(struct counters *counters, bool is_new)
{
	if (counters->fd < 0 || ftruncate(counters->fd, COUNTERS_MEMORY) < 0)
		return -errno;
	counters->memory = mmap(NULL, COUNTERS_MEMORY, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_NORESERVE, counters->fd, 0);
	if (counters->memory == MAP_FAILED) {
		counters->memory = NULL;
		return -errno;
	}
	if (is_new)
		memcpy(counters->memory, &head, sizeof(head));
	return read_all(counters);
}

int counters_open(int fd, struct counters **ret)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	int r;

	if (!counters)
		return -ENOMEM;
	pthread_mutex_init(&counters->lock, NULL);
	counters->fd = fd >= 0 ? fd : memfd_create("mcastd-counters", MFD_CLOEXEC);
	r = map(counters, fd < 0);
	if (r < 0) {
		counters_free(counters);
		return r;
	}
	*ret = counters;
	return 0;
}

void counters_free(struct counters *counters)
{
	if (!counters)
		return;
	if (counters->memory)
		munmap(counters->memory, COUNTERS_MEMORY);
	closep(&counters->fd);
	pthread_mutex_destroy(&counters->lock);
	free(counters->restored.items);
	free(counters);
}

int counters_fd(const struct counters *counters)
{
	return counters->fd;
}

/* The size of the records in the page of one, which begins in the first part of a larger page. */
static size_t record_size_of(const struct counters *counters, const struct record *record)
{
	size_t offset = (size_t)((const uint8_t *)record - counters->memory);

	return ((const struct page *)(counters->memory + offset / PAGE_SIZE * PAGE_SIZE))
		->record_size;
}

/* The record of an earlier run, or NULL. */
static struct restored *find_restored(
	const struct counters *counters, uint64_t key, size_t record_size)
{
	struct restored wanted = {.record = &(struct record){.key = key}}, *found;
	size_t i = lower_bound(&wanted, counters->restored.items, counters->restored.count,
		sizeof(wanted), compare_keys);

	if (i == counters->restored.count)
		return NULL;
	found = &counters->restored.items[i];
	if (found->record->key != key || found->taken ||
		record_size_of(counters, found->record) != record_size)
		return NULL;
	return found;
}

static struct record *take_restored(struct counters *counters, uint64_t key, size_t record_size)
{
	struct restored *found = find_restored(counters, key, record_size);

	if (!found)
		return NULL;
	found->taken = true;
	return found->record;
}

static size_t record_size_for(size_t size)
{
	return sizeof(struct record) + (size + 7) / 8 * 8;
}

static struct record *take_new(struct counters *counters, uint64_t key, size_t record_size)
{
	struct record **list = free_list(counters, record_size), *record;

	if (!list || (!*list && add_page(counters, record_size, list) < 0))
		return NULL;
	record = take_free(list);
	memset(record->data, 0, record_size - sizeof(*record));
	record->key = key;
	return record;
}

void *counters_take(struct counters *counters, const char *key, size_t size, uint64_t layout)
{
	size_t record_size = record_size_for(size);
	uint64_t hashed = hash(key, layout);
	struct record *record;

	pthread_mutex_lock(&counters->lock);
	record = take_restored(counters, hashed, record_size);
	if (!record)
		record = take_new(counters, hashed, record_size);
	pthread_mutex_unlock(&counters->lock);
	return record ? record->data : NULL;
}

uint64_t counters_key(const void *data)
{
	return container_of(data, const struct record, data)->key;
}

void *counters_peek(const struct counters *counters, uint64_t key, size_t size)
{
	const struct restored *found = find_restored(counters, key, record_size_for(size));

	return found ? found->record->data : NULL;
}

void counters_release(struct counters *counters, void *data)
{
	struct record *record;

	if (!data)
		return;
	record = container_of(data, struct record, data);
	pthread_mutex_lock(&counters->lock);
	if (!counters->frozen)
		put_free(free_list(counters, record_size_of(counters, record)), record);
	pthread_mutex_unlock(&counters->lock);
}

void counters_settle(struct counters *counters)
{
	for (size_t i = 0; i < counters->restored.count; i++)
		if (!counters->restored.items[i].taken)
			counters_release(counters, counters->restored.items[i].record->data);
	free(take(counters->restored.items));
	counters->restored.count = 0;
}

void counters_freeze(struct counters *counters)
{
	pthread_mutex_lock(&counters->lock);
	counters->frozen = true;
	pthread_mutex_unlock(&counters->lock);
}
