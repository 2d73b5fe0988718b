"""How one cabinet is reached and read: its settings.

Every guess about the cabinet that can be configured has its default here; CABINET's tags say where
each comes from. The texts under the keys are those of the reference.
"""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from vats_exporter.address import parse_address, parse_proxy
from vats_exporter.cabinet.contract import LIST_TAILS, validate_list_tail
from vats_exporter.config import values
from vats_exporter.config.values import must, refused_by, written_as
from vats_exporter.redaction import register_secrets
from vats_exporter.trunks import FLAG_POSITIONS, ROW_FLAGS


def _in_full(value: dict[str, str]) -> dict[str, str]:
    """Write signatures in full, such as ``java.lang.Long/4227064769``."""
    return {name: f"{name}/{one.rpartition('/')[2]}" for name, one in value.items()}


Hash = Annotated[
    str,
    StringConstraints(to_upper=True),
    written_as("[0-9A-F]{32}", "must be 32 hexadecimal digits"),
]
Position = Annotated[
    values.Number, must(FLAG_POSITIONS.__contains__, f"must be one of {str(FLAG_POSITIONS)[1:-1]}")
]
# Whether plain HTTP is allowed is another key's.
Address = Annotated[str, refused_by(partial(parse_address, allow_plain_http=True))]
ProxyUrl = Annotated[str, refused_by(lambda value: value and parse_proxy(value))]
Enterprise = Annotated[
    values.Text,
    written_as(
        "[0-9]{1,18}|[A-Za-z0-9$_]{1,11}", "must be the enterprise's number, such as 2613189773"
    ),
]
PathOrNothing = Annotated[
    str,
    written_as(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?", 'must be a path such as /logout, or ""'),
]
Signature = Annotated[str, written_as("(?:.*/)?[0-9]{1,10}", "must be a number such as 4227064769")]
Signatures = Annotated[dict[values.Text, Signature], AfterValidator(_in_full)]
MethodName = Annotated[
    str, written_as("[A-Za-z_$][A-Za-z0-9_$]*", "must be the name of a Java method")
]


class TlsSettings(values.Section):
    """How the cabinet's certificate is verified; it always is."""

    ca_file: values.CertificateFile | None = None
    """PEM file of certificate authorities to trust instead of the system's."""
    security_level: values.Number | None = Field(default=None, ge=0, le=5)
    """OpenSSL's security level. Cabinets with weak DH parameters need 1; without this key OpenSSL's
    own default applies."""
    legacy_renegotiation: values.Switch = False
    """Accept cabinets without secure renegotiation (RFC 5746)."""


class Timeouts(values.Section):
    """Time limits for one HTTP call to the cabinet."""

    connect: values.Duration = 5.0
    """For the TCP connection and the TLS handshake."""
    read: values.Duration = 15.0
    """Between two pieces of a response."""
    call: values.Duration = 60.0
    """For the whole call, however steadily the response trickles in."""


# The keys are those of the table of flags.
_positions: dict[str, Any] = {flag.key: (Position, flag.position) for flag in ROW_FLAGS}
_Positions: Any = create_model("FlagPositions", __base__=values.Section, **_positions)


class FlagPositions(_Positions):  # type: ignore[misc]  # its fields are made above
    """Which of the twelve values after a row's reference is which flag, counted from 1."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        taken: dict[int, str] = {}
        for flag, position in self:
            other = taken.setdefault(position, flag)
            if other != flag:
                raise ValueError(f"{other} and {flag} are both at position {position}")
        return self


class ReadingSettings(values.Section):
    """How a cabinet is reached and read, apart from the login."""

    allow_plain_http: values.Switch = False
    """Allow an http:// address that is not this machine; passwords then cross the network
    unprotected."""
    address: Address = "vpbx.mts.ru"  # [user]
    """The cabinet: host, https://host:port or http://host:port."""
    enterprise: Enterprise | None = None
    """The enterprise's number, as in the cabinet's address after sign-in, or its reference as GWT
    writes it. Discovered after sign-in if not set."""
    filter: Annotated[Literal[-2, -1, 0], BeforeValidator(values.read_number)] = -2  # [observed]
    """Filter of the list request, as the cabinet's own page sends it."""
    page_size: values.Number = Field(default=100, ge=1, le=10_000)  # the cabinet's page has it
    """Rows per list request."""
    list_tail: Annotated[str, refused_by(validate_list_tail)] = LIST_TAILS[0]  # [observed]
    """The end of the list request, with {filter}, {enterprise}, {page} and {page_size}. Not needed
    if a known one fits the cabinet's class."""
    check_total: values.Switch = True
    """Reject a list whose length differs from the total that the cabinet gives."""
    permutation: Hash | None = None
    """X-GWT-Permutation, 32 hexadecimal digits. Discovered if not set."""
    services: dict[values.Text, Hash] = Field(default={})
    """Serialization policy hash by service, such as AbonentBrowserGwtService. Discovered if not
    set."""
    signatures: Signatures = Field(default={})
    """Type signature by class, such as java.lang.Long: 4227064769. Discovered if not set."""
    selector_method: MethodName | None = None
    """Name of the service method that switches a trunk's selector. Discovered if not set; needed
    only for trunks enable and disable, if the cabinet's script does not name it. import-har finds
    it in a browser recording."""
    sign_out_path: PathOrNothing = "/j_spring_security_logout"  # Spring's own [assumed]
    """Requested when the session is no longer needed; "" requests nothing and lets the session
    expire."""
    max_response: values.Size = Field(default=64 * 1024**2, ge=64 * 1024)
    """Largest response accepted."""
    tls: TlsSettings = TlsSettings()
    """How certificates are verified."""
    timeouts: Timeouts = Timeouts()
    """Time limits for one call to the cabinet."""
    proxy_url: ProxyUrl = Field(default="", repr=False)
    """HTTP proxy to reach the cabinet through: http://host:port, or
    http://login:password@host:port."""
    proxy_from_environment: values.Switch = False
    """Use the proxy that HTTPS_PROXY names, unless NO_PROXY excludes the cabinet."""
    flags: FlagPositions = FlagPositions()
    """Which position is which flag, where it differs from the other accounts'."""


class CabinetSettings(ReadingSettings):
    """One login into one cabinet."""

    login: values.Text = ""
    password: values.Password = Field(default="", repr=False)
    """The password itself."""
    password_file: values.PasswordFile | None = None
    """File that holds the password; relative to the configuration file. One trailing line break is
    ignored."""
    password_env: values.PasswordVariable | None = None
    """Environment variable that holds the password."""

    def current_password(self) -> str:
        """The password as it is now: its file may have been rewritten."""
        if self.password_file is None:
            return self.password
        try:
            password = values.password_of_file(self.password_file)
        except ValueError:
            return self.password  # half written, or gone: the last one may still be right
        register_secrets(password)
        return password

    @field_validator("address", mode="after")
    @classmethod
    def _keeps_the_password(cls, address: str, info: ValidationInfo) -> str:
        parse_address(address, allow_plain_http=info.data.get("allow_plain_http", True))
        return address

    @model_validator(mode="after")
    def _find_password(self, info: ValidationInfo) -> Self:
        if self.password_file is not None:
            self.__dict__["password"] = values.password_of_file(self.password_file)
        elif self.password_env is not None:
            environment = (info.context or {}).get("environment")
            self.__dict__["password"] = values.password_of_variable(self.password_env, environment)
        return self
