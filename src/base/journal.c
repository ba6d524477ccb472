#include "base/journal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Replaces line feeds in the value: one would end the field. */
static void add_field(struct text *entry, const char *name, const char *value)
{
	if (!value)
		return;
	text_printf(entry, "%s=%s", name, value);
	for (size_t i = entry->length - strlen(value); i < entry->length; i++)
		if (entry->data[i] == '\n')
			entry->data[i] = ' ';
	text_append(entry, "\n", 1);
}

static int send_entry(const struct text *entry)
{
	static const struct sockaddr_un journal = {
		.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1
			   : sendto(fd, entry->data, entry->length, MSG_DONTWAIT | MSG_NOSIGNAL,
				     (const struct sockaddr *)&journal, sizeof(journal));

	return n < 0 ? -errno : 0;
}

int journal_write(int level, const struct log_fields *fields, const char *line, size_t length)
{
	AUTO_TEXT struct text entry = {0}, message = {0};

	text_append(&message, line + strlen("<N>"), length - strlen("<N>\n"));
	text_printf(&entry, "PRIORITY=%d\nSYSLOG_IDENTIFIER=mcastd\n", level);
	add_field(&entry, "MESSAGE", text_string(&message));
	add_field(&entry, "MESSAGE_ID", fields->message_id);
	add_field(&entry, "MCASTD_ABOUT_GROUP", fields->group);
	add_field(&entry, "MCASTD_ABOUT_INTERFACE", fields->interface);
	add_field(&entry, "MCASTD_ABOUT_HANDLER", fields->handler);
	return text_failed(&entry) ? -ENOMEM : send_entry(&entry);
}
