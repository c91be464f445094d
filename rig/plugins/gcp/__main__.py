"""The plugin's process: what `pulumi-resource-gcp` runs."""

from rig.plugins.base import serve
from rig.plugins.gcp.provider import provider

serve(provider())
