/* pcapng: datagrams as packets, for Wireshark and tcpdump. Each file is a section that declares the
 * interfaces that occur in it. After writing has failed, a new section begins. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/escape.h"
#include "handlers/handler.h"
#include "formats/pcapng.h"
#include "recorder/recorder.h"

/* Origins whose headers and options are stored, and how much of what the kernel dropped is counted.
 * Beyond that number, another one replaces one of them. */
#define FLOWS_MAX 16384
#define BUCKETS 1024 /* a power of two */

/* Interval of the statistics, by the time of the datagrams, for a recording that is read before it
 * has ended. The last ones come at the end of a section. */
#define STATISTICS_NS (10 * NS_PER_S)

/* Beyond this number all are written as one interface, OTHER: the number of names that come and go
 * has no limit. */
#define INTERFACES_MAX 4096
#define OTHER "(other)"

/* Events of the daemon: packets from [::]:0 to [::]:0, as they have no addresses. */
#define NO_INTERFACE "(none)"

#define NOT_DECLARED UINT32_MAX

enum { LINK_RAW, LINK_ETHERNET };

static const char *const link_names[] = {"raw", "ethernet", NULL};

struct pcapng_settings {
	struct recorder_settings recorder;
	int link;
};

struct interface {
	char name[IF_NAMESIZE];
	uint32_t number; /* in the section, or NOT_DECLARED */
	struct pcapng_counts counts; /* start_ns: of its first datagram for this file; 0: none */
	struct pcapng_counts before; /* of these, what earlier files had */
};

/* A group on an interface. */
struct flow {
	struct flow *next; /* of the bucket, used longer ago; NULL: there is none */
	struct origin *origin; /* a reference */
	size_t interface;
	uint64_t kernel_dropped; /* of the origin, as counted so far */
	struct pcapng_flow packets;
};

/* The recorder's owner. */
struct pcapng_handler {
	struct utsname system;
	bool is_ethernet;
	struct interface *interfaces;
	size_t interface_count;
	size_t latest; /* the interface of the last datagram */
	uint32_t declared; /* interfaces in this section */
	bool is_first; /* this section is the first in its file */
	uint64_t statistics_ns; /* when they are due */
	struct flow *buckets[BUCKETS]; /* by the pointer to the origin */
	size_t flow_count;
	bool flow_was_replaced;
};

static const struct key pcapng_keys[] = {
	RECORDER_KEYS,
	{.name = "link",
		.type = KEY_CHOICE,
		.offset = offsetof(struct pcapng_settings, link),
		.choices = link_names,
		.fallback = "ethernet",
		.help = "What a packet begins with: ethernet, a made-up Ethernet header, as "
			"tcpreplay and other programs that send frames need it; or raw, the IP "
			"header."},
};

static unsigned pcapng_needs(const void *settings)
{
	(void)settings;
	return NEED_ALL;
}

static void append_header(const struct pcapng_handler *pcapng, struct text *text)
{
	char system[2 * sizeof(pcapng->system.sysname)];

	snprintf(system, sizeof(system), "%s %s", pcapng->system.sysname, pcapng->system.release);
	pcapng_append_section(text, pcapng->system.machine, system, "mcastd " MCASTD_VERSION);
}

static struct pcapng_counts count_for_file(const struct interface *interface)
{
	const struct pcapng_counts *counts = &interface->counts, *before = &interface->before;
	struct pcapng_counts file = {.start_ns = counts->start_ns,
		.received = counts->received - before->received,
		.dropped = counts->dropped - before->dropped,
		.kernel_dropped = counts->kernel_dropped - before->kernel_dropped};

	file.delivered = file.received - file.dropped;
	return file;
}

/* The number of packets on an interface among blocks. */
static uint64_t count_packets(const char *data, size_t size, uint32_t interface)
{
	struct pcapng_block block;
	uint64_t count = 0;

	for (size_t at = 0; at < size; at += block.size) {
		block = pcapng_read_block(data + at);
		count += block.type == PCAPNG_BLOCK_PACKET && block.interface == interface;
	}
	return count;
}

/* The file counts from these blocks on, which are written to it. An interface without packets in
 * the file before was not told of there: what was dropped counts for the next one. */
static void begin_counts(struct pcapng_handler *pcapng, const char *data, size_t size)
{
	for (size_t i = 0; i < pcapng->interface_count; i++) {
		struct interface *interface = &pcapng->interfaces[i];
		uint64_t packets = count_packets(data, size, interface->number);

		if (count_for_file(interface).delivered == packets)
			continue;
		interface->before = interface->counts;
		interface->before.received -= packets;
		if (!packets)
			interface->counts.start_ns = 0;
	}
}

static void begin_section(void *owner, struct text *text, bool is_first)
{
	struct pcapng_handler *pcapng = owner;

	if (is_first)
		begin_counts(pcapng, NULL, 0);
	append_header(pcapng, text);
	for (size_t i = 0; i < pcapng->interface_count; i++)
		pcapng->interfaces[i].number = NOT_DECLARED;
	pcapng->declared = 0;
	pcapng->is_first = is_first;
	pcapng->statistics_ns = 0;
}

/* The kernel allows any byte in the name of an interface; pcapng requires UTF-8. */
static void declare(struct pcapng_handler *pcapng, struct interface *interface, struct text *text)
{
	AUTO_TEXT struct text name = {0}, description = {0};

	if (!strcmp(interface->name, OTHER)) {
		text_append_string(&name, OTHER);
		text_append_string(
			&description, "UDP multicast that mcastd received on other interfaces");
	} else if (*interface->name) {
		text_append_escaped(&name, interface->name, strlen(interface->name));
		text_printf(&description, "UDP multicast that mcastd received on %s",
			text_string(&name));
	} else {
		text_append_string(&name, NO_INTERFACE);
		text_append_string(&description, "Events of mcastd itself");
	}
	if (pcapng->is_ethernet)
		pcapng_append_ethernet_interface(
			text, text_string(&name), text_string(&description));
	else
		pcapng_append_interface(text, pcapng->is_first && !pcapng->declared,
			text_string(&name), text_string(&description));
	interface->number = pcapng->declared++;
}

/* How many interfaces these blocks declare. Those of a section of their own come after its header.
 */
static uint32_t count_declared(const char *data, size_t size)
{
	struct pcapng_block block;
	uint32_t count = 0;

	for (size_t at = 0; at < size; at += block.size) {
		block = pcapng_read_block(data + at);
		count += block.type == PCAPNG_BLOCK_INTERFACE;
	}
	return count;
}

/* Those that were declared before data, by the numbers that they have there. */
static void declare_again(struct pcapng_handler *pcapng, struct text *text, uint32_t count)
{
	uint32_t declared = pcapng->declared;
	size_t i;

	for (uint32_t number = 0; number < count; number++) {
		for (i = 0; i < pcapng->interface_count; i++)
			if (pcapng->interfaces[i].number == number)
				break;
		pcapng->declared = number;
		if (i < pcapng->interface_count)
			declare(pcapng, &pcapng->interfaces[i], text);
	}
	pcapng->declared = declared;
}

static void resume_section(
	void *owner, struct text *text, const char *data, size_t size, bool is_first)
{
	struct pcapng_handler *pcapng = owner;

	if (is_first)
		begin_counts(pcapng, data, size);
	if (size && pcapng_read_block(data).type == PCAPNG_BLOCK_SECTION)
		return;
	pcapng->is_first = is_first;
	append_header(pcapng, text);
	declare_again(pcapng, text, pcapng->declared - count_declared(data, size));
}

/* Adds what the kernel has dropped of a flow since the last call. */
static void count_kernel_drops(struct pcapng_handler *pcapng, struct flow *flow)
{
	uint64_t now = atomic_load_explicit(&flow->origin->kernel_dropped, memory_order_relaxed);

	pcapng->interfaces[flow->interface].counts.kernel_dropped += now - flow->kernel_dropped;
	flow->kernel_dropped = now;
}

/* Counts what it has, and frees it. */
static void remove_flow(struct pcapng_handler *pcapng, struct flow **at)
{
	struct flow *flow = *at;

	count_kernel_drops(pcapng, flow);
	*at = flow->next;
	pcapng->flow_count--;
	origin_unref(flow->origin);
	free(flow);
}

/* Counts what the kernel has dropped of all flows. Those that nobody else has a reference to get no
 * datagrams any more. */
static void count_all_kernel_drops(struct pcapng_handler *pcapng)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct flow **at = &pcapng->buckets[i];

		while (*at) {
			bool is_last = atomic_load_explicit(&(*at)->origin->references,
					       memory_order_acquire) == 1;

			count_kernel_drops(pcapng, *at);
			if (is_last)
				remove_flow(pcapng, at);
			else
				at = &(*at)->next;
		}
	}
}

static void append_statistics(struct pcapng_handler *pcapng, struct text *text, uint64_t now_ns)
{
	count_all_kernel_drops(pcapng);
	for (size_t i = 0; i < pcapng->interface_count; i++) {
		const struct interface *interface = &pcapng->interfaces[i];
		struct pcapng_counts counts = count_for_file(interface);

		if (interface->number != NOT_DECLARED && counts.start_ns)
			pcapng_append_statistics(text, interface->number, now_ns, &counts);
	}
}

static void end_section(void *owner, struct text *text)
{
	append_statistics(owner, text, clock_ns(CLOCK_REALTIME));
}

/* The index of an interface, or a negative errno. */
static int find_interface(struct pcapng_handler *pcapng, const char *name)
{
	struct interface *interfaces;
	size_t i;

	for (i = 0; i < pcapng->interface_count; i++)
		if (!strcmp(pcapng->interfaces[i].name, name))
			return (int)i;
	if (i >= INTERFACES_MAX && strcmp(name, OTHER))
		return find_interface(pcapng, OTHER);
	interfaces = array_grow(pcapng->interfaces, i, sizeof(*interfaces));
	if (!interfaces)
		return -ENOMEM;
	interfaces[i] = (struct interface){.number = NOT_DECLARED};
	memcpy(interfaces[i].name, name, strlen(name) + 1);
	pcapng->interfaces = interfaces;
	pcapng->interface_count++;
	return (int)i;
}

/* Readers want an interface, or they refuse the file: libpcap (1.10) and editcap (4.0) do. */
static void declare_one(void *owner, struct text *text)
{
	struct pcapng_handler *pcapng = owner;
	int other;

	if (pcapng->interface_count) {
		declare(pcapng, &pcapng->interfaces[pcapng->latest], text);
		return;
	}
	other = find_interface(pcapng, OTHER);
	if (other >= 0)
		declare(pcapng, &pcapng->interfaces[other], text);
}

static int first_time(int fd, uint64_t size, time_t *ret)
{
	uint64_t ns;
	int r = pcapng_first_time(fd, size, &ns);

	if (r >= 0)
		*ret = (time_t)(ns / NS_PER_S);
	return r;
}

/* Counts the datagrams among blocks that could not be written. */
static void count_lost(void *owner, const char *data, size_t size)
{
	struct pcapng_handler *pcapng = owner;
	struct pcapng_block block;

	for (size_t at = 0; at < size; at += block.size) {
		block = pcapng_read_block(data + at);
		for (size_t i = 0; block.type == PCAPNG_BLOCK_PACKET && i < pcapng->interface_count;
			i++)
			if (pcapng->interfaces[i].number == block.interface)
				pcapng->interfaces[i].counts.dropped++;
	}
}

static void pcapng_free(void *owner)
{
	struct pcapng_handler *pcapng = owner;

	for (size_t i = 0; i < BUCKETS; i++)
		while (pcapng->buckets[i])
			remove_flow(pcapng, &pcapng->buckets[i]);
	free(pcapng->interfaces);
	free(pcapng);
}

#define FORMAT(way_to_measure)                                                                     \
	{                                                                                          \
		.measure = (way_to_measure), .begin = begin_section, .resume = resume_section,     \
		.empty = declare_one, .first = first_time, .end = end_section, .lost = count_lost, \
		.free = pcapng_free                                                                \
	}

/* By the key link. */
static const struct recorder_format pcapng_formats[] = {
	[LINK_RAW] = FORMAT(pcapng_measure),
	[LINK_ETHERNET] = FORMAT(pcapng_measure_ethernet),
};

static int pcapng_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct pcapng_settings *wanted = settings;
	struct pcapng_handler *pcapng = calloc(1, sizeof(*pcapng));

	if (!pcapng)
		return -ENOMEM;
	uname(&pcapng->system);
	pcapng->is_ethernet = wanted->link == LINK_ETHERNET;
	return recorder_open(&wanted->recorder, &pcapng_formats[wanted->link], pcapng,
		context->name, context->running, why, ret);
}

/* Makes room in a bucket, which may be empty: then there is one more than the most. */
static void replace_flow(struct pcapng_handler *pcapng, struct flow **bucket)
{
	if (!*bucket)
		return;
	while ((*bucket)->next)
		bucket = &(*bucket)->next;
	remove_flow(pcapng, bucket);
	pcapng->flow_was_replaced = true;
}

static struct flow *add_flow(
	struct pcapng_handler *pcapng, struct flow **bucket, struct origin *origin)
{
	int interface = find_interface(pcapng, origin->interface);
	struct flow *flow = interface < 0 ? NULL : calloc(1, sizeof(*flow));
	struct address group = {0};

	if (!flow)
		return NULL;
	if (pcapng->flow_count >= FLOWS_MAX)
		replace_flow(pcapng, bucket);
	address_parse(origin->address, &group);
	(pcapng->is_ethernet ? pcapng_flow_init_ethernet : pcapng_flow_init)(
		&flow->packets, &group, origin->port, origin->group);
	flow->interface = (size_t)interface;
	flow->origin = origin_ref(origin);
	/* Of one that was replaced, what was counted is not known any more. */
	flow->kernel_dropped = atomic_load_explicit(pcapng->flow_was_replaced
							    ? &origin->kernel_dropped
							    : &origin->kernel_dropped_before,
		memory_order_relaxed);
	flow->next = *bucket;
	*bucket = flow;
	pcapng->flow_count++;
	return flow;
}

/* The flow of an origin, or NULL without memory. Moves it to the front of its bucket. */
static struct flow *find_flow(struct pcapng_handler *pcapng, struct origin *origin)
{
	uintptr_t hash = (uintptr_t)origin >> 6 ^ (uintptr_t)origin >> 16;
	struct flow **bucket = &pcapng->buckets[hash % BUCKETS], *flow;

	for (struct flow **at = bucket; *at; at = &(*at)->next) {
		if ((*at)->origin != origin)
			continue;
		flow = *at;
		*at = flow->next;
		flow->next = *bucket;
		*bucket = flow;
		return flow;
	}
	return add_flow(pcapng, bucket, origin);
}

/* Appends what has to stand before a datagram: its interface, unless that is declared, and the
 * statistics when they are due. */
static void prepare(struct pcapng_handler *pcapng, struct interface *interface,
	uint64_t timestamp_ns, struct text *text)
{
	if (interface->number == NOT_DECLARED)
		declare(pcapng, interface, text);
	if (timestamp_ns < pcapng->statistics_ns)
		return;
	if (pcapng->statistics_ns)
		append_statistics(pcapng, text, timestamp_ns);
	pcapng->statistics_ns = timestamp_ns + STATISTICS_NS;
}

static void pcapng_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct pcapng_handler *pcapng = recorder_owner(object);
	struct flow *flow = find_flow(pcapng, batch->origin);
	struct interface *interface;

	if (!flow) {
		outcome->dropped[DROP_IO] += batch->count;
		return;
	}
	interface = &pcapng->interfaces[flow->interface];
	pcapng->latest = flow->interface;
	interface->counts.received += batch->lost;
	interface->counts.dropped += batch->lost;
	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];
		struct text *text = recorder_begin(object, datagram->timestamp_ns, outcome);

		if (!interface->counts.start_ns)
			interface->counts.start_ns = datagram->timestamp_ns;
		interface->counts.received++;
		if (!text) {
			interface->counts.dropped++;
			continue;
		}
		prepare(pcapng, interface, datagram->timestamp_ns, text);
		pcapng_append_datagram(text, &flow->packets, interface->number, datagram);
		recorder_commit(object, outcome);
	}
	recorder_batch_end(object, outcome);
}

const struct handler_kind pcapng_kind = {
	.config = {.name = "pcapng",
		.may_block = true,
		.schema = {pcapng_keys, ARRAY_SIZE(pcapng_keys), sizeof(struct pcapng_settings)},
		.check = recorder_check,
		.file = recorder_file},
	.needs = pcapng_needs,
	.open = pcapng_open,
	.deliver = pcapng_deliver,
	RECORDER_CALLS,
};
