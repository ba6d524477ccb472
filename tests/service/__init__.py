"""The service tests, in a systemd that they boot."""
