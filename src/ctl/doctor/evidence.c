#include "ctl/doctor/evidence.h"

static const struct {
	const char *v4, *v6;
} counter_names[] = {
	[COUNTER_REVERSE_PATH] = {"TcpExt.IPReversePathFilter", NULL},
	[COUNTER_MULTICAST] = {"IpExt.InMcastPkts", "Ip6InMcastPkts"},
	[COUNTER_UDP_RECEIVED] = {"Udp.InDatagrams", "Udp6InDatagrams"},
	[COUNTER_UDP_ERRORS] = {"Udp.InErrors", "Udp6InErrors"},
	[COUNTER_BUFFER_FULL] = {"Udp.RcvbufErrors", "Udp6RcvbufErrors"},
	[COUNTER_MEMORY] = {"Udp.MemErrors", "Udp6MemErrors"},
	[COUNTER_UDP_CHECKSUM] = {"Udp.InCsumErrors", "Udp6InCsumErrors"},
	[COUNTER_IGNORED] = {"Udp.IgnoredMulti", "Udp6IgnoredMulti"},
	[COUNTER_IP_CHECKSUM] = {"IpExt.InCsumErrors", NULL},
	[COUNTER_IP_HEADER] = {"Ip.InHdrErrors", "Ip6InHdrErrors"},
	[COUNTER_TRUNCATED] = {"IpExt.InTruncatedPkts", "Ip6InTruncatedPkts"},
	[COUNTER_FRAGMENTS] = {"Ip.ReasmReqds", "Ip6ReasmReqds"},
	[COUNTER_REASSEMBLED] = {"Ip.ReasmOKs", "Ip6ReasmOKs"},
	[COUNTER_REASSEMBLY_FAILED] = {"Ip.ReasmFails", "Ip6ReasmFails"},
	[COUNTER_OUT_REQUESTS] = {"Ip.OutRequests", "Ip6OutRequests"},
	[COUNTER_OUT_SENT] = {"Ip.OutTransmits", "Ip6OutTransmits"},
	[COUNTER_OUT_DROPPED] = {"Ip.OutDiscards", "Ip6OutDiscards"},
	[COUNTER_OUT_NO_ROUTE] = {"Ip.OutNoRoutes", "Ip6OutNoRoutes"},
	[COUNTER_SEND_BUFFER] = {"Udp.SndbufErrors", "Udp6SndbufErrors"},
	[COUNTER_QUERIES] = {NULL, "Icmp6InGroupMembQueries"},
	[COUNTER_IPSEC_BLOCKED] = {"XfrmInPolBlock", "XfrmInPolBlock"},
	[COUNTER_IPSEC_NO_POLICY] = {"XfrmInNoPols", "XfrmInNoPols"},
};

const char *counter_name(enum counter counter, sa_family_t family)
{
	return family == AF_INET ? counter_names[counter].v4 : counter_names[counter].v6;
}
