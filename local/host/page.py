"""A local replacement for CloudFront: serves the built page with the headers in the template."""

import re
from collections.abc import Mapping

from aiohttp import web

from local.host.template import ROOT, Expression

BUILT = ROOT / ".build" / "web"  # the output of `make page`
PATHS = r"/{name:|config\.json|assets-[0-9a-f]+/[\w./-]+}"
# index.html refers to the assets folder of the current version; assets never change, but index.html does.
REVALIDATED = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"
NOT_BUILT = "The page is not built: `make page` says why. The API is served under /api/, its description at /docs.\n"


class Page:
    """The files of the built page."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a file of the page, or 404."""
        name = request.match_info["name"] or "index.html"
        file = (BUILT / name).resolve()
        if not file.is_relative_to(BUILT) or not file.is_file():
            missing = NOT_BUILT if name == "index.html" else "There is no such file.\n"
            return web.Response(status=404, text=missing, headers=self._headers)
        kept = FOR_EVER if "/" in name else REVALIDATED
        return web.FileResponse(file, headers={**self._headers, "Cache-Control": kept})


def headers(declared: Mapping[str, Expression], socket_url: str) -> dict[str, str]:
    """Return the page's headers for local use: it may connect to the local socket instead of AWS endpoints."""
    resolved = {}
    for name, value in declared.items():
        text = _text(value["Fn::Sub"]) if isinstance(value, Mapping) else str(value)
        text = re.sub(r"wss://\$\{PriceSocketApi\}\S*", socket_url, text)
        resolved[name] = " ".join(word for word in text.split() if "${" not in word)
    return resolved


def _text(substituted: Expression) -> str:
    """Return the text of a Sub, which comes first if it has variables."""
    return str(substituted[0] if isinstance(substituted, list) else substituted)
