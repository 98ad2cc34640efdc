"""The inspector: web pages at `/` that show the state of the sandbox.

`_app` handles requests, `_queries` reads the database, and `_pages` renders the templates. The
remaining logic is pure: `_filters`, `_chart`, `_formatting`, `_payload`, `_response_view`,
`_signature`.
"""

from webhooks_sdk.sandbox.inspector._app import Inspector

__all__ = ["Inspector"]
