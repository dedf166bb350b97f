"""The application: all routes of HTTP over the services."""

from __future__ import annotations

from starlette.applications import Starlette

from server.http import (
    account,
    account_agreement,
    account_api,
    account_privacy,
    account_sign_in,
    account_statements,
    api,
    demo,
    errors,
    health,
    openapi,
    operator,
    pages,
    public_accounts,
    room_owner,
    signing_key,
    staff,
    stream,
    transparency,
)
from server.http.services import Services


def web_app(services: Services) -> Starlette:
    """The HTTP routes over the services."""
    routes = [
        *health.routes, *openapi.routes, *api.routes, *stream.routes, *operator.routes, *demo.routes, *account_sign_in.routes,
        *account_agreement.routes, *account.routes, *account_statements.routes, *room_owner.routes,
        *account_privacy.routes, *account_api.routes,
        *public_accounts.routes, *transparency.routes,
        *signing_key.routes,
        *staff.routes, *pages.routes,
    ]  # fmt: skip
    app = Starlette(routes=routes, exception_handlers=errors.handlers, middleware=errors.middleware)
    app.state.services = services
    pages.prepare(app)
    return app
