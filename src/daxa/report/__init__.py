"""Looking at an archive: tables, pictures, and the HTML report."""

from daxa.report.page import build_report
from daxa.report.summary import combined_images, product_table, status_table

__all__ = ["build_report", "combined_images", "product_table", "status_table"]
