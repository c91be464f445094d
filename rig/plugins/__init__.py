"""Stand-ins for Pulumi provider plugins, of the same protocol, where the real one cannot be had."""
