"""From ``--web.config.file`` to :class:`WebSettings`, or to everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from vats_exporter.config.problems import ConfigError, Problem, problem_of
from vats_exporter.config.yaml_file import read_yaml
from vats_exporter.web.settings import WebSettings
from vats_exporter.web.tls import TlsError, make_context

if TYPE_CHECKING:
    from pathlib import Path


def load_web_config(file: Path) -> WebSettings:
    """Read and check a web configuration, with the certificates it names.

    Args:
        file: where it is. Relative paths in it start from its folder.

    Raises:
        ConfigError: with all that is wrong with it.
    """
    document = read_yaml(file)
    problems = document.problems_in(WebSettings)
    raw = {} if document.value is None else document.value
    try:
        settings = WebSettings.model_validate(raw, context={"folder": file.parent})
    except ValidationError as error:
        problems += [
            problem_of(one, WebSettings, document.line_of(one["loc"]))
            for one in error.errors(include_url=False)
        ]
        raise ConfigError(problems, file=file) from None
    if settings.tls_server_config is not None:
        try:
            make_context(settings.tls_server_config)
        except TlsError as error:
            # The certificate or key may stand there itself, or be in a file.
            in_file = getattr(settings.tls_server_config, f"{error.key}_file", None) is not None
            keys = ("tls_server_config", f"{error.key}_file" if in_file else error.key)
            path, line = ".".join(keys), document.line_of(keys)
            problems.append(Problem(path, str(error), line))
    if problems:
        raise ConfigError(problems, file=file)
    return settings.with_origin(file)
