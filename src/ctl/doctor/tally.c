#include "ctl/doctor/tally.h"

#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "ctl/doctor/fragments.h"
#include "ctl/doctor/seen.h"
#include "ctl/doctor/strays.h"
#include "data/twins.h"

#define BUCKETS 4096 /* power of 2 */
#define STRANGERS_MAX \
	4096 /* addresses of no group; the others are as many as groups and interfaces */
#define LOOPBACK_IFINDEX 1 /* in every network namespace */

/* Beyond the time that a query gives, for what holds up the report or us. */
#define ANSWER_LATE_NS (500 * NS_PER_MS)

/* When there were queries and reports: the first ones, and the last ones. */
#define TIMES_MAX 4
struct times {
	uint64_t query_ns[TIMES_MAX], due_ns[TIMES_MAX], report_ns[TIMES_MAX];
	size_t query_count, report_count;
};

/* What goes to an address on an interface: to a port that a group has, or (port 0) whatever is of
 * the address alone, such as datagrams to other ports and reports. General queries are those of
 * address 0.0.0.0 or ::. */
struct stream {
	struct stream *next; /* of the same hash */
	struct stream *next_mac; /* of the same hash of the MAC address */
	struct address address;
	uint16_t port;
	unsigned ifindex;
	uint64_t mac_key;
	bool is_wanted; /* a group has the address; else it only has its MAC address */
	struct wire_seen *seen;
	struct times times;
};

/* A sorted set of MAC addresses. */
struct mac_keys {
	uint64_t *items;
	size_t count;
};

struct tally {
	struct hash_key key;
	struct wire_group *groups; /* as they were given */
	struct wire_group *wanted; /* the same, sorted */
	size_t count;
	struct mac_keys macs;
	bool has_any_v4, has_any_v6; /* groups for all addresses of this host */
	struct stream *buckets[BUCKETS], *mac_buckets[BUCKETS];
	struct strays strays;
	size_t stranger_count;
	uint64_t left_out;
	uint64_t begin_ns;
	struct fragments *fragments;
	struct twins *twins;
	struct wire_seen answer;
};

uint64_t multicast_mac_key(const struct address *address)
{
	uint32_t low;

	if (!address_is_multicast(address))
		return 0;
	if (address->family == AF_INET)
		return 1ull << 32 | (ntohl(address->v4.s_addr) & 0x7fffff);
	memcpy(&low, &address->v6.s6_addr[12], sizeof(low));
	return 2ull << 32 | ntohl(low);
}

static int compare_groups(const void *a, const void *b)
{
	const struct wire_group *left = a, *right = b;
	int r = address_compare(&left->address, &right->address);

	return r ? r : (left->port > right->port) - (left->port < right->port);
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Unicast and broadcast addresses are never mistaken for others. */
static uint64_t mac_key_of(const struct tally *tally, const struct address *address)
{
	uint64_t key = multicast_mac_key(address);
	size_t size = address->family == AF_INET ? 4 : 16;

	return key ? key : hash_keyed(&tally->key, &address->v4, size) | 1ull << 63;
}

static uint64_t hash_place(const struct tally *tally, uint64_t a, uint32_t b, uint32_t c)
{
	uint64_t words[2] = {a, (uint64_t)b << 32 | c};

	return hash_keyed(&tally->key, words, sizeof(words)) % BUCKETS;
}

static uint64_t hash_stream(
	const struct tally *tally, const struct address *address, uint16_t port, unsigned ifindex)
{
	uint64_t words[3] = {0, 0, (uint64_t)ifindex << 32 | port};

	memcpy(words, &address->v4, address->family == AF_INET ? 4 : 16);
	return hash_keyed(&tally->key, words, sizeof(words)) % BUCKETS;
}

static int prepare(struct tally *tally, const struct wire_group *groups, size_t count)
{
	size_t size = (count ? count : 1) * sizeof(*groups);

	tally->groups = malloc(size);
	tally->wanted = malloc(size);
	tally->macs.items = malloc((count ? count : 1) * sizeof(*tally->macs.items));
	if (!tally->groups || !tally->wanted || !tally->macs.items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct address *address = &groups[i].address;

		tally->groups[i] = tally->wanted[i] = groups[i];
		strays_add_port(&tally->strays, groups[i].port);
		tally->has_any_v4 |= address_is_any(address) && address->family == AF_INET;
		tally->has_any_v6 |= address_is_any(address) && address->family == AF_INET6;
		if (address_is_multicast(address))
			tally->macs.items[tally->macs.count++] = multicast_mac_key(address);
	}
	tally->count = count;
	qsort(tally->wanted, count, sizeof(*tally->wanted), compare_groups);
	qsort(tally->macs.items, tally->macs.count, sizeof(*tally->macs.items), compare_keys);
	return 0;
}

/* Of datagrams to other ports, nothing is missing for a group. Where the first fragment is missing,
 * nobody knows the port. */
static void count_incomplete(void *owner, void *other)
{
	struct stream *stream = owner ? owner : other;

	if (stream && (stream->port || !owner))
		stream->seen->incomplete++;
}

struct tally *tally_new(const struct wire_group *groups, size_t count, uint64_t now_ns)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	hash_key_init(&tally->key);
	tally->begin_ns = now_ns;
	tally->twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS);
	tally->fragments = fragments_new(count_incomplete);
	if (!tally->twins || !tally->fragments || prepare(tally, groups, count) < 0) {
		tally_free(tally);
		return NULL;
	}
	return tally;
}

static void free_streams(struct tally *tally)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (tally->buckets[i]) {
			struct stream *stream = tally->buckets[i];

			tally->buckets[i] = stream->next;
			free(stream->seen->senders);
			free(stream->seen);
			free(stream);
		}
	strays_clear(&tally->strays);
	memset(tally->mac_buckets, 0, sizeof(tally->mac_buckets));
	tally->stranger_count = 0;
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	free_streams(tally);
	free(tally->groups);
	free(tally->wanted);
	free(tally->macs.items);
	free(tally->twins);
	free(tally->fragments);
	free(tally);
}

void tally_restart(struct tally *tally, uint64_t now_ns)
{
	fragments_clear(tally->fragments);
	free_streams(tally);
	tally->left_out = 0;
	tally->begin_ns = now_ns;
}

uint64_t tally_left_out(const struct tally *tally)
{
	return tally->left_out;
}

static struct stream *lookup(
	const struct tally *tally, const struct address *address, uint16_t port, unsigned ifindex)
{
	struct stream *stream = tally->buckets[hash_stream(tally, address, port, ifindex)];

	while (stream && (stream->ifindex != ifindex || stream->port != port ||
				 !address_equal(&stream->address, address)))
		stream = stream->next;
	return stream;
}

static struct stream *add_stream(struct tally *tally, const struct address *address, uint16_t port,
	unsigned ifindex, bool is_wanted)
{
	struct stream *stream = is_wanted || tally->stranger_count < STRANGERS_MAX
					? calloc(1, sizeof(*stream))
					: NULL;
	struct stream **bucket = &tally->buckets[hash_stream(tally, address, port, ifindex)];
	struct stream **mac_bucket;

	if (stream)
		stream->seen = calloc(1, sizeof(*stream->seen));
	if (!stream || !stream->seen) {
		free(stream);
		tally->left_out++;
		return NULL;
	}
	stream->address = *address;
	stream->port = port;
	stream->ifindex = ifindex;
	stream->is_wanted = is_wanted;
	stream->mac_key = mac_key_of(tally, address);
	mac_bucket = &tally->mac_buckets[hash_place(tally, stream->mac_key, ifindex, 0)];
	stream->next = *bucket;
	*bucket = stream;
	stream->next_mac = *mac_bucket;
	*mac_bucket = stream;
	tally->stranger_count += !is_wanted;
	return stream;
}

/* Whether a group has the address and port; with port 0, any port. */
static bool is_wanted(const struct tally *tally, const struct address *address, uint16_t port)
{
	struct wire_group key = {*address, port};
	size_t i = lower_bound(
		&key, tally->wanted, tally->count, sizeof(*tally->wanted), compare_groups);

	return i < tally->count && address_equal(&tally->wanted[i].address, address) &&
	       (!port || tally->wanted[i].port == port);
}

static bool has_wanted_mac(const struct tally *tally, const struct address *address)
{
	uint64_t key = multicast_mac_key(address);

	return key && bsearch(&key, tally->macs.items, tally->macs.count,
			      sizeof(*tally->macs.items), compare_keys);
}

/* What is of the address alone; NULL: nobody wants to know. */
static struct stream *find_place(
	struct tally *tally, const struct address *address, unsigned ifindex)
{
	struct stream *stream = lookup(tally, address, 0, ifindex);
	bool wanted;

	if (stream)
		return stream;
	wanted = is_wanted(tally, address, 0) || address_is_any(address);
	if (!wanted && !has_wanted_mac(tally, address))
		return NULL;
	return add_stream(tally, address, 0, ifindex, wanted);
}

static struct stream *find_stream(
	struct tally *tally, const struct address *address, uint16_t port, unsigned ifindex)
{
	struct stream *stream = port ? lookup(tally, address, port, ifindex) : NULL;

	if (stream)
		return stream;
	if (port && is_wanted(tally, address, port))
		return add_stream(tally, address, port, ifindex, true);
	return find_place(tally, address, ifindex);
}

/* As much of a payload as is compared: no more than is captured of each frame. */
#define TWIN_BYTES 64

static void count_twin(struct tally *tally, struct stream *stream, const struct frame *frame,
	const struct sighting *sighting)
{
	struct datagram datagram = {.payload = frame->payload,
		.size = frame->payload_size < TWIN_BYTES ? (uint32_t)frame->payload_size
							 : TWIN_BYTES};
	struct wire_group key = {stream->address, stream->port};
	size_t owner = lower_bound(
		&key, tally->wanted, tally->count, sizeof(*tally->wanted), compare_groups);
	unsigned other;

	/* An empty one is like any other. */
	if (!frame->payload_size || frame->kind != FRAME_UDP)
		return;
	address_to_endpoint(&frame->source, frame->source_port, 0, &datagram.source);
	if (!twins_take(tally->twins, &tally->wanted[owner], &datagram, sighting->ifindex,
		    (uint32_t)(sighting->now_ns / 1000000), &other))
		return;
	stream->seen->duplicates++;
	if (!stream->seen->duplicate_of[0])
		if_indextoname(other, stream->seen->duplicate_of);
}

static void count_tagged(struct wire_seen *seen, const struct frame *frame)
{
	seen->tagged++;
	seen->vlan = (uint16_t)frame->vlan;
}

/* A datagram, or its first fragment, for a group. */
static void count_datagram(struct tally *tally, struct stream *stream, const struct frame *frame,
	const struct sighting *sighting)
{
	struct wire_seen *seen = stream->seen;

	if (frame->vlan > 0) {
		count_tagged(seen, frame);
		return;
	}
	seen->in++;
	seen->bad_ip_checksums += frame->bad_ip_checksum;
	seen->bad_udp_checksums += frame->bad_udp_checksum;
	seen->bad_lengths += frame->bad_udp_length;
	seen->first_fragments += frame->kind == FRAME_FRAGMENT;
	if (frame->size > seen->largest)
		seen->largest = frame->size;
	seen_add_ttl(seen, frame->ttl);
	seen_add_sender(seen, frame);
	count_twin(tally, stream, frame, sighting);
}

/* At an address and port that a group may have. */
static void count_at(struct tally *tally, struct stream *stream, const struct frame *frame,
	const struct sighting *sighting)
{
	if (sighting->packet_type == PACKET_OUTGOING) {
		stream->seen->from_here++;
		if (frame->ttl > stream->seen->ttl_out)
			stream->seen->ttl_out = frame->ttl;
		if (!stream->port && stream->is_wanted)
			seen_add_port(stream->seen, frame->destination_port);
	} else if (stream->port) {
		count_datagram(tally, stream, frame, sighting);
	} else if (frame->vlan <= 0 && stream->is_wanted) {
		stream->seen->in++;
		seen_add_port(stream->seen, frame->destination_port);
	} else if (frame->vlan <= 0) {
		/* A switch or access point may send to a host's own MAC address. */
		stream->seen->in += frame->to_mac[0] & 1;
	} else if (stream->is_wanted) {
		count_tagged(stream->seen, frame);
	}
}

static void take_fragment(struct tally *tally, struct stream *stream, struct stream *place,
	const struct frame *frame, const struct sighting *sighting)
{
	bool may_begin = sighting->now_ns - tally->begin_ns >= FRAGMENTS_LATE_NS;
	struct stream *owner;

	if (sighting->packet_type == PACKET_OUTGOING || frame->vlan > 0)
		return;
	owner = fragments_take(tally->fragments, frame, sighting->ifindex, stream, place, may_begin,
		sighting->now_ns);
	if (frame->fragment_offset)
		(owner ? owner : place)->seen->later_fragments++;
}

static void take_datagram(struct tally *tally, const struct address *address,
	const struct frame *frame, const struct sighting *sighting)
{
	struct stream *stream = find_stream(
		tally, address, frame->destination_port, sighting->ifindex);
	struct stream *place;

	if (!stream)
		return;
	if (!frame->fragment_offset)
		count_at(tally, stream, frame, sighting);
	if (frame->kind != FRAME_FRAGMENT)
		return;
	place = find_place(tally, address, sighting->ifindex);
	if (place && place->is_wanted)
		take_fragment(tally, stream, place, frame, sighting);
}

static bool is_for_any(const struct tally *tally, const struct frame *frame)
{
	return (frame->destination.family == AF_INET ? tally->has_any_v4 : tally->has_any_v6) &&
	       !address_is_multicast(&frame->destination);
}

/* No group gets it: neither one with its address, nor one for all addresses of this host. */
static bool is_stray(
	const struct tally *tally, const struct frame *frame, const struct sighting *sighting)
{
	struct address any = {.family = frame->destination.family};
	uint16_t port = frame->destination_port;

	return !frame->fragment_offset && frame->vlan <= 0 &&
	       sighting->packet_type != PACKET_OUTGOING && strays_has_port(&tally->strays, port) &&
	       !is_wanted(tally, &frame->destination, 0) &&
	       !(is_for_any(tally, frame) && is_wanted(tally, &any, port));
}

static void take_udp(
	struct tally *tally, const struct frame *frame, const struct sighting *sighting)
{
	struct address any = {.family = frame->destination.family};

	take_datagram(tally, &frame->destination, frame, sighting);
	/* The group with the address gets it, if there is one, and not that for all addresses. */
	if (is_for_any(tally, frame) && sighting->packet_type != PACKET_OUTGOING &&
		!is_wanted(tally, &frame->destination, frame->destination_port))
		take_datagram(tally, &any, frame, sighting);
	if (is_stray(tally, frame, sighting))
		strays_take(&tally->strays, frame, sighting->ifindex,
			sighting->packet_type == PACKET_BROADCAST);
}

/* INCLUDE, CHANGE_TO_INCLUDE and ALLOW (RFC 3376, 4.2.12). */
static bool names_sources(const struct frame_record *record)
{
	return record->source_count &&
	       (record->type == 1 || record->type == 3 || record->type == 5);
}

/* By older versions a host is silent when another one has reported the group. */
static bool is_of_older_version(const struct frame *frame)
{
	return frame->version < (frame->source.family == AF_INET ? 3 : 2);
}

static size_t next_time(size_t *count)
{
	return *count < TIMES_MAX ? (*count)++ : TIMES_MAX - 1;
}

static void take_report(
	struct tally *tally, const struct frame *frame, const struct sighting *sighting)
{
	bool is_ours = sighting->packet_type == PACKET_OUTGOING;

	if (!is_ours && !is_of_older_version(frame))
		return;
	for (size_t i = 0; i < frame->record_count; i++) {
		const struct frame_record *record = &frame->records[i];
		struct stream *place = record->is_leave || !is_wanted(tally, &record->group, 0)
					       ? NULL
					       : find_place(
							 tally, &record->group, sighting->ifindex);

		if (!place)
			continue;
		if (!is_ours) {
			place->seen->reports_of_others++;
			continue;
		}
		place->times.report_ns[next_time(&place->times.report_count)] = sighting->now_ns;
		place->seen->reports_out++;
		place->seen->reports_with_sources |= names_sources(record);
		place->seen->report_version = frame->version;
		place->seen->report_source = frame->source;
	}
}

/* Also this host's own, where it is the querier. */
static void take_query(
	struct tally *tally, const struct frame *frame, const struct sighting *sighting)
{
	struct address address = {.family = frame->source.family};
	struct stream *place;

	if (frame->record_count)
		address = frame->records[0].group;
	if (frame->record_count && !is_wanted(tally, &address, 0))
		return;
	place = find_place(tally, &address, sighting->ifindex);
	if (!place)
		return;
	place->seen->queries++;
	place->seen->querier = frame->source;
	place->seen->query_version = frame->version;
	if (sighting->packet_type != PACKET_OUTGOING) {
		size_t i = next_time(&place->times.query_count);

		place->times.query_ns[i] = sighting->now_ns;
		place->times.due_ns[i] = sighting->now_ns + frame->answer_ms * NS_PER_MS +
					 ANSWER_LATE_NS;
	}
}

void tally_take(struct tally *tally, const struct frame *frame, const struct sighting *sighting)
{
	/* In promiscuous mode, those of other hosts are seen as well. */
	if (sighting->packet_type == PACKET_OTHERHOST)
		return;
	switch (frame->kind) {
	case FRAME_UDP:
	case FRAME_FRAGMENT:
		take_udp(tally, frame, sighting);
		break;
	case FRAME_REPORT:
		take_report(tally, frame, sighting);
		break;
	case FRAME_QUERY:
		take_query(tally, frame, sighting);
		break;
	case FRAME_OTHER:
		break;
	}
}

static bool is_answered(const struct times *reports, uint64_t query_ns, uint64_t due_ns)
{
	for (size_t i = 0; reports && i < reports->report_count; i++)
		if (reports->report_ns[i] >= query_ns && reports->report_ns[i] <= due_ns)
			return true;
	return false;
}

/* Those of the place, by reports of the group. */
static uint64_t count_unanswered(
	const struct stream *place, const struct stream *group, uint64_t now_ns)
{
	const struct times *times = place ? &place->times : NULL;
	uint64_t count = 0;

	for (size_t i = 0; times && i < times->query_count; i++)
		count += now_ns > times->due_ns[i] && !is_answered(group ? &group->times : NULL,
							      times->query_ns[i], times->due_ns[i]);
	return count;
}

/* What asks all groups counts for each. */
static void add_queries(struct wire_seen *answer, const struct stream *place)
{
	if (!place || !place->seen->queries)
		return;
	answer->queries += place->seen->queries;
	answer->querier = place->seen->querier;
	answer->query_version = place->seen->query_version;
}

/* What went to other ports of the group. */
static void add_other_port(struct wire_seen *answer, const struct wire_seen *seen)
{
	answer->other_port += seen->in;
	answer->other_port_from_here += seen->from_here;
	answer->other_port_tagged += seen->tagged;
	if (!answer->vlan)
		answer->vlan = seen->vlan;
}

static void add_place(struct wire_seen *answer, const struct stream *place)
{
	const struct wire_seen *seen = place->seen;

	add_other_port(answer, seen);
	for (size_t i = 0; i < seen->other_port_count; i++)
		seen_add_port(answer, seen->other_ports[i]);
	answer->later_fragments += seen->later_fragments;
	answer->incomplete += seen->incomplete;
	answer->reports_out = seen->reports_out;
	answer->reports_of_others = seen->reports_of_others;
	answer->reports_with_sources = seen->reports_with_sources;
	answer->report_version = seen->report_version;
	answer->report_source = seen->report_source;
	if (!address_is_any(&place->address))
		add_queries(answer, place);
}

/* Another stream on the MAC address of a group, on the interface. */
static void add_neighbour(
	struct wire_seen *answer, const struct wire_group *group, const struct stream *stream)
{
	if (!address_equal(&stream->address, &group->address)) {
		answer->collisions += stream->seen->in;
		if (stream->seen->in)
			answer->collision = stream->address;
	} else if (!stream->port) {
		add_place(answer, stream);
	} else if (stream->port != group->port) {
		add_other_port(answer, stream->seen);
		if (stream->seen->in || stream->seen->from_here)
			seen_add_port(answer, stream->port);
	}
}

const struct wire_seen *tally_seen(
	struct tally *tally, size_t group, unsigned ifindex, uint64_t now_ns)
{
	const struct wire_group *wanted = &tally->groups[group];
	struct address any = {.family = wanted->address.family};
	const struct stream *own = lookup(tally, &wanted->address, wanted->port, ifindex);
	uint64_t mac_key = mac_key_of(tally, &wanted->address);
	const struct stream *stream = tally->mac_buckets[hash_place(tally, mac_key, ifindex, 0)];
	const struct stream *place = lookup(tally, &wanted->address, 0, ifindex);
	const struct stream *general = lookup(tally, &any, 0, ifindex);

	fragments_expire(tally->fragments, now_ns);
	tally->answer = own ? *own->seen : (struct wire_seen){0};
	tally->answer.others = strays_seen(
		&tally->strays, any.family, wanted->port, ifindex, &tally->answer.other_count);
	add_queries(&tally->answer, general);
	tally->answer.unanswered = count_unanswered(general, place, now_ns);
	if (place != general)
		tally->answer.unanswered += count_unanswered(place, place, now_ns);
	for (; stream; stream = stream->next_mac)
		if (stream->mac_key == mac_key && stream->ifindex == ifindex && stream != own)
			add_neighbour(&tally->answer, wanted, stream);
	return &tally->answer;
}

unsigned tally_elsewhere(const struct tally *tally, size_t group, unsigned ifindex)
{
	const struct wire_group *wanted = &tally->groups[group];
	uint64_t most = 0;
	unsigned found = 0;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct stream *stream = tally->buckets[i]; stream; stream = stream->next) {
			if (stream->port != wanted->port || stream->seen->in <= most ||
				stream->ifindex == ifindex || stream->ifindex == LOOPBACK_IFINDEX ||
				!address_equal(&stream->address, &wanted->address))
				continue;
			most = stream->seen->in;
			found = stream->ifindex;
		}
	return found;
}
