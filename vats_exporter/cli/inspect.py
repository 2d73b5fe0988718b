"""``inspect``: what a cabinet shows, and how its rows are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from vats_exporter import logs
from vats_exporter.cabinet import contract
from vats_exporter.cabinet.by_block import KNOWN_PATTERNS, VARYING
from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.errors import DifferError
from vats_exporter.cli import options, output
from vats_exporter.cli.output import Table, _, fail, failing, sentence, tell, words, write
from vats_exporter.config.models import AccountSettings
from vats_exporter.gwt import encode_long
from vats_exporter.tools.inspection import Inspection, anonymous, inspect
from vats_exporter.trunks import ROW_FLAGS, Trunk


@options.command("inspect --account office", "inspect --account office --save report")
@options.config_file
@options.option(
    "--account NAME",
    "Which account.  [default: the only one]",
    shell_complete=options.complete_account,
)
@options.option(
    "--save DIR",
    "Save the cabinet's responses there, with everything personal and secret replaced, to attach "
    "to a bug report.",
)
def command(*, config_file: Path | None, account: str | None, save: Path | None) -> None:
    """Show what an account's cabinet says, and how it is read.

    Signs in, reads every page, and shows what was discovered, whether rows were read by the
    cabinet's script or by the block of each row alone, and why; rows that the two read differently;
    the patterns of rows with an example of each, which of them are known, and how the configured
    positions read them. Compare the examples with the cabinet's own screen to see whether the
    positions are right.

    Exits with 1 if the cabinet cannot be read, after showing and saving what it sent until then.
    """
    chosen, *others = options.choose(config_file, [account] if account else [])
    if others:
        names = ", ".join(one.name for one in (chosen, *others))
        fail("which account? there are {names}; say --account NAME", names=names)
    logs.configure(level="error")
    found = inspect(chosen, details=save is not None)
    if found.discovery is not None:
        warnings = map(output.printable, map(sentence, found.listing.warnings))
        sections = [
            output.facts(_found(chosen, found, found.discovery)),
            Table(_("Service"), _("Policy")).text(sorted(found.discovery.policies.items())),
            Table(_("Class"), _("Signature")).text(_classes(found.discovery)),
            _differing(found),
            _patterns(chosen, found),
            "".join(f"! {warning}\n" for warning in warnings),
        ]
        write("\n".join(filter(None, sections)))
    if save is not None and found.answers:
        _save(save, found.answers)
    if found.error:
        fail("{account}: {error}", account=chosen.name, error=found.error)


def _found(account: AccountSettings, found: Inspection, names: Discovery) -> dict[str, str]:
    readers = ((page.read_by, sentence(page.not_by_script)) for page in found.pages)
    read_by = dict.fromkeys(f"{reader} ({why})" if why else reader for reader, why in readers)
    totals = sorted({page.total for page in found.pages if page.total is not None})
    total = ", ".join(map(str, totals)) or _("not given")
    number = found.enterprise or account.enterprise or "-"
    if number.isdecimal():
        number += f" ({encode_long(int(number))})"
    permutation = names.permutation
    if names.fragments:
        permutation += " " + _("and {count} of its deferred fragments", count=names.fragments)
    rows = ", ".join(str(len(page.records)) for page in found.pages)
    trunks = len(found.listing.trunks)
    return {
        _("account"): account.name,
        _("address"): account.address,
        _("enterprise"): number,
        _("permutation"): permutation,
        _("read by"): ", ".join(read_by),
        _("pages"): _("{count} ({rows} rows)", count=len(found.pages), rows=rows),
        _("trunks"): _("{count}; the cabinet's total: {total}", count=trunks, total=total),
    }


def _classes(names: Discovery) -> Iterator[list[str]]:
    """The classes that requests name."""
    for name in sorted({*contract.LIST.classes, *contract.DETAILS.classes}):
        once = "" if name in names.signatures else " " + _("(seen once; not in the script)")
        yield [name, names.signature(name).rpartition("/")[2] + once]


def _differing(found: Inspection) -> str:
    """Both readings of the rows in which they differ, on the first page that has such rows."""
    if not isinstance(found.error, DifferError):
        return ""
    page = str(len(found.pages) + 1)
    both = zip_longest(found.error.by_script, found.error.by_block, fillvalue="-")
    rows = [[page, str(row), *texts] for row, texts in enumerate(both, 1) if len({*texts}) > 1]
    titles = _("Page"), _("Row"), _("By the script"), _("By its block")
    return Table(*titles, right={0, 1}).text(rows)


def _patterns(account: AccountSettings, found: Inspection) -> str:
    """The patterns of rows, the most frequent first, each with an example that has a phone."""
    by_pattern: dict[str, list[Trunk]] = defaultdict(list)
    for trunk in found.listing.trunks:
        by_pattern[trunk.pattern].append(trunk)
    rows = []
    for pattern, trunks in sorted(by_pattern.items(), key=lambda one: (-len(one[1]), one[0])):
        example = next((trunk for trunk in trunks if trunk.phone), trunks[0])
        flags = (_("yes") if flag.of(example) else _("no") for flag in ROW_FLAGS)
        meaning = sentence(KNOWN_PATTERNS.get(pattern, "unknown"))
        rows.append([pattern, str(len(trunks)), example.phone or example.ref, *flags, meaning])
    titles = [f"{words(flag.title)} ({getattr(account.flags, flag.key)})" for flag in ROW_FLAGS]
    table = Table(_("Pattern"), _("Trunks"), _("Example"), *titles, _("Meaning"), right={1})
    positions = ", ".join(map(str, VARYING))
    note = _("Pattern: a row's values at positions {positions}.", positions=positions)
    return f"{table.text(rows)}{note}\n"


def _save(folder: Path, answers: Sequence[tuple[str, bytes]]) -> None:
    copies = anonymous(answers)
    with failing(OSError, "{file}: cannot be written: {error}", file=folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, body in copies:
        file = folder / name
        with failing(OSError, "{file}: cannot be written: {error}", file=file):
            file.write_bytes(body)
    tell(
        "{folder}: {saved} answers saved, without phones, names, ids and credentials; "
        "{left_out} left out, since what is personal in them cannot be told",
        folder=folder,
        saved=len(copies),
        left_out=len(answers) - len(copies),
    )
