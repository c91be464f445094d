"""A stand-in for the `gcp` plugin, for rehearsals alone: no project is reached, none is needed."""
