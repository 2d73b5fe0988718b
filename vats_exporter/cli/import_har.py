"""``import-har``: an account's configuration from a browser's recording of a visit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from vats_exporter.cabinet.contract import LIST_TAILS
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cli import options
from vats_exporter.cli.output import _, failing, sentence, shown, tell, write
from vats_exporter.tools.har import Recording, RecordingError, read_recording
from vats_exporter.tools.saved import read_text


@options.command(
    "import-har vpbx.mts.ru.har --name office", "import-har visit.har --output vats-exporter.yml"
)
@options.option("--name NAME", "The account's name in metrics and logs.", default="office")
@options.option(
    "--output FILE",
    "Write the configuration there; an existing file is not overwritten.  "
    "[default: standard output]",
)
@click.argument("file", type=click.Path(readable=False), metavar="FILE")
def command(*, name: str, output: Path | None, file: str) -> None:
    """Generate an account's configuration from a browser recording.

    In the browser: open the developer tools, tab "Network", sign in to the cabinet, open the tab
    "Абоненты", switch one trunk's selector off and on, and save the recording as HAR with content.
    FILE is that recording; - is standard input.

    Extracts the address, the enterprise, the end of the list request and the name of the method
    that switches selectors. Extracts no password, cookie, login or phone: fill in the login, and
    put the password into its file. Reports what it found and what it did not find.
    """
    no_json, source = (ValueError, RecursionError), shown(file)
    with failing((ValueError, RecordingError), "{file}: {error}", file=source):
        saved = read_text(file)
        with failing(no_json, "{file}: cannot be read as JSON: {error}", file=source):
            document = json.loads(saved)
        found = read_recording(document)
    text = _configuration(found, name)
    if output is None:
        write(text)
    else:
        told = failing(OSError, "{file}: cannot be written: {error}", file=output)
        with told, output.open("x", encoding="utf-8") as opened:
            opened.write(text)
    for key, value in found.settings.items():
        if value and key != "filter":
            usual = value == LIST_TAILS[0]
            tell("{key}: {value}", key=key, value=_("the usual one") if usual else value)
    for missing in found.missing:
        tell("not found: {what}", what=sentence(missing))
    for left_out in found.left_out:
        tell("left out: {what}", what=sentence(left_out))


def _configuration(found: Recording, name: str) -> str:
    """Write the configuration that a recording gives: YAML, with a login to fill in."""
    lines = [
        "accounts:",
        f"  - name: {json.dumps(name, ensure_ascii=False)}",
        '    login: "+7-9XXXXXXXXX"  # ' + _("fill in, and write the password into the file"),
        f"    password_file: {json.dumps(f'{name}.password', ensure_ascii=False)}",
    ]
    for key, value in found.settings.items():
        if value and value != str(CabinetSettings.model_fields[key].default):
            written = value if re.fullmatch("-?\\w+", value) else json.dumps(value)
            lines.append(f"    {key}: {written}")
    return "\n".join([*lines, ""])
