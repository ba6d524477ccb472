/* Telling systemd how the daemon is (sd_notify(3)). All of it does nothing outside of systemd. */
#pragma once

/* Started, or reloaded, with a word on how it stands. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
