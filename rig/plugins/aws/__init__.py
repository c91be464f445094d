"""A stand-in for the `aws` plugin, for rehearsals alone: no account is reached, none is needed."""
