"""Sphinx configuration: ``make docs`` builds the documentation into build/docs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))  # the extensions beside this file

import _explorer  # noqa: E402

import commensal  # noqa: E402

project = "commensal"
author = "The commensal authors"
copyright = "The commensal authors"
version = release = commensal.__version__

extensions = [
    "_figures",
    "_generated",
    "_mathml",
    "_objects",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["_*", "**/.ipynb_checkpoints"]
smartquotes_action = "D"  # dashes alone: quotes are those of code
default_role = "code"  # docstrings write names in single backticks

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are kept with their output; the tests execute them

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the Parameters sections give types and shapes
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
# Types are words ("array (K, d)"), so they are set in italics and not looked up.
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style"), ("Settings", "params_style")]
# Every cross-reference leads somewhere, but for these: a class of another package, and the base
# of corpora, whose settings stand with each of them.
nitpicky = True
nitpick_ignore = [
    ("py:exc", "pydantic.ValidationError"),
    ("py:class", "TextCorpus"),
]

copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "plot_gallery": False,  # pictures and sentences are kept beside the scripts: see _figures
    "examples_dirs": "../figures",
    "gallery_dirs": "gallery/scripts",
    "ignore_pattern": r"^_",  # what the scripts share
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/scripts/used",
    "doc_module": ("commensal",),
    "notebook_extensions": set(),  # myst-nb would take them for pages
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "commensal"
html_static_path = ["_static"]
html_css_files = ["commensal.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}


def notebooks() -> None:
    """Copy the executed notebooks to where Sphinx reads them."""
    shown = HERE / "notebooks"
    shown.mkdir(exist_ok=True)
    for old in shown.glob("*.ipynb"):
        old.unlink()
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy2(notebook, shown)


notebooks()
_explorer.write(HERE / "_static" / "explorer.html")
