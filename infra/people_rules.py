"""Rules about people that need more than one setting: who may log in, and what teams may choose."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from infra import secret_rules
from infra.config_errors import Path, Problem, offline, stack
from infra.people import Login, Provider, Tenant
from infra.profiles import SIZES, gpus, offered, owned, profiles
from infra.sections import Tier, in_bytes

if TYPE_CHECKING:
    from infra.settings import Settings

DEV = "dev"
"""The one stack that may let anybody in as anybody."""
_ONLY = {
    "hosted_domain": Provider.GOOGLE,
    "organizations": Provider.GITHUB,
    "issuer": Provider.OIDC,
}
_ALIAS = {"hosted_domain": "hostedDomain"}


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    if settings.login is not None:
        yield from _login(settings, settings.login)
    yield from _hub(settings)
    for name, tenant in settings.tenants.items():
        yield from _members(("tenants", name), tenant, settings.login)
        yield from _profiles(("tenants", name), tenant, settings)


def _login(settings: Settings, login: Login) -> Iterator[Problem]:
    provider = login.provider
    if provider is Provider.DUMMY and stack() != DEV:
        yield Problem(
            ("login", "provider"),
            provider.value,
            f"google, github or oidc: the dummy login is for the stack {DEV} alone",
        )
    for name, whose in _ONLY.items():
        if getattr(login, name) and whose is not provider:
            path = ("login", _ALIAS.get(name, name))
            yield Problem(path, getattr(login, name), f"left out: it is for {whose.value} only")
    if provider is not Provider.DUMMY:
        yield from _client(settings, login)
    if not settings.tenants:
        yield Problem(("tenants",), {}, "a map with at least one team, or nobody could log in")


def _client(settings: Settings, login: Login) -> Iterator[Problem]:
    if login.client_id is None:
        yield Problem(
            ("login", "clientId"), None, f"the client id that {login.provider.value} gave you"
        )
    if login.provider is Provider.OIDC and login.issuer is None:
        yield Problem(("login", "issuer"), None, "an https URL: the provider is oidc")
    if login.issuer and login.issuer.startswith("http:") and stack() != DEV:
        yield Problem(("login", "issuer"), login.issuer, f"https outside of the stack {DEV}")
    if not offline():
        yield from secret_rules.encrypted("loginClientSecret", settings.login_client_secret)


def _hub(settings: Settings) -> Iterator[Problem]:
    notebooks = settings.notebooks
    port = notebooks.node_port
    if port is not None and settings.cluster.network.pods is None:
        yield Problem(
            ("notebooks", "nodePort"), port, "left out, or go with spillway:cluster.network.pods"
        )
    if port is not None and port == settings.mlflow.node_port:
        yield Problem(("notebooks", "nodePort"), port, "another port than spillway:mlflow.nodePort")
    for name in notebooks.sizes:
        if name not in SIZES:
            yield Problem(("notebooks", "sizes", name), name, f"one of {', '.join(SIZES)}")


def _members(path: Path, tenant: Tenant, login: Login | None) -> Iterator[Problem]:
    if not (tenant.members or tenant.admins):
        yield Problem((*path, "members"), [], "a list of at least one, or nobody could use it")
    if login is None:
        return
    provider = login.provider
    named = provider in (Provider.DUMMY, Provider.GITHUB) or login.username_claim != "email"
    grouped = provider in (Provider.GITHUB, Provider.OIDC)
    for kind in ("members", "admins"):
        for index, member in enumerate(getattr(tenant, kind)):
            where = (*path, kind, index)
            if member.startswith("group:"):
                if not grouped:
                    yield Problem(
                        where,
                        member,
                        f"an e-mail address: {provider.value} tells nothing of groups here",
                    )
            elif "@" not in member and not named:
                yield Problem(where, member, f"an e-mail address{', or group:NAME' * grouped}")


def _profiles(path: Path, tenant: Tenant, settings: Settings) -> Iterator[Problem]:
    known = profiles(settings)
    for index, name in enumerate(tenant.profiles):
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0)[0]
            yield Problem(
                (*path, "profiles", index), name, f"one of {', '.join(known)} (nearest: {near})"
            )
    quota = tenant.quota
    for name in tenant.profiles or offered(settings, tenant):
        if (profile := known.get(name)) is None:
            continue
        if profile.accelerator and not gpus(settings, tenant, profile.accelerator):
            tier = Tier.ONPREM if owned(settings, profile.accelerator) else Tier.BURST
            yield Problem(
                (*path, "quota", "gpu", tier.value),
                0,
                f"at least 1 for the profile {name}; or leave that out of the tenant's profiles",
            )
        if profile.cpu > quota.cpu:
            yield Problem(
                (*path, "quota", "cpu"), quota.cpu, _enough(name, f"{profile.cpu:g} cores")
            )
        if in_bytes(profile.memory) > in_bytes(quota.memory):
            yield Problem((*path, "quota", "memory"), quota.memory, _enough(name, profile.memory))


def _enough(profile: str, amount: str) -> str:
    return (
        f"at least {amount}, the size of the profile {profile}; or leave that profile out of the "
        "tenant's profiles, or make it smaller in spillway:notebooks.sizes"
    )
