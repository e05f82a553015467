"""Audit texts: what is lost of human texts, and how much is not human."""
