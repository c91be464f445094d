"""The provider: its configuration, its account, and the tags it puts on everything."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rig.plugins.aws import burst, ec2, ecr, iam, kms, rds, s3, secretsmanager, vpn
from rig.plugins.aws.names import MOST_TAGS, REGION
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Kind, Refused
from rig.plugins.cloud.metadata import Schema
from rig.plugins.cloud.provider import Cloud
from rig.plugins.cloud.world import Entry, World
from rig.plugins.values import UNKNOWN, Values, plain

VERSION: Final = "7.51.1"
"""The release of pulumi-aws that this behaves like; its SDK is pinned to the same."""
ACCOUNT: Final = "SPILLWAY_CLOUD_ACCOUNT"
"""The variable that says whose cloud it is; without, the first who is allowed in owns it."""
_OWNER: Final = "aws:spillway/account:Account"
_ANYBODY: Final = "123456789012"


class Aws(Cloud):
    """The stand-in for pulumi-aws."""

    def __init__(self) -> None:
        modules = (ec2, vpn, rds, kms, s3, iam, ecr, secretsmanager, burst)
        super().__init__("aws", VERSION, [kind for module in modules for kind in module.KINDS])

    def config_failures(self, config: Values) -> Iterator[Failure]:
        """A region is required; accounts have twelve digits; tags are tags."""
        config = plain(config)
        region = config.get("region")
        if region is None:
            yield Failure("region", "is required: a rehearsal reads no other configuration of AWS")
        elif region is not UNKNOWN and not re.fullmatch(REGION, region):
            yield Failure("region", f"{region!r} is no region of AWS")
        for name in ("allowedAccountIds", "forbiddenAccountIds"):
            for account in _known(config.get(name)):
                if not re.fullmatch(r"\d{12}", str(account)):
                    yield Failure(name, f"{account!r} must be an account's twelve digits")
        tags = config.get("defaultTags")
        yield from tag_failures("defaultTags", tags.get("tags") if isinstance(tags, dict) else None)

    def settle(self, config: Values, world: World) -> Mapping[str, str]:
        """The account is the same for the whole life of a cloud."""
        allowed = [str(one) for one in _known(config.get("allowedAccountIds"))]
        with world.changing():
            owner = next(iter(world.every(_OWNER)), None)
            account = os.environ.get(ACCOUNT) or (owner and owner.id) or [*allowed, _ANYBODY][0]
            if owner is None:
                world.put(Entry(token=_OWNER, id=account))
        if allowed and account not in allowed:
            raise Refused(f"AWS account {account} is not in allowed_account_ids {allowed}")
        if account in _known(config.get("forbiddenAccountIds")):
            raise Refused(f"AWS account {account} is in forbidden_account_ids")
        return {"region": config.get("region") or "", "account": account}

    def marked(self, schema: Schema, inputs: Values) -> Values:
        """Tags of the provider are put into those of the resource, as pulumi-aws does."""
        ours = (self._config.get("defaultTags") or {}).get("tags") or {}
        if not ours or "tagsAll" not in schema.outputs or "tags" not in schema.inputs:
            return inputs
        own = inputs.get("tags")
        if own is not None and not isinstance(own, dict):
            return inputs
        return inputs | {"tags": ours | (own or {})}

    def common(self, schema: Schema, inputs: Values, state: Values) -> Values:
        """All tags there are, and the region it is managed in."""
        del state
        found: Values = {}
        if "tagsAll" in schema.outputs:
            found["tagsAll"] = inputs.get("tags") or {}
        if "region" in schema.outputs:
            found["region"] = inputs.get("region") or self.place["region"]
        return found

    def here(self, schema: Schema) -> Mapping[str, str]:
        """Where a resource lies that does not say it."""
        return {"region": self.place["region"]} if "region" in schema.inputs else {}

    def extra_failures(self, schema: Schema, inputs: Values) -> Iterable[Failure]:
        """Tags are the same for everything."""
        if "tagsAll" in schema.outputs:
            yield from tag_failures("tags", inputs.get("tags"))

    def lowers(self, kind: Kind) -> bool:
        """IAM and security groups keep the letters of a name."""
        return not kind.type.startswith(("aws:iam/", "aws:ec2/", "aws:kms/"))


def tag_failures(path: str, tags: Any) -> Iterator[Failure]:
    """https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"""
    if not isinstance(tags, dict):
        return
    if len(tags) > MOST_TAGS:
        yield Failure(path, f"has {len(tags)} tags; AWS takes {MOST_TAGS}")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            yield Failure(f"{path}.{key}", "begins with aws:, which is AWS' own")
        if not re.fullmatch(r"[\w\s.:/=+@-]{1,128}", key):
            yield Failure(f"{path}.{key}", "must be 1 to 128 letters, digits, spaces or _.:/=+-@")
        if isinstance(value, str) and not re.fullmatch(r"[\w\s.:/=+@-]{0,256}", value):
            said = f"{value!r} must be at most 256 letters, digits, spaces or _.:/=+-@"
            yield Failure(f"{path}.{key}", said)


def _known(value: Any) -> list[Any]:
    return [one for one in value if one is not UNKNOWN] if isinstance(value, list) else []


def provider() -> Aws:
    """The stand-in with all its types."""
    return Aws()
