"""What the tests of net/ and service/ and the bench share: the daemon, namespaces, peers, a booted system."""
