"""The network tests, in namespaces that they make."""
