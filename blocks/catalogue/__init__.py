"""What may fill each slot, read from source: nothing here imports torch or any block."""

from blocks.catalogue.errors import CatalogueError, unknown
from blocks.catalogue.files import fingerprint
from blocks.catalogue.fitting import (
    require_at_least,
    require_depths,
    require_dilation,
    require_divisor,
    require_known,
    require_odd,
    require_pixels,
    require_several,
    require_side,
    require_unit,
)
from blocks.catalogue.page import page
from blocks.catalogue.reader import Catalogue, Entry, read, register, sources
from blocks.catalogue.signature import Option

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Entry",
    "Option",
    "fingerprint",
    "page",
    "read",
    "register",
    "require_at_least",
    "require_depths",
    "require_dilation",
    "require_divisor",
    "require_known",
    "require_odd",
    "require_pixels",
    "require_several",
    "require_side",
    "require_unit",
    "sources",
    "unknown",
]
