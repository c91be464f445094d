"""How AWS names things: ids, ARNs, zones, and the texts that its APIs take."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from rig.plugins.cloud.kinds import Made
from rig.plugins.values import Values

REGION: Final = (
    r"(us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov)-"
    r"(north|south|east|west|central|northeast|southeast|northwest|southwest)-[1-9]"
)
ARN: Final = r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+"
KMS_ARN: Final = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/.+"
KMS_PATTERN: Final = r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/.+)"
"""Of the name in a reference to a key; an alias is none."""
MOST_TAGS: Final = 50


def drawn(prefix: str) -> Callable[[Values, Mapping[str, str]], str]:
    """An id as EC2 gives it: a prefix and seventeen digits."""

    def identify(values: Values, place: Mapping[str, str]) -> str:
        del values, place
        return f"{prefix}-{secrets.token_hex(9)[:17]}"

    return identify


def named(name: str, prefix: str = "namePrefix") -> Callable[[Values, Mapping[str, str]], str]:
    """The name itself is the id; a prefix is made complete."""

    def identify(values: Values, place: Mapping[str, str]) -> str:
        del place
        return values.get(name) or f"{values.get(prefix) or 'terraform-'}{secrets.token_hex(13)}"

    return identify


def arn(service: str, resource: str, *, regional: bool = True) -> Callable[[Made], str]:
    """The ARN of a resource, `{id}` in it standing for its id."""

    def of(made: Made) -> str:
        region = made.place["region"] if regional else ""
        what = resource.format(id=made.id)
        return f"arn:{partition(made)}:{service}:{region}:{made.place['account']}:{what}"

    return of


def partition(made: Made) -> str:
    """Which of AWS' separate worlds it lies in."""
    region = made.place["region"]
    return "aws-cn" if region.startswith("cn-") else "aws"


def ec2(resource: str, **more: Callable[[Made], Any]) -> Callable[[Made], Values]:
    """The outputs of everything in EC2, and some more."""
    name = arn("ec2", f"{resource}/{{id}}")

    def outputs(made: Made) -> Values:
        common = {"arn": name(made), "ownerId": made.place["account"]}
        return common | {key: make(made) for key, make in more.items()}

    return outputs


def public_address(made: Made, what: str) -> str:
    """An address that is nobody's, always the same for this resource."""
    return f"198.18.{made.number(what, 255)}.{1 + made.number(what + '/last', 253)}"
