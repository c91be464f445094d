"""The one-node cluster: its namespaces, certificates, processes and add-ons."""
