"""The landing page: what a person who opens the exporter's address wants to know.

Plain HTML with its style inside: nothing is loaded, nothing runs. Everything that comes from
outside the exporter is escaped, and secrets are masked once more on their way here.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from vats_exporter import __version__
from vats_exporter.metrics.exposition import clean
from vats_exporter.redaction import redact
from vats_exporter.trunks import FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.trunks import AccountState, Snapshot

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6875; --line: #dde3ea; --page: #f5f7f9;
  --card: #ffffff; --link: #0b5cad; --good: #14713d; --good-bg: #e0f4e8; --bad: #a3211b;
  --bad-bg: #fde8e6; --idle: #5b6875; --idle-bg: #e9edf1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #2d3742;
  --page: #12171d; --card: #1a2129; --link: #7db8f5; --good: #7ddba3; --good-bg: #143322;
  --bad: #ff9d94; --bad-bg: #451b18; --idle: #9aa7b4; --idle-bg: #27303a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h1 small { font-size: .95rem; font-weight: 400; color: var(--soft); }
h2 { font-size: 1.1rem; margin: 2rem 0 .75rem; }
p { margin: 0 0 1rem; color: var(--soft); }
a { color: var(--link); }
nav ul { list-style: none; margin: 1.25rem 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .5rem; }
nav a { display: block; padding: .4rem .9rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); text-decoration: none; }
nav a:hover, nav a:focus { border-color: var(--link); }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; }
th, td { padding: .65rem 1rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { font-size: .8rem; font-weight: 600; color: var(--soft); }
tbody th, tbody td { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.state { display: inline-block; padding: 0 .6rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; white-space: nowrap; }
.up { color: var(--good); background: var(--good-bg); }
.down { color: var(--bad); background: var(--bad-bg); }
.waiting { color: var(--idle); background: var(--idle-bg); }
.note { display: block; margin-top: .25rem; font-size: .9rem; color: var(--soft); }
@media (max-width: 38rem) {
  main { padding: 1.5rem 1rem; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, th, td { display: block; }
  tbody tr { padding: .5rem 0; }
  tbody tr + tr { border-top: 1px solid var(--line); }
  tbody th, tbody td { border: 0; padding: .2rem 1rem; }
  .number { text-align: left; }
  td.number::before { content: attr(data-label) ": "; color: var(--soft); }
}
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>vats-exporter</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>vats-exporter <small>{version}</small></h1>
<p>Prometheus metrics of the MTS virtual PBX: the state of every SIM trunk.</p>
<nav aria-label="Pages">
<ul>
<li><a href="/metrics">Metrics</a></li>
<li><a href="/sd">Targets</a></li>
<li><a href="/-/healthy">Health</a></li>
<li><a href="/-/ready">Readiness</a></li>
</ul>
</nav>
<h2>{title}</h2>
{accounts}
</main>
</body>
</html>
"""

_TABLE: Final = """<table>
<thead>
<tr><th scope="col">Account</th><th scope="col">State</th>\
<th scope="col" class="number">Trunks</th><th scope="col" class="number">Read</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>"""

_ROW: Final = """<tr>
<th scope="row"><a href="{probe}" title="Its probe, with the latest steps">{name}</a></th>
<td><span class="state {kind}">{word}</span>{notes}</td>
<td class="number" data-label="Trunks">{trunks}</td>
<td class="number" data-label="Read">{age}</td>
</tr>"""


def render_landing_page(states: Sequence[AccountState], now: float) -> str:
    """Write the page.

    Args:
        states: of all accounts, in order.
        now: seconds since the epoch.

    Returns:
        HTML.
    """
    if states:
        accounts = _TABLE.format(rows="\n".join(_row(state, now) for state in states))
    else:
        accounts = "<p>No account is configured.</p>"
    title = f"Accounts ({sum(state.up for state in states)} of {len(states)} up)"
    return _PAGE.format(style=_STYLE, version=escape(__version__), title=title, accounts=accounts)


def _row(state: AccountState, now: float) -> str:
    if state.result is None:
        kind, word = "waiting", "not read yet"
    elif state.up:
        kind, word = "up", "up"
    else:
        kind, word = "down", state.result.replace("_", " ")
    snapshot = state.snapshot
    sentences = [redact(state.error)] if state.error else []
    if state.login_retry_at is not None:
        left = state.login_retry_at - now
        sentences.append(
            f"The login is tried again in {span(left)}."
            if left > 0
            else "The login is tried again with the next scrape."
        )
    if snapshot is not None:
        sentences += [*_attention(snapshot), *map(redact, snapshot.warnings)]
    return _ROW.format(
        name=_text(state.account),
        probe=escape("/probe?" + urlencode({"account": clean(state.account), "debug": "true"})),
        kind=kind,
        word=_text(word),
        notes="".join(f'<span class="note">{_text(one)}</span>' for one in sentences),
        trunks="–" if snapshot is None else len(snapshot.trunks),
        age="–" if snapshot is None else f"{span(now - snapshot.taken_at)} ago",
    )


def _attention(snapshot: Snapshot) -> list[str]:
    """Count the trunks over which calls may not pass, in a sentence; none if all is well."""
    wrong = Counter(
        flag for trunk in snapshot.trunks if not trunk.expected_off for flag in trunk.troubles
    )
    found = ", ".join(f"{wrong[flag]} {flag.trouble_words.en}" for flag in FLAGS if wrong[flag])
    return [f"Trunks: {found}."] if found else []


def _text(text: str) -> str:
    return escape(clean(text))


def span(seconds: float) -> str:
    """Write a duration for people, in its largest whole unit."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
