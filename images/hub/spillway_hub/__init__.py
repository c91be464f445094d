"""What the hub of a Spillway platform adds to JupyterHub: its configuration."""
