"""Advice on a mix of human and synthetic documents."""
