"""The inspector: the state of the sandbox as web pages, served at `/`.

What a page says is decided by the pure modules here (`_filters`, `_chart`, `_words`, `_payload`,
`_signature`, `_samples`); `_queries` reads the rows, `_pages` renders, `_app` answers requests.
"""

from webhooks_sdk.sandbox.inspector._app import Inspector

__all__ = ["Inspector"]
