"""Repositories for images. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/"""

from typing import Final

from rig.plugins.aws.kms import KEY
from rig.plugins.aws.names import arn, named
from rig.plugins.cloud.kinds import Kind, Made, Ref
from rig.plugins.cloud.rules import among, text
from rig.plugins.values import Values

REPOSITORY: Final = "aws:ecr/repository:Repository"
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME: Final = rf"(?=.{{2,256}}$){_PART}(?:/{_PART})*"


def _repository(made: Made) -> Values:
    account, region = made.place["account"], made.place["region"]
    return {
        "arn": arn("ecr", "repository/{id}")(made),
        "registryId": account,
        "repositoryUrl": f"{account}.dkr.ecr.{region}.amazonaws.com/{made.id}",
    }


KINDS: Final = [
    Kind(
        type=REPOSITORY,
        called="repository",
        identify=named("name"),
        name="name",
        replaces=frozenset({"name", "encryptionConfigurations", "region"}),
        rules=[
            text("name", _NAME, "2 to 256 small letters, digits, and single . _ - / between them"),
            among(
                "imageTagMutability",
                *("MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"),
            ),
            among("encryptionConfigurations[*].encryptionType", "AES256", "KMS", "KMS_DSSE"),
        ],
        refs=[Ref("encryptionConfigurations[*].kmsKey", KEY, pattern=r"^(arn:.*)")],
        outputs=_repository,
    )
]
