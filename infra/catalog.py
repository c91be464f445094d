"""What things are called and what they cost in each cloud: one name, machine types, dated prices.

List prices in US dollars of us-east-1 (AWS) and us-central1 (Google Cloud), without taxes and
discounts; other regions cost up to a third more. Knows nothing of settings or plans. A price that
nobody looked up again carries ``verified=False``, and reports that use it say so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

CloudName = Literal["aws", "gcp"]
CLOUDS: Final[tuple[CloudName, ...]] = ("aws", "gcp")
REGIONS: Final[Mapping[CloudName, str]] = {"aws": "us-east-1", "gcp": "us-central1"}
HOURS_PER_MONTH: Final = 730


@dataclass(frozen=True, kw_only=True)
class Price:
    """An amount, and who said so when."""

    usd: float
    source: str
    date: str
    """Year and month, with the day where it is known; of the source, not of this file."""
    verified: bool = True
    """False when it is from memory or derived: a guide, to be looked up before it is relied on."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine type with GPUs, by the hour."""

    name: str
    gpus: int
    on_demand: Price
    spot: Price | None
    """What was seen; it changes daily. None where nothing was found or sold."""
    spot_only: bool = False
    """Whether nobody gets it for as long as they like."""

    def expected(self, *, spot: bool) -> Price:
        """What is paid for it: the price of spot where it is wanted and one is known."""
        return (self.spot if spot else None) or self.on_demand


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Why a cloud has no such thing."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """A GPU model: the machines of each cloud that carry it, the smallest first."""

    memory_gib: int
    aws: tuple[Machine, ...] | Absent
    gcp: tuple[Machine, ...] | Absent
    mig: Mapping[str, int] = field(default_factory=dict[str, int])
    """By profile, how many such parts one of them is cut into; empty where it cannot be cut."""

    def machines(self, cloud: CloudName) -> tuple[Machine, ...] | Absent:
        """What a cloud offers."""
        return self.aws if cloud == "aws" else self.gcp


@dataclass(frozen=True, kw_only=True)
class DatabaseClass:
    """A size of managed PostgreSQL by one name, and what each cloud calls it."""

    aws: str
    """Instance class of RDS."""
    gcp: str
    """Tier of Cloud SQL."""
    vcpus: int
    memory_gib: int


STANDBY: Final = 2
"""Servers and disks of a highly available database: both clouds bill the standby like the first."""

_KARPENTER = "aws/karpenter-provider-aws, pkg/providers/pricing/zz_generated.pricing_aws.go"
_SKYPILOT = "skypilot-org/skypilot-catalog, catalogs/v8/aws/vms.csv"
_AUTOSCALER = "kubernetes/autoscaler, cloudprovider/gce/gce_price_info.go"
_RDS = "usage.ai/blogs/aws/reserved-instances/rds/pricing-calculator"
_T4G = "infratally.com/articles/aws-rds-pricing-explained-2026.html"
_CLOUD_SQL = "usage.ai/blogs/gcp/cloud-sql/pricing, citing cloud.google.com/sql/pricing"


def _aws(usd: float) -> Price:
    return Price(usd=usd, source=_KARPENTER, date="2026-01-19")


def _aws_spot(usd: float) -> Price:
    return Price(usd=usd, source=_SKYPILOT, date="2026", verified=False)


def _gcp(usd: float) -> Price:
    return Price(usd=usd, source=_AUTOSCALER, date="2026-06")


def _memory(usd: float, what: str) -> Price:
    return Price(usd=usd, source=f"from memory: {what}", date="2026-11", verified=False)


def _machine(
    name: str, gpus: int, on_demand: Price, spot: Price | None = None, *, spot_only: bool = False
) -> Machine:
    return Machine(name=name, gpus=gpus, on_demand=on_demand, spot=spot, spot_only=spot_only)


_A100_40 = {"1g.5gb": 7, "2g.10gb": 3, "3g.20gb": 2, "7g.40gb": 1}
_A100_80 = {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1}
"""H100 are cut in the same way. https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html"""

ACCELERATORS: Final[Mapping[str, Accelerator]] = {
    "t4": Accelerator(
        memory_gib=16,
        aws=(_machine("g4dn.xlarge", 1, _aws(0.526)),),
        gcp=(
            # The GPU is an extra on a general machine: 0.35 + 0.19, 0.11 + 0.04.
            _machine(
                "n1-standard-4",
                1,
                Price(usd=0.54, source=f"{_AUTOSCALER}: GPU + machine", date="2026-06"),
                Price(
                    usd=0.15,
                    source=f"{_AUTOSCALER}: GPU + machine",
                    date="2026-06",
                    verified=False,
                ),
            ),
        ),
    ),
    "l4": Accelerator(
        memory_gib=24,
        aws=(
            _machine("g6.xlarge", 1, _aws(0.8048), _aws_spot(0.401)),
            _machine("g6.12xlarge", 4, _aws(4.6016)),
            _machine("g6.48xlarge", 8, _aws(13.3504)),
        ),
        gcp=(
            _machine("g2-standard-4", 1, _gcp(0.76), _gcp(0.23)),
            _machine("g2-standard-24", 2, _gcp(2.11), _gcp(0.63)),
        ),
    ),
    "a10g": Accelerator(
        memory_gib=24,
        aws=(
            _machine("g5.xlarge", 1, _aws(1.006), _aws_spot(0.451)),
            _machine("g5.12xlarge", 4, _aws(5.672)),
            _machine("g5.48xlarge", 8, _aws(16.288)),
        ),
        gcp=Absent(reason="AWS alone sells the A10G; the nearest on Google Cloud is l4"),
    ),
    "l40s": Accelerator(
        memory_gib=48,
        aws=(_machine("g6e.xlarge", 1, _aws(1.861)),),
        gcp=Absent(reason="Google Cloud has no L40S; the nearest are l4 and a100-40gb"),
    ),
    "a100-40gb": Accelerator(
        memory_gib=40,
        mig=_A100_40,
        aws=(_machine("p4d.24xlarge", 8, _aws(21.957642)),),
        gcp=(
            _machine(
                "a2-highgpu-1g",
                1,
                Price(
                    usd=3.673385,
                    source="cloud.google.com/compute/vm-instance-pricing",
                    date="2025-03",
                ),
                Price(usd=1.29, source="cloud.google.com/spot-vms/pricing", date="2025-03"),
            ),
            _machine("a2-highgpu-8g", 8, _gcp(29.387), _gcp(8.82)),
        ),
    ),
    "a100-80gb": Accelerator(
        memory_gib=80,
        mig=_A100_80,
        aws=(_machine("p4de.24xlarge", 8, _aws(27.44705)),),
        gcp=(_machine("a2-ultragpu-1g", 1, _gcp(5.0688), _gcp(1.60)),),
    ),
    "h100": Accelerator(
        memory_gib=80,
        mig=_A100_80,
        aws=(
            _machine("p5.4xlarge", 1, _aws(6.88)),
            _machine("p5.48xlarge", 8, _aws(55.04)),
        ),
        gcp=(
            # Sold as Spot and Flex-start only; the on-demand price is what eight cost, by GPU.
            _machine(
                "a3-highgpu-1g",
                1,
                Price(
                    usd=10.9791,
                    source="cloud.google.com/compute/vm-instance-pricing: a3-highgpu-8g / 8",
                    date="2026-09-26",
                    verified=False,
                ),
                Price(usd=6.571, source="cloud.google.com/spot-vms/pricing", date="2026-09-26"),
                spot_only=True,
            ),
        ),
    ),
}
"""GPUs by the names that settings use. Only what a cloud really sells: no A100 alone on AWS."""


def shares(accelerator: str, time_slices: int | None, mig: str | None) -> int:
    """GPUs that one GPU counts as: 1 unless it is shared or cut. ``KeyError``: no such profile."""
    return ACCELERATORS[accelerator].mig[mig] if mig else time_slices or 1


def machine(accelerator: str, gpus: int, cloud: CloudName) -> Machine | Absent:
    """The smallest machine with just so many of these GPUs, or why there is none."""
    entry = ACCELERATORS.get(accelerator)
    if entry is None:
        return Absent(reason=f"{accelerator} is not in the catalog")
    offered = entry.machines(cloud)
    if isinstance(offered, Absent):
        return offered
    found = next((one for one in offered if one.gpus == gpus), None)
    sizes = ", ".join(str(one.gpus) for one in offered)
    return found or Absent(reason=f"{cloud} sells {accelerator} by {sizes}, not by {gpus}")


CLOUD_SQL_VCPU: Final = Price(usd=0.0413, source=_CLOUD_SQL, date="2026-05")
"""By vCPU and hour, Enterprise edition."""
CLOUD_SQL_GIB: Final = Price(usd=0.007, source=_CLOUD_SQL, date="2026-05")
"""By GiB of memory and hour."""


_CUSTOM_TIER = re.compile(r"db-custom-(\d+)-(\d+)")


def _class(aws: str, vcpus: int, memory_gib: int) -> DatabaseClass:
    tier = f"db-custom-{vcpus}-{memory_gib * 1024}"
    return DatabaseClass(aws=aws, gcp=tier, vcpus=vcpus, memory_gib=memory_gib)


DATABASE_CLASSES: Final[Mapping[str, DatabaseClass]] = {
    "small": _class("db.t4g.medium", 2, 4),
    "medium": _class("db.m7g.large", 2, 8),
    "large": _class("db.m7g.xlarge", 4, 16),
    "xlarge": _class("db.m7g.2xlarge", 8, 32),
}
"""Databases by the names that settings use."""

_M7G = "db.m7g: $0.168 for a large, doubling with each size"

RDS_CLASSES: Final[Mapping[str, Price]] = {
    "db.t4g.micro": Price(usd=0.016, source=_T4G, date="2026"),
    "db.t4g.small": Price(usd=0.032, source=_T4G, date="2026"),
    "db.t4g.medium": Price(usd=0.065, source=_T4G, date="2026"),
    "db.t4g.large": _memory(0.129, "db.t4g.large"),
    "db.m7g.large": _memory(0.168, _M7G),
    "db.m7g.xlarge": _memory(0.336, _M7G),
    "db.m7g.2xlarge": _memory(0.672, _M7G),
    "db.m7g.4xlarge": _memory(1.344, _M7G),
}
"""PostgreSQL on one server, by the hour."""


def database_price(machine: str) -> Price | None:
    """One server by the hour, without its disk; by the name that its cloud gives the machine."""
    if found := RDS_CLASSES.get(machine):
        return found
    if (tier := _CUSTOM_TIER.fullmatch(machine)) is None:
        return None
    usd = int(tier[1]) * CLOUD_SQL_VCPU.usd + int(tier[2]) / 1024 * CLOUD_SQL_GIB.usd
    return Price(usd=usd, source=_CLOUD_SQL, date="2026-05")


# -- what stands there all month -------------------------------------------------------------------

RDS_GP3_GB: Final = Price(usd=0.115, source=_RDS, date="2026-06")
"""By GB and month on one server; a standby has a disk of its own."""
CLOUD_SQL_SSD_GB: Final = _memory(0.17, "Cloud SQL SSD by GB and month; twice with a standby")
AWS_VPN: Final = _memory(0.05, "Site-to-Site VPN by connection and hour, two tunnels each")
AWS_IPV4: Final = Price(usd=0.005, source="cloudburn.io, AWS NAT gateway pricing", date="2026-02")
"""By public address and hour."""
AWS_NAT: Final = Price(usd=0.045, source="cloudburn.io, AWS NAT gateway pricing", date="2026-02")
"""By gateway and hour, one a zone; $0.045 a GB besides."""
AWS_ENDPOINT: Final = _memory(0.01, "interface endpoint by zone and hour; gateway endpoints free")
AWS_KEY: Final = Price(usd=1.0, source="cloudburn.io/blog/aws-kms-pricing", date="2026-03-14")
"""By customer-managed key and month; each of the first two rotations adds as much."""
AWS_SECRET: Final = _memory(0.40, "Secrets Manager by secret and month")
GCP_TUNNEL: Final = _memory(0.05, "HA VPN by tunnel and hour")
GCP_ADDRESS: Final = Price(usd=0.005, source="cloud.google.com/nat/pricing", date="2026")
"""By external address in use and hour."""
GCP_KEY: Final = _memory(0.06, "Cloud KMS by active key version and month")
GCP_SECRET: Final = _memory(0.06, "Secret Manager by active version and month")

# -- what is paid by use ---------------------------------------------------------------------------

BY_USE: Final[Mapping[str, Price]] = {
    "aws:s3 GB and month": _memory(0.023, "S3 Standard"),
    "aws:ecr GB and month": _memory(0.10, "ECR"),
    "gcp:storage GB and month": _memory(0.020, "Cloud Storage Standard, regional"),
    "gcp:artifactregistry GB and month": _memory(0.10, "Artifact Registry"),
    "gcp:nat VM and hour": Price(usd=0.0014, source="cloud.google.com/nat/pricing", date="2026"),
}
"""Nothing while idle, so no part of the floor; reports name them."""

ONPREM_GPU_HOUR: Final = Price(
    usd=0.35,
    source="assumed: $80,000 for eight GPUs over four years, and 0.4 kW each at $0.15",
    date="2026-11",
    verified=False,
)
"""What an hour of a GPU of the company's own costs when the settings do not say; like theirs."""
