"""The shapes of ``components.shapes`` fulfilled by pods on the company's own machines."""

from components.onprem.database import Database, DatabaseArgs
from components.onprem.object_store import ObjectStore, ObjectStoreArgs

__all__ = ["Database", "DatabaseArgs", "ObjectStore", "ObjectStoreArgs"]
