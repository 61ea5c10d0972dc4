"""The configuration of Sphinx: https://www.sphinx-doc.org/en/master/usage/configuration.html"""

import os
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

# autodoc imports modules that read settings.
django.setup()

project = "djust_uploads"
copyright = "the djust_uploads contributors"
version = release = version_of("djust-uploads")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
exclude_patterns = ["performance/*"]

html_theme = "furo"
html_title = f"djust_uploads {version}"

# GitHub gives every heading an anchor, and the pages link to them.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

# Links to other projects are made where those can be reached, for example on Read the Docs.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "django": ("https://docs.djangoproject.com/en/stable/", None),
    }
    if os.environ.get("READTHEDOCS")
    else {}
)


#: The pages are read on GitHub as well. There, relative links lead to files outside of docs/.
REPOSITORY = "https://github.com/djust-org/djust-uploads/blob/main/"

#: Files outside of docs/ that pages of the site include.
INCLUDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def replace_links(app, name: str, source: list[str]) -> None:
    """Let links that leave docs/ lead to a page of the site, or to the file on GitHub."""

    def target(link: re.Match[str]) -> str:
        path = link[1]
        return f"]({INCLUDED.get(path, REPOSITORY + path)}"

    source[0] = re.sub(r"\]\(\.\./([^)#]+)", target, source[0])


def setup(app) -> None:
    app.connect("source-read", replace_links)
