"""A page on a study: one file that needs no network, and no script to be read."""

from reports.page.page import page

__all__ = ["page"]
