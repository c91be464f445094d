"""The plugin's process: what `pulumi-resource-random` runs."""

from rig.plugins.base import serve
from rig.plugins.random.provider import provider

serve(provider())
