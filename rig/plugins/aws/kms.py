"""Keys. https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html"""

import uuid
from typing import Final

from rig.plugins.aws.names import arn
from rig.plugins.aws.policies import policy
from rig.plugins.cloud.kinds import Kind, Ref
from rig.plugins.cloud.rules import among, at_most, between, text, with_other

KEY: Final = "aws:kms/key:Key"

KINDS: Final = [
    Kind(
        type=KEY,
        called="KMS key",
        identify=lambda *_: str(uuid.uuid4()),
        replaces=frozenset(
            {
                "customKeyStoreId",
                "customerMasterKeySpec",
                "keyUsage",
                "multiRegion",
                "region",
                "xksKeyId",
            }
        ),
        kept=frozenset({"policy"}),
        documents=frozenset({"policy"}),
        rules=[
            between("deletionWindowInDays", 7, 30, "days"),
            between("rotationPeriodInDays", 90, 2560, "days"),
            with_other("rotationPeriodInDays", "enableKeyRotation"),
            at_most("description", 8192),
            among(
                "keyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"
            ),
            policy("policy", principals=True),
        ],
        outputs=lambda made: {"arn": arn("kms", "key/{id}")(made), "keyId": made.id},
    ),
    Kind(
        type="aws:kms/alias:Alias",
        called="KMS alias",
        identify=lambda values, _: values["name"],
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "region"}),
        rules=[text("name", r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}", "alias/…, not alias/aws/…")],
        refs=[Ref("targetKeyId", KEY, blocks=False)],
        outputs=lambda made: {"arn": arn("kms", "{id}")(made)},
    ),
]
