"""The `penchant` command: one file a verb, thin."""
