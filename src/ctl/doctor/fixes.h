/* What fixes several causes: commands for the shell, and lines "# ..." for what no command does. */
#pragma once

#include "ctl/doctor/finding.h"

/* Begins a command: "mcastctl", with the socket of the daemon in question. */
void begin_mcastctl(const struct evidence *evidence, struct finding *finding);

/* Adds "# in the group NAME of FILE: LINE" and the command that makes the daemon read it; of a
 * TARGET, "# in the program that receives: LINE". */
void fix_key(const struct evidence *evidence, struct finding *finding, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Has the daemon read its configuration again, by which it tries at once what has failed. */
void fix_reload(const struct evidence *evidence, struct finding *finding);

/* Has the daemon report the group again. */
void fix_refresh(const struct evidence *evidence, struct finding *finding);

/* Has it reported again each minute. */
void fix_regularly(const struct evidence *evidence, struct finding *finding);

/* Names another interface to join on: in the configuration, or in the TARGET. */
void fix_interface(const struct evidence *evidence, struct finding *finding, const char *interface);

/* Sets a sysctl of an interface, as "net.FAMILY.conf.INTERFACE.KEY". */
void fix_sysctl(struct finding *finding, const char *family, const char *interface, const char *key,
	int value);

/* Gives an interface an address of the group's family, which somebody has to choose. */
void fix_address(const struct evidence *evidence, struct finding *finding, const char *interface);

/* Adds the command for each chain that may drop what comes in, or with out what leaves, as each
 * alone would; and where none is known, where to look. */
void fix_firewall(const struct evidence *evidence, struct finding *finding, bool out);

/* The same for our own IGMP or MLD reports, or for the queries that come in. */
void fix_firewall_of_reports(const struct evidence *evidence, struct finding *finding, bool out);

/* Asks for a look as root. */
void fix_by_root(const struct evidence *evidence, struct finding *finding);
