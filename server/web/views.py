"""Templates in the reader's language: the one place where a page becomes HTML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import HTMLResponse

from server.errors import Refusal
from server.reasons import basis_for
from server.settings import Settings
from server.web.assets import Assets
from server.web.i18n import LANGUAGES, NAMES, choose_language, load_translations
from server.web.script_messages import script_messages
from server.web.security import page_headers
from server.web.ways import WAYS, script_ways

TEMPLATES_DIR: Final = Path(__file__).parent / "templates"
LANGUAGE_COOKIE: Final = "lang"
_COOKIE_AGE_S: Final = 365 * 24 * 3600
_NEVER_FRAMED: Final = ("/account", "/staff")
"""Below these, pages have buttons that somebody could be led to press unseen: ``frame_ancestors`` is for rooms."""


class _Compiled(BytecodeCache):
    """The code of templates, for all languages: words are looked up while a page is rendered. One entry for each template."""

    def __init__(self) -> None:
        self._codes: dict[str, Bucket] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Called by jinja2 before it compiles."""
        found = self._codes.get(bucket.key)
        if found is not None and found.checksum == bucket.checksum:
            bucket.code = found.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Called by jinja2 after it compiled."""
        self._codes[bucket.key] = bucket


_compiled: Final = _Compiled()


class Views:
    """Renders the templates. One instance serves all requests; it holds one jinja2 environment per language."""

    def __init__(self, settings: Settings, assets: Assets) -> None:
        """Reads and compiles catalogues and templates. Raises OSError, jinja2.TemplateError."""
        self._settings = settings
        self._environments: dict[str, Environment] = {}
        self._messages: dict[str, dict[str, str]] = {}
        self._ways: dict[str, dict[str, tuple[str, str]]] = {}
        self._gettext: dict[str, Callable[[str], str]] = {}
        for language, translations in load_translations().items():
            environment = make_environment()
            environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
            chinese = language == "zh-CN"
            environment.globals.update(
                basis_for=lambda code, basis, chinese=chinese: basis_for(code, basis, chinese),
                asset=assets.url,
                site_name=settings.site_name,
                language=language,
                languages=LANGUAGES,
                language_names=NAMES,
            )
            for path in TEMPLATES_DIR.glob("*.html"):
                environment.get_template(path.name)
            self._environments[language] = environment
            self._gettext[language] = translations.gettext
            self._messages[language] = script_messages(translations.gettext)
            self._ways[language] = script_ways(translations.gettext)

    def language(self, request: Request) -> str:
        """The language of the answer to this request."""
        return choose_language(
            request.query_params.get("lang", ""),
            request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("accept-language", ""),
            self._settings.site_language,
        )

    def messages(self, language: str) -> dict[str, str]:
        """What the page's scripts say, by key."""
        return self._messages[language]

    def ways(self, language: str) -> dict[str, tuple[str, str]]:
        """Where refusals can be mended, by code: path and label, for the page's scripts."""
        return self._ways[language]

    def page(self, request: Request, template: str, *, status: int = 200, media: str = "", **context: Any) -> HTMLResponse:
        """Render a template. ``media`` is a further origin of videos; the context is named in the head of each template."""
        language = self.language(request)
        html = (
            self._environments[language].get_template(template).render(path=request.url.path, query=_query(request), **context)
        )
        response = HTMLResponse(html, status)
        framed_by = ("'none'",) if request.url.path.startswith(_NEVER_FRAMED) else self._settings.frame_ancestors
        response.headers.update(page_headers(framed_by, (media,) if media else ()))
        response.headers["Content-Language"] = language
        response.headers["Vary"] = "Accept-Language, Cookie"
        response.headers["Cache-Control"] = "no-cache"
        if request.query_params.get("lang") in LANGUAGES:
            secure = request.url.scheme == "https"
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=_COOKIE_AGE_S, samesite="lax", secure=secure, httponly=True)
        return response

    def translate(self, request: Request) -> Callable[[str], str]:
        """What puts a message of ours into the language of the answer."""
        return self._gettext[self.language(request)]

    def fragment(self, request: Request, template: str, **context: Any) -> str:
        """Render a part of a page, for the page's script to put in."""
        found = self._environments[self.language(request)].get_template(template)
        return found.render(path=request.url.path, query=_query(request), **context)

    def refusal(self, request: Request, refusal: Refusal) -> HTMLResponse:
        """A page that says why a request could not be served, and what to do."""
        code = refusal.code
        response = self.page(
            request,
            "message.html",
            status=code.http,
            code=code,
            text=code.zh if self.language(request) == "zh-CN" else code.en,
            way=WAYS.get(code.name),
        )
        if code.temporary or refusal.retry_after_ms:
            response.headers["Retry-After"] = str(max(1, -(-refusal.retry_after_ms // 1000)))
        return response


def make_environment() -> Environment:
    """A jinja2 environment as all our pages use it: everything is escaped, an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        bytecode_cache=_compiled,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    return environment


def _query(request: Request) -> str:
    """The request's query without ``lang``, ending in ``&`` when there is any: the language switch keeps the rest."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return urlencode(kept) + "&" if kept else ""
