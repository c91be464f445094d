"""A stack: config in, components wired, outputs exported; no resource bodies here."""
