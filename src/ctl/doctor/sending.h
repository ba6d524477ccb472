/* Whether a datagram leaves: what the routes say, and, where it was asked for, what became of one
 * that was really sent. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/users.h"
#include "ctl/doctor/route.h"
#include "ctl/session.h"
#include "net/target.h"

struct subjects;

/* What is sent. */
#define SENDING_PAYLOAD "mcastctl doctor"

struct sending {
	bool is_meant; /* the group sends, or the user asks for it */
	bool was_tried; /* a datagram was really sent */
	int error; /* negative errno; 0: the kernel took it */
	char why[256]; /* of error, for people */
	bool is_forbidden; /* the daemon does not let this user send */
	char user[ACCOUNT_NAME_MAX]; /* this one */
	bool stayed_here; /* only this host has received it */
	char refusing[ROUTE_REFUSING_MAX]; /* the route that refuses it, as ip-route(8) has it,
					      where no interface is named; empty: none does */
	int route_error; /* negative errno of that route's lookup; 0: there is one, or no need */
	bool has_route; /* the kernel has a route to the group, where no interface is named */
	bool names_interface; /* the group or TARGET says where to send */
	bool is_only_one; /* of several interfaces that the group is joined on */
	bool is_received_there; /* the group is joined on it */
	char interface[IF_NAMESIZE]; /* where it leaves by that route, or was named; empty: nowhere
				      */
	bool has_address; /* that interface has an address to send from */
	int ttl; /* -1: not known */
	uint64_t on_wire; /* that left here, to group and port; only with the wire */
	bool saw_wire;
	uint64_t ipsec; /* dropped by policies and states of ip-xfrm(8) meanwhile */
	uint64_t out_dropped, send_buffer; /* the growth of the host's counters meanwhile */
};

/* Sends to the TARGET, or has the daemon send to its only group; then watches for a moment what
 * becomes of it. Return an exit code; a datagram that cannot be sent is none of these failures. */
int sending_try_target(
	const struct session *session, const struct target *target, struct sending *ret);
int sending_try_group(
	struct session *session, const struct subjects *subjects, struct sending *ret);
