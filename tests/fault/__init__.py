"""What happens when a call fails: each one that the daemon makes, in turn."""
