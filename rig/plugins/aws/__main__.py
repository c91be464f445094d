"""The plugin's process: what `pulumi-resource-aws` runs."""

from rig.plugins.aws.provider import provider
from rig.plugins.base import serve

serve(provider())
