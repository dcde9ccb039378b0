"""Pages of HTML: every text escaped, control and direction marks as signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from opinioncast.texts import visible


def html_page(
    template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **content: Any
) -> str:
    """A template of this package filled in; what it names and ``content`` lacks is an error.

    Args:
        filters: of the template, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("opinioncast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= filters or {}
    return environment.get_template(template).render(content)


def _shown(value: Any) -> str:
    return value if isinstance(value, Markup) else visible(str(value))
