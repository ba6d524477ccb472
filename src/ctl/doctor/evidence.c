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
	/* Of linux/snmp.h. */
	[COUNTER_IPSEC_FIRST] = {"XfrmInError", "XfrmInError"},
	[COUNTER_IPSEC_FIRST + 1] = {"XfrmInBufferError", "XfrmInBufferError"},
	[COUNTER_IPSEC_FIRST + 2] = {"XfrmInHdrError", "XfrmInHdrError"},
	[COUNTER_IPSEC_FIRST + 3] = {"XfrmInNoStates", "XfrmInNoStates"},
	[COUNTER_IPSEC_FIRST + 4] = {"XfrmInStateProtoError", "XfrmInStateProtoError"},
	[COUNTER_IPSEC_FIRST + 5] = {"XfrmInStateModeError", "XfrmInStateModeError"},
	[COUNTER_IPSEC_FIRST + 6] = {"XfrmInStateSeqError", "XfrmInStateSeqError"},
	[COUNTER_IPSEC_FIRST + 7] = {"XfrmInStateExpired", "XfrmInStateExpired"},
	[COUNTER_IPSEC_FIRST + 8] = {"XfrmInStateMismatch", "XfrmInStateMismatch"},
	[COUNTER_IPSEC_FIRST + 9] = {"XfrmInStateInvalid", "XfrmInStateInvalid"},
	[COUNTER_IPSEC_FIRST + 10] = {"XfrmInTmplMismatch", "XfrmInTmplMismatch"},
	[COUNTER_IPSEC_FIRST + 11] = {"XfrmInNoPols", "XfrmInNoPols"},
	[COUNTER_IPSEC_FIRST + 12] = {"XfrmInPolBlock", "XfrmInPolBlock"},
	[COUNTER_IPSEC_FIRST + 13] = {"XfrmInPolError", "XfrmInPolError"},
	[COUNTER_IPSEC_FIRST + 14] = {"XfrmInStateDirError", "XfrmInStateDirError"},
};

const char *counter_name(enum counter counter, sa_family_t family)
{
	return family == AF_INET ? counter_names[counter].v4 : counter_names[counter].v6;
}
