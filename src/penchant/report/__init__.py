"""Figures, tables and one offline HTML file, made from plain dicts."""

from penchant.report.page import write_report

__all__ = ["write_report"]
