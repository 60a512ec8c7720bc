"""Penchant: turn what people prefer into a better language model."""

__version__ = "0.1.0"
