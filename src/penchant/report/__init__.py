"""Reports: figures, tables and one offline HTML file, made from plain dicts."""

from penchant.report.notebook import curves_as_html, samples_as_html
from penchant.report.page import render_report, write_report
from penchant.report.summary import summary

__all__ = ["curves_as_html", "render_report", "samples_as_html", "summary", "write_report"]
