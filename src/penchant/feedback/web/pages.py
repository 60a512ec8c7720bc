"""HTML from the templates: autoescaped, in the language of the request."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from penchant.feedback.web import languages
from penchant.feedback.web.rendering import escape, view
from penchant.feedback.web.sessions import csrf_token

__all__ = ["Pages"]

YEAR_SECONDS = 365 * 24 * 3600


class Pages:
    """Renders templates for one project. title: the project's, shown at the top of every page."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.environment = Environment(
            loader=PackageLoader("penchant.feedback.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals["static"] = "/static/{}".format
        # `rendering` has escaped every character of the text
        self.environment.filters["markdown"] = lambda text: Markup(view(text).html)
        self.environment.filters["marked"] = lambda text: Markup(escape(text))

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page; `?lang=` is remembered."""
        language = languages.choose(request)
        session: str = request.state.session
        role = getattr(values.get("person"), "role", None)
        html = self.environment.get_template(template).render(
            title=self.title,
            language=language,
            languages={name: languages.words(name)["language"] for name in languages.LANGUAGES},
            words=languages.words(language),
            words_json=json.dumps(languages.words_for(language, role), ensure_ascii=False),
            csrf=csrf_token(session) if session else "",
            path=request.url.path,
            **values,
        )
        response = HTMLResponse(html, status)
        if request.query_params.get("lang") == language:
            response.set_cookie(languages.COOKIE, language, max_age=YEAR_SECONDS, samesite="lax", httponly=True)
        return response

    def message(self, request: Request, message: str, status: int = 200) -> HTMLResponse:
        """A plain page with one title and one sentence: `message` is the key of both in the language files."""
        return self.render(request, "message.html", status, message=message)
