/* Telling systemd how the daemon is (sd_notify(3)). All of it does nothing outside of systemd. */
#pragma once

/* Started, or reloaded, with a word on how it stands. */
void notify_ready(const char *status);

/* How it stands has changed. */
void notify_status(const char *status);

/* What is going on takes time: so much more than what is usual. */
void notify_extend(unsigned seconds);
void notify_reloading(void);
void notify_stopping(void);
