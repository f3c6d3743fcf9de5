"""The report as one HTML file: no script, no network, nothing beside it. Equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from mcuprune import __version__
from mcuprune.report.text import grouped, kilobytes
from mcuprune.resources import resource_dir


def render(view: Mapping[str, Any]) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
    environment.filters |= {"grouped": grouped, "kb": kilobytes, "svg": Markup}
    return environment.get_template("report.html.j2").render(**view, tool_version=__version__)
