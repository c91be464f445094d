"""Reusable components: each takes ``(name, args, opts)``; import the classes from here."""

from components.guard import Guard, GuardArgs
from components.mlflow import Mlflow, MlflowArgs
from components.namespace import FencedNamespace, FencedNamespaceArgs
from components.tenant import Tenant, TenantArgs
from components.tenant_roles import TenantRoles, TenantRolesArgs

__all__ = [
    "FencedNamespace",
    "FencedNamespaceArgs",
    "Guard",
    "GuardArgs",
    "Mlflow",
    "MlflowArgs",
    "Tenant",
    "TenantArgs",
    "TenantRoles",
    "TenantRolesArgs",
]
