"""The shapes of ``components.shapes`` fulfilled by pods on the company's own machines."""

from components.onprem.database import Database, DatabaseArgs
from components.onprem.object_store import STORAGE_CLIENTS, ObjectStore, ObjectStoreArgs

__all__ = ["STORAGE_CLIENTS", "Database", "DatabaseArgs", "ObjectStore", "ObjectStoreArgs"]
