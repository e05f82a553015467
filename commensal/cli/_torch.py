"""Check that the packages for language models are installed."""

from __future__ import annotations


def need_torch() -> None:
    """Report in one line which packages are missing.

    Raises
    ------
    ValueError
        If torch or transformers is not installed.
    """
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"language models need {error.name}: pip install 'commensal[llm]'"
        ) from None
