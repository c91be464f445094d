"""Stand-ins for the plugins of clouds: as strict as the clouds, with a memory of files, offline.

They are for rehearsals alone and refuse to start without `SPILLWAY_CLOUD`, the folder that is the
cloud. What they know of a resource's properties comes from the installed SDK; what they know of a
cloud's rules is written down in `rig.plugins.aws` and `rig.plugins.gcp`.
"""
