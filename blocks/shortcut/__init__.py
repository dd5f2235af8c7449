"""What is added to a residual branch; one file per paper."""

from blocks.shortcut.average_pool import AveragePoolShortcut
from blocks.shortcut.residual import IdentityShortcut, NoShortcut, ProjectionShortcut, ZeroPadShortcut

__all__ = ["AveragePoolShortcut", "IdentityShortcut", "NoShortcut", "ProjectionShortcut", "ZeroPadShortcut"]
